"""Lockstep evaluation: the simulation waits for the planner, so results depend on the seed alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from wm_planner.actor.agent import Agent, AgentConfig
from wm_planner.configurator.contract import load_contract
from wm_planner.configurator.paths import checkpoint_path
from wm_planner.configurator.workers import as_done, worker_pool
from wm_planner.data.collect import ground_truth
from wm_planner.data.output import Interrupted
from wm_planner.evaluation.goals import GoalKind, make_goal
from wm_planner.evaluation.hold import Hold
from wm_planner.evaluation.report import Trial, report
from wm_planner.perception.image import to_frame
from wm_planner.sim.environment import Environment, Observation
from wm_planner.sim.factors import FACTORS
from wm_planner.sim.tasks import Task, get_task
from wm_planner.world_model.checkpoint import load_checkpoint
from wm_planner.world_model.model import WorldModel

Policy = Literal["planner", "random", "true-state"]

_FACTOR = 0xFAC7  # stream of random numbers
_worker: Evaluator | None = None


def scene_seed(seed: int, episode: int) -> int:
    """The scene of an episode; distinct for every seed and episode."""
    return seed * 100_000 + episode


def vary(env: Environment, factor: str, seed: int) -> None:
    """Apply a factor of variation to an environment; the same for the same seed."""
    FACTORS[factor].vary(env, np.random.default_rng([seed, _FACTOR]))


def default_checkpoint(task: Task, policy: Policy) -> Path:
    """The shipped checkpoint a policy uses."""
    return checkpoint_path(f"{task.name}_state" if policy == "true-state" else task.name)


class Evaluator:
    """Runs trials of one task under one policy, in one process."""

    def __init__(
        self,
        task: Task,
        policy: Policy,
        checkpoint: Path,
        config: AgentConfig,
        goals: GoalKind = "placed",
        factor: str | None = None,
        lamp: float | None = None,
    ) -> None:
        torch.set_num_threads(1)
        self._policy, self._goals, self._factor = policy, goals, factor
        self._env = Environment(task, lamp=lamp)
        if policy != "random":
            model = load_checkpoint(checkpoint, expected=self._env.contract).model.for_planning()
            self._agent = Agent(model, config)

    def trial(self, seed: int) -> Trial:
        """One start and goal, in full."""
        env, task = self._env, self._env.task
        if self._factor:
            vary(env, self._factor, seed)
        goal = make_goal(env, seed, self._goals)
        observation = env.reset(goal.start)
        if self._policy != "random":
            self._agent.reset()
            self._taken: list[np.ndarray] = []
            frame = to_frame(goal.image, env.contract.cameras[0])
            self._agent.set_goal(goal.truth if self._policy == "true-state" else frame)
        hold, plan_ms = Hold(task, env.contract.dt), []
        rng = np.random.default_rng(seed)
        for _ in range(task.max_steps):
            if self._policy == "random":
                action = rng.uniform(-1.0, 1.0, env.contract.action_dim)
            else:
                action, ms = self._plan(observation)
                plan_ms.append(ms)
            observation = env.step(action)
            if hold.update(env.distance(goal.position), env.world.time):
                return Trial(seed, True, hold.since, env.distance(goal.position), plan_ms)
        return Trial(seed, False, float("nan"), env.distance(goal.position), plan_ms)

    def _plan(self, observation: Observation) -> tuple[np.ndarray, float]:
        seen = ground_truth(self._env) if self._policy == "true-state" else observation.wide
        self._agent.observe(seen, observation.joints, observation.time)
        now = self._env.world.time
        late = round((now - observation.time) / self._env.contract.dt)  # actions under way since what was seen
        plan = self._agent.plan(np.array(self._taken[-late:]) if late else None)
        action = plan.actions[late]
        self._taken.append(action)
        self._agent.memory.acted(now, action)
        return action, 1000 * sum(plan.seconds.values())


def _start(
    task: str,
    policy: Policy,
    checkpoint: Path,
    config: AgentConfig,
    goals: GoalKind,
    factor: str | None,
    lamp: float | None,
    tolerance: float,
) -> None:
    global _worker
    _worker = Evaluator(replace(get_task(task), tolerance=tolerance), policy, checkpoint, config, goals, factor, lamp)


def _trial(seed: int) -> Trial:
    assert _worker is not None
    return _worker.trial(seed)


def evaluate(
    task: Task,
    episodes: int,
    seed: int,
    policy: Policy = "planner",
    checkpoint: Path | None = None,
    config: AgentConfig | None = None,
    workers: int = 1,
    goals: GoalKind = "placed",
    progress: Callable[[Trial], None] = lambda trial: None,
    factor: str | None = None,
    lamp: float | None = None,
    tolerance: float | None = None,
) -> dict:
    """Run trials and report; see `report` for the keys.

    Args:
        factor: one of FACTORS, varied in every trial.
        lamp: share of the actions that a lamp in the picture follows; None: there is no lamp.
        tolerance: metres from the goal that count as reached; None: the task's own.

    Raises:
        CheckpointError: the checkpoint cannot be loaded or was trained under another contract.
        ValueError: it sees images where the policy is given the true state, or the other way round.
        Interrupted: it ended early; `finished` is the report of the first trials, as of fewer episodes.
    """
    checkpoint = checkpoint or default_checkpoint(task, policy)
    if policy != "random":  # before any process is started
        _require_sight(load_checkpoint(checkpoint, expected=load_contract(task.contract)).model, policy)
    seeds = [scene_seed(seed, episode) for episode in range(episodes)]
    tolerance = task.tolerance if tolerance is None else tolerance
    arguments = (task.name, policy, checkpoint, config or AgentConfig(), goals, factor, lamp, tolerance)
    name = "" if policy == "random" else checkpoint.name
    trials: dict[int, Trial] = {}

    def result() -> dict:
        """Of the trials before the first that is missing; of those after it, the quick ones would be there."""
        finished = [trials[s] for s in takewhile(trials.__contains__, seeds)]
        return report(task.name, finished, seed, name, policy) | {
            "goals": goals,
            "factor": factor,
            "lamp": lamp,
            "tolerance": tolerance,
        }

    try:
        with worker_pool(workers, _start, *arguments) as pool:
            for trial in as_done(pool, workers, _trial, ((s,) for s in seeds)):
                trials[trial.scene_seed] = trial
                progress(trial)
    except BaseException as reason:
        early = result()
        if not early["n"]:
            raise
        raise Interrupted(f"{early['n']} of {episodes} trials", reason, early) from reason
    return result()


def _require_sight(model: WorldModel, policy: Policy) -> None:
    """Raises ValueError where a model does not see what it would be given."""
    encoder = model.config.encoder
    wanted = "true-state" if encoder == "state" else "planner"
    if policy != wanted:
        raise ValueError(f"policy {policy!r} with a checkpoint whose encoder is {encoder!r}, expected {wanted!r}")
