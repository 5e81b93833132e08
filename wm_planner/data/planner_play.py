"""The planner at work, recorded like play: what it meets when it runs is what its surprise must be calibrated on."""

from __future__ import annotations

import numpy as np

from wm_planner.actor.agent import Agent
from wm_planner.perception.image import to_frame
from wm_planner.sim.environment import Environment
from wm_planner.sim.tasks import SceneState

_SHORTEST, _LONGEST = 30, 80  # control steps until the next goal
_GOALS = 4  # that take turns


class PlannerPlay:
    """Plans towards random goals, one after another.

    On a slow computer the robot has moved on by the time a plan is there, so it meets what a fast one does not: towards
    each goal plans take their own number of control steps, in which what was planned before is under way.
    """

    def __init__(
        self, env: Environment, rng: np.random.Generator, agent: Agent, start: SceneState, latency: int = 0
    ) -> None:
        """Leaves the environment at `start`. latency: the most control steps that plans take."""
        camera = env.contract.cameras[0]
        self._goals = [to_frame(env.image_of(env.task.sample(rng)), camera) for _ in range(_GOALS)]
        self._env, self._rng, self._agent, self._longest = env, rng, agent, latency
        self.attempt, self._steps_left = -1, 0
        agent.reset()
        env.reset(start)

    def act(self) -> np.ndarray:
        """Normalised action, shape (A,)."""
        if self._steps_left == 0:
            self.attempt += 1
            self._agent.set_goal(self._goals[self.attempt % _GOALS])
            self._steps_left = int(self._rng.integers(_SHORTEST, _LONGEST))
            self._latency = int(self._rng.integers(self._longest + 1))
            self._ahead = np.zeros((self._latency, self._env.contract.action_dim))  # at rest until there is a plan
        self._steps_left -= 1
        seen = self._env.seen
        self._agent.observe(seen.wide, seen.joints, seen.time)
        if len(self._ahead) == self._latency:
            plan = self._agent.plan(self._ahead)
            self._ahead = plan.actions[: self._latency + max(self._latency, 1)]
        action, self._ahead = self._ahead[0], self._ahead[1:]
        self._agent.memory.acted(seen.time, action)
        return action
