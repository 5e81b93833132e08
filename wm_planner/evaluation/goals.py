"""Where goal images come from."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from wm_planner.data.collect import ground_truth
from wm_planner.sim.environment import Environment
from wm_planner.sim.play import PLAY, Play
from wm_planner.sim.play.random import RandomPlay
from wm_planner.sim.tasks import SceneState

# placed: everything is put where it shall be, the robot anywhere; scripted: what play brings about from the
# start; random: what random motion brings about.
GoalKind = Literal["placed", "scripted", "random"]

_GOALS = 0x60A15  # stream of random numbers
_LONGEST = 5000  # control steps until play or random motion has made a difference


class Goal(NamedTuple):
    """A start, and a goal: its image (height, width, 3) uint8, the position that counts (m), and all its truth."""

    start: SceneState
    image: np.ndarray
    position: np.ndarray
    truth: np.ndarray


def make_goal(env: Environment, seed: int, kind: GoalKind = "placed") -> Goal:
    """The goal of an evaluation scene; the same for the same seed. Leaves the environment at the goal.

    Raises:
        RuntimeError: nothing came of a very long time of motion.
    """
    start, placed = env.task.start_and_goal(seed)
    if kind == "placed":
        image = env.image_of(placed)
    else:
        rng = np.random.default_rng([seed, _GOALS])
        env.reset(start)
        play = PLAY[env.task.name](env, rng) if kind == "scripted" else RandomPlay(env, rng)
        image = _play_out(env, play, int(rng.integers(30, 120)))
    return Goal(start, image, env.task.position(env.world), ground_truth(env))


def _play_out(env: Environment, play: Play, steps: int) -> np.ndarray:
    """Play for at least `steps` control steps, until the position that counts is far enough from its start."""
    begin = env.task.position(env.world)
    for step in range(_LONGEST):
        env.move(play.act())
        if step >= steps and env.distance(begin) >= env.task.min_distance:
            return env.image()
    raise RuntimeError(f"{env.task.name}: nothing had moved {env.task.min_distance} m after {_LONGEST} control steps")
