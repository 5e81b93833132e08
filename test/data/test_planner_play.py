"""The planner recorded at work: it starts where play starts, and its actions are those its agent plans."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from wm_planner.actor.agent import Agent, AgentConfig, Plan
from wm_planner.actor.solver import SolverConfig
from wm_planner.data.collect import collect, collect_episode
from wm_planner.sim.environment import Environment
from wm_planner.sim.tasks import get_task
from wm_planner.world_model.model import WorldModel


@pytest.fixture
def agent(small_model: WorldModel) -> Agent:
    solver = SolverConfig(samples=4, elites=2)
    return Agent(small_model, AgentConfig(horizon=2, solver=solver, policy_proposals=2))


def test_the_planner_is_recorded_from_where_play_would_start(
    agent: Agent, environment: Callable[[str], Environment]
) -> None:
    env = environment("panda_push")
    frames, joints, actions, state, attempts = collect_episode(env, 0, 3, 90, agent)
    again = collect_episode(env, 0, 3, 90, agent)
    np.testing.assert_array_equal(actions, again[2])
    start = env.reset(env.task.sample(np.random.default_rng([0, 0xDA7A, 3, 0x91A2])))
    np.testing.assert_array_equal(frames[0], start.frame)
    np.testing.assert_allclose(joints[0], start.joints, atol=1e-6)
    assert np.abs(actions).max() <= 1 and len(state) == 91
    assert attempts[0] == 0 and 1 <= attempts[-1] <= 2 and set(np.diff(attempts)) == {0, 1}  # goals take turns


def test_plans_that_take_long_begin_with_what_is_under_way(
    agent: Agent, environment: Callable[[str], Environment], monkeypatch: pytest.MonkeyPatch
) -> None:
    env, given = environment("panda_push"), []
    plan = agent.plan

    def recorded(committed: np.ndarray | None = None) -> Plan:
        made = plan(committed)
        given.append((env.seen.time, committed, made.actions))
        return made

    monkeypatch.setattr(agent, "plan", recorded)
    *_, actions, _, attempts = collect_episode(env, 0, 3, 200, agent, latency=2)
    index = [round((time - given[0][0]) / env.contract.dt) for time, _, _ in given]
    taken = {len(committed) for _, committed, _ in given}
    assert len(taken) > 1 and max(taken) <= 2  # each goal draws its own
    for now, (_, committed, made), then in zip(index, given, [*index[1:], 200]):
        if now == 0 or attempts[now] != attempts[now - 1]:
            assert not committed.any()  # at rest until the first plan towards a goal is there
        np.testing.assert_allclose(made[: then - now], actions[now:then], atol=1e-6)
        assert then - now <= max(len(committed), 1)
        if then < 200 and attempts[then] == attempts[now]:
            assert then - now == max(len(committed), 1)


def test_latency_without_a_planner_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="play does not plan; give a checkpoint"):
        collect(get_task("panda_push"), tmp_path / "play.h5", 1, 1, seed=0, workers=1, latency=2)
    assert not any(tmp_path.iterdir())
