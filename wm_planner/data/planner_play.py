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
    """Plans towards random goals, one after another."""

    def __init__(self, env: Environment, rng: np.random.Generator, agent: Agent, start: SceneState) -> None:
        """Leaves the environment at `start`."""
        camera = env.contract.cameras[0]
        self._goals = [to_frame(env.image_of(env.task.sample(rng)), camera) for _ in range(_GOALS)]
        self._env, self._rng, self._agent = env, rng, agent
        self.attempt, self._steps_left = -1, 0
        agent.reset()
        env.reset(start)

    def act(self) -> np.ndarray:
        """Normalised action, shape (A,)."""
        if self._steps_left == 0:
            self.attempt += 1
            self._agent.set_goal(self._goals[self.attempt % _GOALS])
            self._steps_left = int(self._rng.integers(_SHORTEST, _LONGEST))
        self._steps_left -= 1
        seen = self._env.seen
        self._agent.observe(seen.wide, seen.joints, seen.time)
        action = self._agent.plan().actions[0]
        self._agent.memory.acted(seen.time, action)
        return action
