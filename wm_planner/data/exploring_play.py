"""Play broken off again and again by what a planner's search tries: a model has to know where that leads, too."""

from __future__ import annotations

import numpy as np
import torch

from wm_planner.actor.icem import coloured_noise
from wm_planner.sim.environment import Environment
from wm_planner.sim.play import PLAY

# Of the noise, in shares of the action's limits (see `coloured_noise`): that of a planner's search, which has 0.5, and
# the mean that it is drawn about besides.
_STD, _EXPONENT = 0.7, 1.0
_BURST, _BETWEEN = (8, 17), (3, 12)  # control steps


class ExploringPlay:
    """Bursts of coloured noise, and the task's play between them."""

    def __init__(self, env: Environment, rng: np.random.Generator) -> None:
        self._play, self._rng = PLAY[env.task.name](env, rng), rng
        self._bursting, self._left = False, 0
        self._burst = np.zeros((0, env.contract.action_dim))
        self.attempt = -1

    def act(self) -> np.ndarray:
        """Normalised action, shape (A,)."""
        if self._left == 0:
            self._bursting = not self._bursting
            self._left = int(self._rng.integers(*(_BURST if self._bursting else _BETWEEN)))
            if self._bursting:
                self._burst = self._noise(self._left)
        self._left -= 1
        played = self._play.act()  # during a burst, too: its script goes on with time
        return self._burst[-1 - self._left] if self._bursting else played

    def _noise(self, steps: int) -> np.ndarray:
        generator = torch.Generator().manual_seed(int(self._rng.integers(2**31)))
        shape = torch.Size((1, steps, self._burst.shape[1]))
        noise = _STD * coloured_noise(shape, _EXPONENT, generator, torch.device("cpu"))[0]
        return noise.clamp(-1.0, 1.0).double().numpy()
