"""Wandering about the workspace."""

from __future__ import annotations

import numpy as np

from wm_planner.sim.environment import Environment


class ReachPlay:
    """Move to random waypoints at random speeds, with coloured noise on the actions."""

    def __init__(self, env: Environment, rng: np.random.Generator) -> None:
        self._env, self._rng = env, rng
        self._dim = env.contract.action_dim
        self._noise = np.zeros(self._dim)
        self.attempt = -1
        self._new_segment()

    def _new_segment(self) -> None:
        self.attempt += 1
        self._waypoint = np.asarray(self._env.task.sample(self._rng).robot)
        self._speed = self._rng.uniform(0.3, 1.0)
        self._noise_scale = self._rng.choice([0.05, 0.2, 0.6])
        self._steps_left = int(self._rng.integers(5, 40))

    def act(self) -> np.ndarray:
        """Normalised action, shape (A,)."""
        self._steps_left -= 1
        tool = self._env.world.panda.tool_position()
        offset = (self._waypoint - tool)[: self._dim]
        if self._steps_left <= 0 or (np.linalg.norm(offset) < 0.01 and self._rng.random() < 0.2):
            self._new_segment()
        self._noise = 0.7 * self._noise + 0.7 * self._rng.normal(size=self._dim)
        reach = np.asarray(self._env.contract.action.limit) * self._env.contract.dt
        heading = np.clip(offset / reach, -self._speed, self._speed)
        return np.clip(heading + self._noise_scale * self._noise, -1.0, 1.0)
