"""Pushing the cube: pushes that succeed, pushes that slip, and wandering about it."""

from __future__ import annotations

import numpy as np

from wm_planner.sim.environment import Environment
from wm_planner.sim.tasks import CUBE_HIGH, CUBE_LOW, TOOL_HIGH, TOOL_LOW
from wm_planner.sim.world import CUBE_SIDE


class PushPlay:
    """Push the cube to random places, often leave it there, wander about and into it, and mix these."""

    def __init__(self, env: Environment, rng: np.random.Generator) -> None:
        self._env, self._rng = env, rng
        self._noise = np.zeros(2)
        self.attempt = -1
        self._new_segment(*self._places())

    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        """Where tool and cube are, (2,) each."""
        return self._env.world.panda.tool_position()[:2], self._env.world.cube_pose()[:2]

    def _new_segment(self, tool: np.ndarray, cube: np.ndarray, brought: bool = False) -> None:
        rng = self._rng
        # Goals show the cube in place and the arm anywhere: so what was brought somewhere is often left alone.
        self._leaving = brought and rng.random() < 0.6
        self.attempt += not self._leaving
        self._pushing = not self._leaving and rng.random() < 0.85
        self._target = rng.uniform(CUBE_LOW, CUBE_HIGH)
        self._waypoint = rng.uniform(TOOL_LOW, TOOL_HIGH)
        if not self._pushing and not self._leaving and rng.random() < 0.5:  # behind the cube: run into it
            self._waypoint = np.clip(cube + 0.5 * (cube - tool), TOOL_LOW, TOOL_HIGH)
        self._speed = rng.uniform(0.6, 1.0)
        self._noise_scale = rng.choice([0.05, 0.15, 0.5], p=[0.6, 0.3, 0.1])
        self._steps_left = int(rng.integers(50, 90)) if self._pushing else int(rng.integers(8, 30))

    def act(self) -> np.ndarray:
        """Normalised action, shape (2,)."""
        self._steps_left -= 1
        tool, cube = self._places()
        arrived = np.linalg.norm((self._target - cube) if self._pushing else (self._waypoint - tool)) < 0.012
        if self._steps_left <= 0 or arrived:
            self._new_segment(tool, cube, brought=self._pushing and bool(arrived))
        reach = np.asarray(self._env.contract.action.limit)
        self._noise = 0.7 * self._noise + 0.7 * self._rng.normal(size=2)
        velocity = self._velocity(tool, cube)
        norm = max(np.linalg.norm(velocity / reach) / self._speed, 1.0)
        return np.clip(velocity / reach / norm + self._noise_scale * self._noise, -1.0, 1.0)

    def _velocity(self, tool: np.ndarray, cube: np.ndarray) -> np.ndarray:
        """Where the segment wants to go, (2,) m/s."""
        if self._pushing:
            return push_step(tool, cube, self._target)
        velocity = (self._waypoint - tool) / 0.1
        return round_the_cube(velocity, tool - cube) if self._leaving else velocity


def round_the_cube(velocity: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """A velocity (2,) that does not run into the cube, `offset` (2,) metres away: slide along it, and keep off."""
    distance = np.linalg.norm(offset)
    outward = offset / (distance + 1e-9)
    inward = min(float(velocity @ outward), 0.0)
    if distance > CUBE_SIDE + 0.02 or inward == 0.0:
        return velocity
    return velocity - inward * outward + 3.0 * (CUBE_SIDE - distance) * outward


def push_step(tool: np.ndarray, cube: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Tool velocity, shape (2,) m/s, that brings the cube towards the target.

    Behind the cube: push through its centre, correcting sideways drift. Anywhere else: circle it.
    """
    push = (target - cube) / (np.linalg.norm(target - cube) + 1e-9)
    side = np.array([-push[1], push[0]])
    offset = tool - cube
    along, across = float(offset @ push), float(offset @ side)
    radius = 0.5 * CUBE_SIDE + 0.03
    if along < -0.02 and abs(across) < 0.018:
        # Steering: a contact point left of the line turns the cube right, so lean against the drift.
        return 0.15 * push - 2.0 * across * side
    station = cube - push * radius
    if along < -0.5 * CUBE_SIDE and abs(across) < 0.6 * radius:
        return 2.5 * (station - tool) - 3.0 * across * side
    angle = np.arctan2(offset[1], offset[0])
    goal_angle = np.arctan2(-push[1], -push[0])
    turn = (goal_angle - angle + np.pi) % (2 * np.pi) - np.pi
    tangent = np.array([-np.sin(angle), np.cos(angle)]) * np.sign(turn)
    outward = offset / (np.linalg.norm(offset) + 1e-9)
    return 0.25 * tangent + 3.0 * (radius + 0.012 - np.linalg.norm(offset)) * outward
