"""Play broken off again and again: a model has to know where that leads, too, of which scripts take hardly any."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch

from wm_planner.actor.icem import coloured_noise
from wm_planner.sim.environment import Environment
from wm_planner.sim.play import PLAY
from wm_planner.sim.play.rooms import wrapped
from wm_planner.sim.scenery import DOOR_ENDS

# Of the noise, in shares of the action's limits (see `coloured_noise`): that of a planner's search, which has 0.5, and
# the mean that it is drawn about besides.
_STD, _EXPONENT = 0.7, 1.0
_ASIDE = 0.12  # metres from the object's centre at which strokes go at most
_ACROSS, _INWARDS = 0.1, (0.0, 0.18)  # metres from the wall's end at which shoves go: either way, and into the door
_SPEED = (0.4, 1.0)  # of strokes and shoves, in shares of the action's limits (of strokes: of the least of them)
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


def shove(env: Environment, rng: np.random.Generator, steps: int) -> np.ndarray:
    """At the nearer end of the wall beside the door, more or less as noise has it, (steps, A).

    A rover that has run into one turns, slips and stalls by what its planner tries next.
    """
    x, y, _, yaw = env.world.truth()["base"]
    end, inwards = min(zip(DOOR_ENDS, (1.0, -1.0)), key=lambda side: abs(side[0] - y))
    offset = np.array((rng.uniform(-_ACROSS, _ACROSS) - x, end + inwards * rng.uniform(*_INWARDS) - y))
    turn = wrapped(np.arctan2(offset[1], offset[0]) - yaw)
    ahead = 1.0 if abs(turn) < np.pi / 2 else -1.0
    turn = turn if ahead > 0 else wrapped(turn + np.pi)
    most = env.contract.action.limit[1] * env.contract.dt
    turning = min(math.ceil(abs(turn) / most), steps)
    mean = np.zeros((steps, 2))
    mean[:turning, 1] = turn / most / max(turning, 1)
    mean[turning:, 0] = ahead * rng.uniform(*_SPEED)
    return np.clip(mean + rng.uniform() * noise(env, rng, steps), -1.0, 1.0)


BURSTS: dict[str, Burst] = {"noise": noise, "strokes": stroke, "shoves": shove}


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
