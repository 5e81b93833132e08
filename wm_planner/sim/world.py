"""Physics, scene and camera around a robot."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pybullet
from pybullet_utils.bullet_client import BulletClient

from wm_planner.configurator.contract import Contract
from wm_planner.sim.panda import Panda
from wm_planner.sim.robot import Robot
from wm_planner.sim.rover import Rover
from wm_planner.sim.scenery import Scenery, box, rooms, table

PHYSICS_DT = 1.0 / 240.0
SERVO_STEPS = 4  # physics steps between two updates of the robot's controllers: 60 Hz
CUBE_SIDE = 0.06
CUBE_MASS = 0.12
CUBE_FRICTION = 0.5
_CUBE_RGBA = (0.85, 0.15, 0.12, 1.0)
_OBSTACLE_HALF = (0.03, 0.03, 0.08)
_OBSTACLE_RGBA = (0.15, 0.60, 0.25, 1.0)


@dataclass(frozen=True)
class CameraPose:
    """A camera looking from `eye` at `target` (metres, base frame); vertical field of view in degrees, margin included.

    samples: along each side, samples taken per pixel of the image and averaged. A sensor averages the light on a pixel;
    of one sample each, edges jump from pixel to pixel.
    """

    eye: tuple[float, float, float]
    target: tuple[float, float, float]
    fov: float
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)
    samples: float = 1.0


@dataclass(frozen=True)
class Light:
    """Where the light comes from, and the shares of a surface's colour it gives from all sides and from there."""

    direction: tuple[float, float, float] = (0.6, 0.4, 1.4)
    ambient: float = 0.6
    diffuse: float = 0.35


@dataclass(frozen=True)
class SceneState:
    """What a reset puts in place.

    robot: the Panda's tool (x, y, z), or the rover's base (x, y, yaw); cube: (x, y, yaw), or None where there is none.
    """

    robot: tuple[float, float, float]
    cube: tuple[float, float, float] | None = None


