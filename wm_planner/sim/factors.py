"""Factors of variation: one thing about a running simulation is other than in the training data.

Each is drawn anew for every trial, from nominal, and holds for the goal image as well (stable-worldmodel, 2026,
measures world models in the same way).
"""

from __future__ import annotations

import colorsys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from wm_planner.sim.environment import Environment
from wm_planner.sim.scenery import RGBA
from wm_planner.sim.world import CUBE_FRICTION, CUBE_MASS, CUBE_SIDE, Light


class Factor(NamedTuple):
    """vary: applies the factor; what: says how far; of_object: needs an object."""

    vary: Callable[[Environment, np.random.Generator], None]
    what: str
    of_object: bool = False


def _colour(rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]) -> RGBA:
    return (*colorsys.hsv_to_rgb(rng.random(), rng.uniform(*saturation), rng.uniform(*value)), 1.0)


def _floor_colour(env: Environment, rng: np.random.Generator) -> None:
    env.world.client.changeVisualShape(env.world.scenery.floor, -1, rgbaColor=_colour(rng, (0, 0.6), (0.15, 0.7)))


def _robot_colour(env: Environment, rng: np.random.Generator) -> None:
    world, colour = env.world, _colour(rng, (0.1, 0.7), (0.4, 1.0))
    for link in set(range(-1, world.client.getNumJoints(world.robot.body))) - set(world.robot.markers):
        world.client.changeVisualShape(world.robot.body, link, rgbaColor=colour)


def _object_colour(env: Environment, rng: np.random.Generator) -> None:
    env.world.client.changeVisualShape(env.world.cube, -1, rgbaColor=_colour(rng, (0.6, 1), (0.5, 0.95)))


def _object_size(env: Environment, rng: np.random.Generator) -> None:
    env.world.add_cube(CUBE_SIDE * rng.uniform(0.8, 1.25))


def _object_mass(env: Environment, rng: np.random.Generator) -> None:
    env.world.client.changeDynamics(env.world.cube, -1, mass=CUBE_MASS * 2.0 ** rng.uniform(-1, 1))


def _friction(env: Environment, rng: np.random.Generator) -> None:
    env.world.client.changeDynamics(env.world.cube, -1, lateralFriction=CUBE_FRICTION * 1.6 ** rng.uniform(-1, 1))


def _light_direction(env: Environment, rng: np.random.Generator) -> None:
    turn, height = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(30, 90))
    direction = (np.cos(turn) * np.cos(height), np.sin(turn) * np.cos(height), np.sin(height))
    env.world.light = Light(direction=direction)


def _light_intensity(env: Environment, rng: np.random.Generator) -> None:
    gain, usual = 1.5 ** rng.uniform(-1, 1), Light()
    env.world.light = Light(usual.direction, gain * usual.ambient, gain * usual.diffuse)


def move_camera(env: Environment, rng: np.random.Generator, metres: float = 0.0, degrees: float = 0.0) -> None:
    """From where the task has it, in a random direction, and turned about a random axis."""
    pose = env.task.camera
    eye, rotation = np.add(pose.eye, metres * _unit(rng)), cv2.Rodrigues(np.radians(degrees) * _unit(rng))[0]
    target, up = eye + rotation @ np.subtract(pose.target, pose.eye), rotation @ np.array(pose.up)
    env.world.camera = replace(pose, eye=tuple(eye), target=tuple(target), up=tuple(up))


def _unit(rng: np.random.Generator) -> np.ndarray:
    vector = rng.normal(size=3)
    return vector / np.linalg.norm(vector)


def blobs(env: Environment, rng: np.random.Generator, across: int = 12) -> int:
    """A texture of as many coloured blobs across; PyBullet keeps it for good."""
    colours = rng.uniform(0.1, 0.6, (across, across, 3)).astype(np.float32)
    blobs = cv2.resize(colours, (256, 256), interpolation=cv2.INTER_CUBIC)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texture.png"
        cv2.imwrite(str(path), (255 * blobs.clip(0, 1)).astype(np.uint8))
        return env.world.client.loadTexture(str(path))


def cover(env: Environment, texture: int) -> None:
    """Floor and walls with a texture."""
    for body in env.world.scenery.bodies:
        env.world.client.changeVisualShape(body, -1, rgbaColor=(1, 1, 1, 1), textureUniqueId=texture)


def _background(env: Environment, rng: np.random.Generator) -> None:
    cover(env, blobs(env, rng))


def _noise(env: Environment, rng: np.random.Generator) -> None:
    def sensor(image: np.ndarray) -> np.ndarray:
        return (image + rng.normal(0, 8.0, image.shape)).clip(0, 255).astype(np.uint8)

    env.sensor = sensor


def _blur(env: Environment, rng: np.random.Generator) -> None:
    sigma = rng.uniform(1.0, 2.0)
    env.sensor = lambda image: cv2.GaussianBlur(image, (0, 0), sigma)


def _latency(env: Environment, rng: np.random.Generator, frames: int) -> None:
    env.latency = frames


FACTORS: dict[str, Factor] = {
    "floor colour": Factor(_floor_colour, "any hue, saturation to 0.6, value 0.15 to 0.7"),
    "robot colour": Factor(_robot_colour, "any hue, saturation 0.1 to 0.7, value 0.4 to 1; not its markers"),
    "object colour": Factor(_object_colour, "any hue, saturation above 0.6, value 0.5 to 0.95", of_object=True),
    "object size": Factor(_object_size, "0.8 to 1.25 times", of_object=True),
    "object mass": Factor(_object_mass, "0.5 to 2 times", of_object=True),
    "friction": Factor(_friction, "0.6 to 1.6 times", of_object=True),
    "light direction": Factor(_light_direction, "from anywhere above 30 degrees"),
    "light intensity": Factor(_light_intensity, "0.67 to 1.5 times"),
    **{
        f"camera {cm} cm": Factor(partial(move_camera, metres=cm / 100), "moved in a random direction")
        for cm in (2, 5, 10)
    },
    **{
        f"camera {degrees} degrees": Factor(partial(move_camera, degrees=degrees), "turned about a random axis")
        for degrees in (2, 5, 10)
    },
    "background": Factor(_background, "floor and walls covered with coloured blobs"),
    "sensor noise": Factor(_noise, "standard deviation of 8 grey levels"),
    "image blur": Factor(_blur, "Gaussian of 1 to 2 pixels"),
    **{f"latency {n}": Factor(partial(_latency, frames=n), f"observations {n} control steps late") for n in (1, 2, 3)},
}


def factors_of(env_has_object: bool) -> list[str]:
    """The names of the factors that a task with or without an object has."""
    return [name for name, factor in FACTORS.items() if env_has_object or not factor.of_object]
