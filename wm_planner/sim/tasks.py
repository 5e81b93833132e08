"""The simulated tasks: where things start, what a goal is, when it is reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from wm_planner.sim.rover import RADIUS
from wm_planner.sim.world import CameraPose, SceneState, World


@dataclass(frozen=True)
class Task:
    """A task of the simulated robot. Lengths in metres, durations in control steps."""

    name: str
    contract: str
    with_cube: bool
    camera: CameraPose
    sample: Callable[[np.random.Generator], SceneState]
    truth: str  # the ground truth (see World.truth) that `position` is taken from
    position: Callable[[World], np.ndarray]
    place: Callable[[SceneState], np.ndarray]  # what `position` is when a scene has been put in place
    tolerance: float
    hold: int  # consecutive steps within tolerance that make a success
    max_steps: int
    min_distance: float  # between start and goal
    lamp: tuple[float, float, float]  # where a lamp is seen but in nobody's way
    wide: Callable[[np.random.Generator], SceneState] | None = None  # scenes from further out, to learn from

    def start_and_goal(self, seed: int) -> tuple[SceneState, SceneState]:
        """A start and a goal scene at least `min_distance` apart; the same for the same seed."""
        rng = np.random.default_rng([seed, _EVALUATION])
        start = self.sample(rng)
        while True:
            goal = self.sample(rng)
            if np.linalg.norm(self.place(goal) - self.place(start)) >= self.min_distance:
                return start, goal


# Separate streams of random numbers: no evaluation scene is ever drawn while collecting.
_EVALUATION = 0x60A1
COLLECTION = 0xDA7A


def _reach_scene(rng: np.random.Generator) -> SceneState:
    x, y, z = rng.uniform((0.35, -0.23, 0.07), (0.63, 0.23, 0.40))
    return SceneState((x, y, z))


CUBE_LOW, CUBE_HIGH = np.array((0.40, -0.16)), np.array((0.62, 0.16))
TOOL_LOW, TOOL_HIGH = np.array((0.31, -0.24)), np.array((0.69, 0.24))
TOOL_HEIGHT = 0.02
_WIDE_LOW, _WIDE_HIGH = np.array((0.29, -0.27)), np.array((0.72, 0.27))  # where the cube can be pushed to


def _push_scene(rng: np.random.Generator, low: np.ndarray = CUBE_LOW, high: np.ndarray = CUBE_HIGH) -> SceneState:
    cube = rng.uniform(low, high)
    yaw = rng.uniform(-np.pi / 4, np.pi / 4)
    while True:
        tool = rng.uniform(TOOL_LOW, TOOL_HIGH)
        if np.linalg.norm(tool - cube) > 0.07:
            return SceneState((tool[0], tool[1], TOOL_HEIGHT), (cube[0], cube[1], yaw))


ROOM_LOW, ROOM_HIGH = np.array((0.20, -0.84)), np.array((0.84, 0.84))  # of the room at x > 0, clear of the walls


def _rooms_scene(rng: np.random.Generator) -> SceneState:
    x, y = rng.uniform(ROOM_LOW, ROOM_HIGH)
    return SceneState((rng.choice((-1.0, 1.0)) * x, y, rng.uniform(-np.pi, np.pi)))


def _cube_place(scene: SceneState) -> np.ndarray:
    assert scene.cube is not None
    return np.array(scene.cube[:2])


TASKS = {
    task.name: task
    for task in (
        Task(
            name="panda_reach",
            contract="panda_reach",
            with_cube=False,
            camera=CameraPose(eye=(1.10, 0.45, 0.70), target=(0.42, -0.02, 0.34), fov=64.971),
            sample=_reach_scene,
            truth="tool",
            position=lambda world: world.panda.tool_position(),
            place=lambda scene: np.array(scene.robot),
            tolerance=0.03,
            hold=10,
            max_steps=60,
            min_distance=0.06,
            lamp=(0.75, -0.30, 0.0),
        ),
        Task(
            name="panda_push",
            contract="panda_push",
            with_cube=True,
            camera=CameraPose(eye=(1.52, 0.0, 0.88), target=(0.50, 0.0, 0.08), fov=34.0, samples=1.5),
            sample=_push_scene,
            truth="object",
            position=lambda world: world.cube_pose()[:2],
            place=_cube_place,
            tolerance=0.03,
            hold=10,
            max_steps=150,
            min_distance=0.06,
            lamp=(0.72, -0.17, 0.0),
            wide=partial(_push_scene, low=_WIDE_LOW, high=_WIDE_HIGH),
        ),
        Task(
            name="rover_rooms",
            contract="rover_rooms",
            with_cube=False,
            camera=CameraPose(eye=(0.0, 0.0, 2.2), target=(0.0, 0.0, 0.0), fov=62.738, up=(0.0, 1.0, 0.0), samples=2.0),
            sample=_rooms_scene,
            truth="base",
            position=lambda world: world.truth()["base"][:2],
            place=lambda scene: np.array(scene.robot[:2]),
            tolerance=RADIUS,  # half the robot's length: the goal lies under it
            hold=10,
            max_steps=150,  # both rooms end to end take 60 to 80
            min_distance=0.5,  # which leaves more than half of the goals in the other room
            lamp=(0.0, -0.80, 0.15),
        ),
    )
}


def get_task(name: str) -> Task:
    """Look a task up by name.

    Raises:
        KeyError: names the tasks there are.
    """
    if name not in TASKS:
        raise KeyError(f"no task {name!r}, expected one of {sorted(TASKS)}")
    return TASKS[name]