class World:
    """One PyBullet instance. Same resets and commands, same trajectory: stepping is deterministic."""

    def __init__(
        self,
        contract: Contract,
        camera: CameraPose,
        with_cube: bool,
        gui: bool = False,
        command_timeout: float = 0.3,
    ) -> None:
        if len(contract.cameras) != 1:
            raise ValueError(f"contract {contract.name} has {len(contract.cameras)} cameras, expected 1 in simulation")
        self.client = BulletClient(pybullet.GUI if gui else pybullet.DIRECT)
        self.camera, self.light = camera, Light()
        self.client.setGravity(0.0, 0.0, -9.81)
        self.client.setTimeStep(PHYSICS_DT)
        self.robot, self.scenery = _build(self.client, contract, command_timeout)
        self.cube: int | None = None
        if with_cube:
            self.add_cube(CUBE_SIDE)
        self.obstacle: int | None = None
        self.steps = 0

    @property
    def panda(self) -> Panda:
        """The robot, where it is a Panda."""
        if not isinstance(self.robot, Panda):
            raise ValueError(f"the robot of this world is a {type(self.robot).__name__}, expected a Panda")
        return self.robot

    @property
    def time(self) -> float:
        """Simulated seconds since the last reset."""
        return self.steps * PHYSICS_DT

    def reset(self, state: SceneState) -> None:
        self.robot.place(np.asarray(state.robot))
        if self.cube is not None:
            if state.cube is None:
                raise ValueError("this world has a cube: the scene state must place it")
            self.place_cube(*state.cube)
        self.remove_obstacle()
        self.steps = 0

    def add_cube(self, side: float) -> None:
        """A cube of `side` metres in place of the one there was."""
        if self.cube is not None:
            self.client.removeBody(self.cube)
        half = self._cube_half = side / 2
        self.cube = box(self.client, (half, half, half), CUBE_MASS, (0.5, 0.0, half), _CUBE_RGBA)
        self.client.changeDynamics(
            self.cube, -1, lateralFriction=CUBE_FRICTION, spinningFriction=0.004, rollingFriction=0.0
        )

    def place_cube(self, x: float, y: float, yaw: float) -> None:
        """Put the cube down at rest; metres, radians."""
        # Out of everything's reach first: contacts cached near the old place would leak into the new run.
        self.client.resetBasePositionAndOrientation(self.cube, (0, 0, 10), (0, 0, 0, 1))
        self.client.performCollisionDetection()
        self.client.resetBasePositionAndOrientation(
            self.cube, (x, y, self._cube_half), self.client.getQuaternionFromEuler((0.0, 0.0, yaw))
        )
        self.client.resetBaseVelocity(self.cube, (0, 0, 0), (0, 0, 0))

    def place_obstacle(self, x: float, y: float, yaw: float) -> None:
        """Put a post that no model has seen on the floor, metres, radians; it stands still there until a reset."""
        pose = (x, y, _OBSTACLE_HALF[2]), self.client.getQuaternionFromEuler((0.0, 0.0, yaw))
        if self.obstacle is None:
            self.obstacle = box(self.client, _OBSTACLE_HALF, 0.0, pose[0], _OBSTACLE_RGBA)
        self.client.resetBasePositionAndOrientation(self.obstacle, *pose)

    def remove_obstacle(self) -> None:
        """Take the post away, if there is one."""
        if self.obstacle is not None:
            self.client.removeBody(self.obstacle)
            self.obstacle = None

    def step(self, physics_steps: int) -> None:
        for _ in range(physics_steps):
            if self.steps % SERVO_STEPS == 0:
                self.robot.servo(self.time, SERVO_STEPS * PHYSICS_DT)
            self.client.stepSimulation()
            self.steps += 1

    def render(self, width: int, height: int) -> np.ndarray:
        """Camera image, shape (height, width, 3), uint8 RGB."""
        c, light = self.camera, self.light
        columns, rows = round(c.samples * width), round(c.samples * height)
        view = self.client.computeViewMatrix(c.eye, c.target, c.up)
        projection = self.client.computeProjectionMatrixFOV(c.fov, width / height, 0.05, 3.0)
        image = self.client.getCameraImage(
            columns,
            rows,
            view,
            projection,
            lightDirection=light.direction,
            lightAmbientCoeff=light.ambient,
            lightDiffuseCoeff=light.diffuse,
            shadow=0,
            renderer=self.client.ER_TINY_RENDERER,
            flags=self.client.ER_NO_SEGMENTATION_MASK,
        )[2]
        pixels = np.reshape(np.asarray(image, np.uint8), (rows, columns, 4))
        return np.ascontiguousarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)[..., :3])

    def cube_pose(self) -> np.ndarray:
        """Ground truth (x, y, z, yaw) of the cube; metres, radians."""
        if self.cube is None:
            raise ValueError("this world has no cube")
        position, orientation = self.client.getBasePositionAndOrientation(self.cube)
        return np.array([*position, self.client.getEulerFromQuaternion(orientation)[2]])

    def truth(self) -> dict[str, np.ndarray]:
        """Ground truth by name, metres and radians: points (x, y, z) and poses (x, y, z, yaw)."""
        truth = self.robot.truth()
        return truth if self.cube is None else {**truth, "object": self.cube_pose()}

    def save(self) -> tuple:
        """Snapshot for `restore`; free it with `forget`."""
        return self.client.saveState(), self.robot.servo_state(), self.steps

    def restore(self, snapshot: tuple) -> None:
        state, servo, self.steps = snapshot
        self.client.restoreState(state)
        self.robot.restore_servo(servo)

    def forget(self, snapshot: tuple) -> None:
        self.client.removeState(snapshot[0])

    def close(self) -> None:
        self.client.disconnect()


def _build(client: BulletClient, contract: Contract, command_timeout: float) -> tuple[Robot, Scenery]:
    """The robot a contract names, and the scenery it belongs to."""
    if contract.robot == "panda":
        scenery = table(client)
        return Panda(client, contract, command_timeout), scenery
    if contract.robot == "rover":
        scenery = rooms(client)
        return Rover(client, contract, command_timeout), scenery
    raise ValueError(f"contract {contract.name}: no simulated robot {contract.robot!r}, expected 'panda' or 'rover'")
