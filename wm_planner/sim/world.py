"""Physics, table, cube and camera around the robot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pybullet
from pybullet_utils.bullet_client import BulletClient

from wm_planner.configurator.contract import Contract
from wm_planner.sim.panda import SERVO_STEPS, Panda

PHYSICS_DT = 1.0 / 240.0
CUBE_SIDE = 0.06
_CUBE_RGBA = (0.85, 0.15, 0.12, 1.0)
_TABLE_RGBA = (0.22, 0.27, 0.33, 1.0)
_WALL_RGBA = (0.33, 0.35, 0.31, 1.0)


@dataclass(frozen=True)
class CameraPose:
    """A camera looking from `eye` at `target` (metres, base frame), vertical field of view in degrees."""

    eye: tuple[float, float, float]
    target: tuple[float, float, float]
    fov: float


@dataclass(frozen=True)
class SceneState:
    """What a reset puts in place: tool (3,), and the cube's (x, y, yaw) or None where there is none."""

    tool: tuple[float, float, float]
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
        self._client = BulletClient(pybullet.GUI if gui else pybullet.DIRECT)
        self._camera = camera
        self._client.setGravity(0.0, 0.0, -9.81)
        self._client.setTimeStep(PHYSICS_DT)
        self._box((1.5, 1.5, 0.02), 0.0, (0.45, 0.0, -0.02), _TABLE_RGBA)
        self._box((0.02, 1.5, 1.0), 0.0, (-0.8, 0.0, 1.0), _WALL_RGBA)
        self._box((1.5, 0.02, 1.0), 0.0, (0.45, -1.2, 1.0), _WALL_RGBA)
        self.panda = Panda(self._client, contract, command_timeout)
        self.cube: int | None = None
        if with_cube:
            half = CUBE_SIDE / 2
            self.cube = self._box((half, half, half), 0.12, (0.5, 0.0, half), _CUBE_RGBA)
            self._client.changeDynamics(self.cube, -1, lateralFriction=0.5, spinningFriction=0.004, rollingFriction=0.0)
        self.steps = 0

    @property
    def time(self) -> float:
        """Simulated seconds since the last reset."""
        return self.steps * PHYSICS_DT

    def reset(self, state: SceneState) -> None:
        self.panda.reset(self.panda.solve(np.asarray(state.tool)))
        if self.cube is not None:
            if state.cube is None:
                raise ValueError("this world has a cube: the scene state must place it")
            x, y, yaw = state.cube
            # Out of everything's reach first: contacts cached near the old place would leak into the new run.
            self._client.resetBasePositionAndOrientation(self.cube, (0, 0, 10), (0, 0, 0, 1))
            self._client.performCollisionDetection()
            self._client.resetBasePositionAndOrientation(
                self.cube, (x, y, CUBE_SIDE / 2), self._client.getQuaternionFromEuler((0.0, 0.0, yaw))
            )
            self._client.resetBaseVelocity(self.cube, (0, 0, 0), (0, 0, 0))
        self.steps = 0

    def step(self, physics_steps: int) -> None:
        for _ in range(physics_steps):
            if self.steps % SERVO_STEPS == 0:
                self.panda.servo(self.time, SERVO_STEPS * PHYSICS_DT)
            self._client.stepSimulation()
            self.steps += 1

    def render(self, width: int, height: int) -> np.ndarray:
        """Camera image, shape (height, width, 3), uint8 RGB."""
        c = self._camera
        view = self._client.computeViewMatrix(c.eye, c.target, (0, 0, 1))
        projection = self._client.computeProjectionMatrixFOV(c.fov, width / height, 0.05, 3.0)
        image = self._client.getCameraImage(
            width,
            height,
            view,
            projection,
            lightDirection=(0.6, 0.4, 1.4),
            shadow=0,
            renderer=self._client.ER_TINY_RENDERER,
            flags=self._client.ER_NO_SEGMENTATION_MASK,
        )[2]
        return np.ascontiguousarray(np.reshape(image, (height, width, 4))[..., :3], np.uint8)

    def cube_pose(self) -> np.ndarray:
        """Ground truth (x, y, z, yaw) of the cube; metres, radians."""
        if self.cube is None:
            raise ValueError("this world has no cube")
        position, orientation = self._client.getBasePositionAndOrientation(self.cube)
        return np.array([*position, self._client.getEulerFromQuaternion(orientation)[2]])

    def save(self) -> tuple:
        """Snapshot for `restore`; free it with `forget`."""
        return self._client.saveState(), self.panda.servo_state(), self.steps

    def restore(self, snapshot: tuple) -> None:
        state, servo, self.steps = snapshot
        self._client.restoreState(state)
        self.panda.restore_servo(servo)

    def forget(self, snapshot: tuple) -> None:
        self._client.removeState(snapshot[0])

    def close(self) -> None:
        self._client.disconnect()

    def _box(self, half: tuple, mass: float, position: tuple, rgba: tuple) -> int:
        shape = self._client.createCollisionShape(pybullet.GEOM_BOX, halfExtents=half)
        visual = self._client.createVisualShape(pybullet.GEOM_BOX, halfExtents=half, rgbaColor=rgba)
        return self._client.createMultiBody(mass, shape, visual, position)
