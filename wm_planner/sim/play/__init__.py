"""Scripted play: the motions a robot makes while its experience is recorded, one file per task.

Play reads ground truth; nothing else does. It covers what planning will need: free motion, contact from
every side, what succeeds and what slips.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from wm_planner.sim.environment import Environment
from wm_planner.sim.play.push import PushPlay
from wm_planner.sim.play.random import RandomPlay
from wm_planner.sim.play.reach import ReachPlay
from wm_planner.sim.play.rooms import RoomsPlay


class Play(Protocol):
    """Chooses actions one after another.

    attempt: number of the end they are made to, negative where there is none; it changes in `act`.
    """

    attempt: int

    def act(self) -> np.ndarray:
        """Normalised action, shape (A,)."""
        ...


PLAY: dict[str, Callable[[Environment, np.random.Generator], Play]] = {
    "panda_reach": ReachPlay,
    "panda_push": PushPlay,
    "rover_rooms": RoomsPlay,
}

# Of this many episodes one is random motion: a planner will try what scripts never do.
RANDOM_EVERY = {"panda_push": 6, "rover_rooms": 6}


def make_play(env: Environment, rng: np.random.Generator, index: int) -> Play:
    """The play of a collection's `index`-th episode."""
    every = RANDOM_EVERY.get(env.task.name)
    return RandomPlay(env, rng) if every and index % every == every - 1 else PLAY[env.task.name](env, rng)
