"""Lockstep evaluation of real models in the real simulation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wm_planner.actor.agent import Agent, AgentConfig, Plan
from wm_planner.actor.solver import SolverConfig
from wm_planner.configurator.contract import Contract
from wm_planner.configurator.paths import checkpoint_path
from wm_planner.data.output import Interrupted
from wm_planner.evaluation.evaluate import Evaluator, evaluate, scene_seed
from wm_planner.evaluation.report import Trial
from wm_planner.sim.tasks import get_task
from wm_planner.world_model.checkpoint import CheckpointError, save_checkpoint
from wm_planner.world_model.config import ModelConfig
from wm_planner.world_model.model import WorldModel

CHEAP = AgentConfig(horizon=2, policy_proposals=2, solver=SolverConfig(samples=4, iterations=1, elites=2))


def test_scenes_of_different_seeds_never_meet() -> None:
    assert len({scene_seed(s, e) for s in range(5) for e in range(1000)}) == 5000


def test_results_depend_on_the_seed_alone(small_model: WorldModel, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, small_model, {})
    task = get_task("panda_push")
    one, two = (evaluate(task, 2, 3, checkpoint=path, config=CHEAP, workers=w) for w in (1, 2))
    for result in (one, two):
        del result["plan_ms"]
    assert one == two


def test_the_rover_is_planned_for_like_the_arm(
    rover_contract: Contract, small_config: ModelConfig, tmp_path: Path
) -> None:
    path = tmp_path / "rover.safetensors"
    save_checkpoint(path, WorldModel(rover_contract, small_config), {})
    task = replace(get_task("rover_rooms"), max_steps=4)
    one, two = (Evaluator(task, "planner", path, CHEAP).trial(8) for _ in range(2))
    assert not one.success and len(one.plan_ms) == 4
    assert one.distance == two.distance > 0.3


def test_a_model_of_true_state_is_given_that_and_no_other(
    small_model: WorldModel, small_config: ModelConfig, tmp_path: Path
) -> None:
    seeing, knowing = tmp_path / "seeing.safetensors", tmp_path / "knowing.safetensors"
    save_checkpoint(seeing, small_model, {})
    config = small_config.model_copy(update={"encoder": "state", "latent_dim": 7})
    save_checkpoint(knowing, WorldModel(small_model.contract, config), {})
    task = replace(get_task("panda_push"), max_steps=4)
    assert len(Evaluator(task, "true-state", knowing, CHEAP).trial(8).plan_ms) == 4
    with pytest.raises(ValueError, match=r"policy 'planner' .* encoder is 'state', expected 'true-state'"):
        evaluate(task, 1, 3, checkpoint=knowing, config=CHEAP)
    with pytest.raises(ValueError, match=r"policy 'true-state' .* encoder is 'conv', expected 'planner'"):
        evaluate(task, 1, 3, "true-state", seeing, CHEAP)


def test_late_observations_are_planned_from_with_the_actions_since(
    small_model: WorldModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, small_model, {})
    plans: list[tuple[int, Plan]] = []
    plan = Agent.plan

    def watched(agent: Agent, committed: np.ndarray | None = None) -> Plan:
        made = plan(agent, committed)
        plans.append((0 if committed is None else len(committed), made))
        return made

    monkeypatch.setattr(Agent, "plan", watched)
    task = replace(get_task("panda_push"), max_steps=6)
    Evaluator(task, "planner", path, CHEAP, factor="latency 2").trial(8)
    assert [late for late, _ in plans] == [0, 1, 2, 2, 2, 2]
    taken = [made.actions[late] for late, made in plans]
    for k, (late, made) in enumerate(plans):
        assert made.start == pytest.approx((k - late) * small_model.contract.dt)
        np.testing.assert_allclose(made.actions[:late], np.reshape(taken[k - late : k], (late, 2)), atol=1e-6)


def test_a_factor_is_the_same_in_every_run_of_a_scene_and_another_in_others() -> None:
    task = replace(get_task("panda_push"), max_steps=1)
    cameras = {}
    for run, scenes in enumerate([(8, 9), (9, 8)]):  # whatever was run before
        varied = Evaluator(task, "random", Path(), CHEAP, factor="camera 5 cm")
        for scene in scenes:
            varied.trial(scene)
            cameras[run, scene] = varied._env.world.camera
    assert cameras[0, 8] == cameras[1, 8] and cameras[0, 9] == cameras[1, 9]
    assert len({cameras[0, 8].eye, cameras[0, 9].eye, task.camera.eye}) == 3


def test_trials_finished_before_an_early_end_are_reported_as_those_of_fewer_episodes() -> None:
    task, seen = get_task("panda_push"), []

    def end(trial: Trial) -> None:
        seen.append(trial)
        if len(seen) == 2:
            raise TimeoutError("no time left")

    with pytest.raises(Interrupted, match=r"^ended after 2 of 5 trials: TimeoutError: no time left$") as error:
        evaluate(task, 5, 4, policy="random", progress=end)
    assert error.value.finished == evaluate(task, 2, 4, policy="random")


def test_random_actions_do_not_push_cubes_home() -> None:
    result = evaluate(get_task("panda_push"), 2, 4, policy="random")
    assert result["tolerance"] == 0.03
    assert evaluate(get_task("panda_push"), 2, 4, policy="random", tolerance=5.0)["successes"] == 2
    assert evaluate(get_task("panda_push"), 1, 4, policy="random", tolerance=0.0)["tolerance"] == 0.0
    assert result["successes"] == 0 and result["policy"] == "random"
    assert result["final_distance_cm"]["p50"] > 3.0


def test_a_checkpoint_of_another_task_is_refused(small_model: WorldModel, tmp_path: Path) -> None:
    path = tmp_path / "push.safetensors"
    save_checkpoint(path, small_model, {})
    with pytest.raises(CheckpointError, match="name: 'panda_reach' != 'panda_push'"):
        Evaluator(get_task("panda_reach"), "planner", path, CHEAP)


# Far below what was measured with 200 goals, so that only a broken model or planner falls through.
@pytest.mark.parametrize(
    ("task", "factor", "least"),
    [
        ("panda_reach", None, 6),
        ("panda_reach", "robot colour", 5),
        ("panda_reach", "camera 5 degrees", 4),
        ("panda_push", None, 3),
        ("panda_push", "camera 10 degrees", 4),
        ("rover_rooms", None, 3),
    ],
)
def test_the_shipped_model_reaches_held_out_goals(task: str, factor: str | None, least: int) -> None:
    assert evaluate(get_task(task), 8, 11, workers=2, factor=factor)["successes"] >= least


@pytest.mark.parametrize("task", ["panda_reach", "panda_push", "rover_rooms"])
def test_shipped_checkpoints_are_small(task: str) -> None:
    assert checkpoint_path(task).stat().st_size <= 10_000_000
    assert checkpoint_path(task).with_suffix(".md").is_file()
