"""Random motion: what scripts never do, such as leaning on the edge of the workspace."""

from __future__ import annotations

import numpy as np

from wm_planner.sim.environment import Environment

_CHANGE = 0.15  # chance of a new velocity at a control step: white noise would get nowhere


class RandomPlay:
    """Random velocities, each held for a while."""

    def __init__(self, env: Environment, rng: np.random.Generator) -> None:
        self._rng = rng
        self._action = np.zeros(env.contract.action_dim)
        self.attempt = -1

    def act(self) -> np.ndarray:
        """Normalised action, shape (A,)."""
        if self._rng.random() < _CHANGE:
            self._action = self._rng.uniform(-1.0, 1.0, self._action.shape)
        return self._action
