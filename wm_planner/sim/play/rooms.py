"""Driving about two rooms: through the door and back, into walls, backwards, turning, standing."""

from __future__ import annotations

import numpy as np

from wm_planner.sim.environment import Environment
from wm_planner.sim.scenery import DOOR_ENDS, DOOR_WIDTH, DOOR_Y

_BESIDE = 0.30  # from the dividing wall to where the way through the door begins and ends, metres
_PASSAGE = 0.20  # nearer to the dividing wall than this, the rover is in the door
_DURATION = {"travel": (50, 110), "straight": (20, 60), "aimless": (4, 20)}  # control steps


class RoomsPlay:
    """Travel to random poses, mixed with driving straight ahead whatever stands there, and with aimless motion.

    Travel alone would avoid the walls so well that a model of it may drive through them.
    """

    def __init__(self, env: Environment, rng: np.random.Generator) -> None:
        self._env, self._rng = env, rng
        self._limit = np.asarray(env.contract.action.limit)
        self._noise = np.zeros(2)
        self._kind, self._count, self.attempt = "", 0, -1
        self._new_segment()

    def _new_segment(self) -> None:
        rng = self._rng
        # Away from where driving straight ended: how far it is from there to the other room has to be known.
        blocked = self._kind == "straight"
        self._kind = "travel" if blocked else rng.choice(("travel", "straight", "aimless"), p=(0.4, 0.35, 0.25))
        self._steps_left = int(rng.integers(*_DURATION[self._kind]))
        self._count += 1
        self.attempt = -1 if self._kind == "straight" else self._count  # what ends at a wall is nothing to imitate
        self._noise_scale = rng.choice([0.05, 0.15, 0.4], p=[0.5, 0.35, 0.15])
        self._speed = rng.uniform(0.6, 1.0)
        self._backwards = rng.random() < 0.25
        target = np.array(self._env.task.sample(rng).robot)
        if rng.random() < 0.4:  # that makes 7 of 10 travels lead through the door
            target[0] = -np.copysign(target[0], self._pose()[0])
        if self._kind == "straight" and rng.random() < 0.6:
            target = self._beyond_a_post()
        self._target = target
        self._motion = _aimless(rng)

    def act(self) -> np.ndarray:
        """Normalised action, shape (2,)."""
        self._steps_left -= 1
        if self._steps_left < 0 or (self._kind == "travel" and self._arrived()):
            self._new_segment()
        action = self._motion if self._kind == "aimless" else self._drive()
        self._noise = 0.7 * self._noise + 0.7 * self._rng.normal(size=2)
        return np.clip(action + self._noise_scale * self._noise, -1.0, 1.0)

    def _pose(self) -> np.ndarray:
        """(x, y, yaw)."""
        return self._env.world.truth()["base"][[0, 1, 3]]

    def _beyond_a_post(self) -> np.ndarray:
        """A pose in the other room, in a line with one side of the door: most of what blocks the way is met there."""
        pose = self._pose()
        post = np.array((0.0, self._rng.choice(DOOR_ENDS) + self._rng.uniform(-0.2, 0.2)))
        return np.array((*(pose[:2] + 2.0 * (post - pose[:2])), self._rng.uniform(-np.pi, np.pi)))

    def _arrived(self) -> bool:
        pose = self._pose()
        near = np.linalg.norm(pose[:2] - self._target[:2]) < 0.06 and abs(wrapped(self._target[2] - pose[2])) < 0.2
        return bool(near and self._rng.random() < 0.2)  # having come, stay for a while

    def _drive(self) -> np.ndarray:
        pose = self._pose()
        towards = waypoint(pose[:2], self._target) if self._kind == "travel" else self._target[:2]
        twist = drive_to(pose, self._target, towards, self._backwards)
        return twist / self._limit / max(np.abs(twist / self._limit).max() / self._speed, 1.0)


def _aimless(rng: np.random.Generator) -> np.ndarray:
    """A twist to hold for a while, normalised: turn on the spot, drive backwards, follow an arc, stand still."""
    ahead, turn = rng.uniform(-1.0, 1.0, 2)
    return (
        np.array([0.0, turn]),
        np.array([-abs(ahead), 0.3 * turn]),
        np.array([abs(ahead), 0.5 * turn]),
        np.array([ahead, turn]),
        np.zeros(2),
    )[rng.choice(5, p=[0.2, 0.2, 0.25, 0.2, 0.15])]


def wrapped(angle: float) -> float:
    """The same angle in [-pi, pi)."""
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def waypoint(position: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Where to head for next, (2,), on the way through the door if the target is in the other room."""
    side, there = np.sign(position[0]), np.sign(target[0])
    beyond = np.array((there * _BESIDE, DOOR_Y))
    off_centre = abs(position[1] - DOOR_Y)
    if abs(position[0]) < _PASSAGE and off_centre < DOOR_WIDTH / 2:
        return beyond
    if side == there:
        return target[:2]
    return beyond if off_centre < 0.1 else np.array((side * _BESIDE, DOOR_Y))


def drive_to(pose: np.ndarray, target: np.ndarray, towards: np.ndarray, backwards: bool = False) -> np.ndarray:
    """Twist (m/s, rad/s) that brings the rover at pose (x, y, yaw) to the target (x, y, yaw), by way of (x, y)."""
    offset = towards - pose[:2]
    distance = float(np.linalg.norm(offset))
    if distance < 0.05 and np.linalg.norm(target[:2] - pose[:2]) < 0.05:
        return np.array([0.0, 3.0 * wrapped(target[2] - pose[2])])
    ahead = -1.0 if backwards else 1.0
    error = wrapped(np.arctan2(ahead * offset[1], ahead * offset[0]) - pose[2])
    return np.array([ahead * max(np.cos(error), 0.0) ** 3 * min(2.5 * distance, 0.4), 3.0 * error])
