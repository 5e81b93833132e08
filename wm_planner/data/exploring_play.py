"""Play broken off again and again: a model has to know where that leads, too, of which scripts take hardly any."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from wm_planner.actor.icem import coloured_noise
from wm_planner.sim.environment import Environment
from wm_planner.sim.play import PLAY

# Of the noise, in shares of the action's limits (see `coloured_noise`): that of a planner's search, which has 0.5, and
# the mean that it is drawn about besides.
_STD, _EXPONENT = 0.7, 1.0
_ASIDE = 0.12  # metres from the object's centre at which strokes go at most
_SPEED = (0.4, 1.0)  # of strokes, in shares of the least of the action's limits
_BURST, _BETWEEN = (8, 17), (3, 12)  # control steps

Burst = Callable[[Environment, np.random.Generator, int], np.ndarray]


def noise(env: Environment, rng: np.random.Generator, steps: int) -> np.ndarray:
    """What a planner's search tries: coloured noise, (steps, A)."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    shape = torch.Size((1, steps, env.contract.action_dim))
    drawn = _STD * coloured_noise(shape, _EXPONENT, generator, torch.device("cpu"))[0]
    return drawn.clamp(-1.0, 1.0).double().numpy()


def stroke(env: Environment, rng: np.random.Generator, steps: int) -> np.ndarray:
    """One velocity held, past the object or into it, (steps, A): what it takes to move it, or just not to."""
    tool, place = (env.world.truth()[name][:2] for name in ("tool", "object"))
    ahead = (place - tool) / np.linalg.norm(place - tool)
    way = place + rng.uniform(-_ASIDE, _ASIDE) * np.array((-ahead[1], ahead[0])) - tool
    limit = np.asarray(env.contract.action.limit)
    velocity = rng.uniform(*_SPEED) * limit.min() * way / np.linalg.norm(way)
    return np.tile(np.clip(velocity / limit, -1.0, 1.0), (steps, 1))


BURSTS: dict[str, Burst] = {"noise": noise, "strokes": stroke}


class ExploringPlay:
    """Bursts, and the task's play between them."""

    def __init__(self, env: Environment, rng: np.random.Generator, burst: Burst) -> None:
        self._env, self._rng, self._burst = env, rng, burst
        self._play = PLAY[env.task.name](env, rng)
        self._bursting, self._left = False, 0
        self._actions = np.zeros((0, env.contract.action_dim))
        self.attempt = -1

    def act(self) -> np.ndarray:
        """Normalised action, shape (A,)."""
        if self._left == 0:
            self._bursting = not self._bursting
            self._left = int(self._rng.integers(*(_BURST if self._bursting else _BETWEEN)))
            if self._bursting:
                self._actions = self._burst(self._env, self._rng, self._left)
        self._left -= 1
        played = self._play.act()  # during a burst, too: its script goes on with time
        return self._actions[-1 - self._left] if self._bursting else played
