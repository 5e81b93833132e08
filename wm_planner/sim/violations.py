"""What cannot happen and what does not matter, done to a running simulation and undone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from wm_planner.sim.environment import Environment
from wm_planner.sim.world import Light

FAR = 0.08  # metres a teleported object moves at least
CLEAR = 0.08  # metres it stays from the robot's tool
_AWAY = (5.0, 5.0, -5.0)


def teleport(env: Environment, rng: np.random.Generator) -> None:
    """Put the object, or the robot where there is none, somewhere else at once."""
    here = env.task.position(env.world)
    while True:
        scene = env.task.sample(rng)
        if scene.cube is None:
            env.world.robot.place(np.asarray(scene.robot))
            if np.linalg.norm(env.task.position(env.world) - here) > FAR:
                return
        elif _is_free(env, np.asarray(scene.cube[:2]), here):
            return env.world.place_cube(*scene.cube)


def _is_free(env: Environment, place: np.ndarray, here: np.ndarray) -> bool:
    tool = env.world.truth()["tool"][:2]
    return bool(np.linalg.norm(place - here) > FAR and np.linalg.norm(place - tool) > CLEAR)


def vanish(env: Environment) -> None:
    """Take the object, or the robot where there is none, out of sight."""
    world = env.world
    body = world.robot.body if world.cube is None else world.cube
    world.client.resetBasePositionAndOrientation(body, _AWAY, (0, 0, 0, 1))


@contextmanager
def obstacle(env: Environment, rng: np.random.Generator) -> Iterator[None]:
    """A post that was never there before stands clear of robot and object."""
    truth = env.world.truth().values()
    while True:
        scene = env.task.sample(rng)
        place = np.asarray(scene.cube or scene.robot)[:2]
        if min(np.linalg.norm(place - there[:2]) for there in truth) > FAR:
            break
    env.world.place_obstacle(float(place[0]), float(place[1]), 0.0)
    try:
        yield
    finally:
        env.world.remove_obstacle()


@contextmanager
def ghost(env: Environment) -> Iterator[None]:
    """The robot passes through the object."""
    world = env.world
    if world.cube is None:
        raise ValueError(f"{env.task.name} has no object to pass through")
    links = range(-1, world.client.getNumJoints(world.robot.body))
    for link in links:
        world.client.setCollisionFilterPair(world.robot.body, world.cube, link, -1, 0)
    try:
        yield
    finally:
        for link in links:
            world.client.setCollisionFilterPair(world.robot.body, world.cube, link, -1, 1)


@contextmanager
def brighter(env: Environment, gain: float) -> Iterator[None]:
    """The light is `gain` times what it was."""
    light = env.world.light
    env.world.light = Light(light.direction, gain * light.ambient, gain * light.diffuse)
    try:
        yield
    finally:
        env.world.light = light


@contextmanager
def recoloured_floor(env: Environment, change: np.ndarray) -> Iterator[None]:
    """The floor's colour with (3,) added to it, as shares of full scale."""
    world = env.world
    rgba = world.client.getVisualShapeData(world.scenery.floor)[0][7]
    colour = np.clip(np.asarray(rgba[:3]) + change, 0.0, 1.0)
    world.client.changeVisualShape(world.scenery.floor, -1, rgbaColor=(*colour, 1.0))
    try:
        yield
    finally:
        world.client.changeVisualShape(world.scenery.floor, -1, rgbaColor=rgba)
