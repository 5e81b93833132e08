"""The simulated robot seen through its contract: observations in, normalised actions out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from wm_planner.actor.limiter import Limiter
from wm_planner.configurator.contract import load_contract
from wm_planner.perception.image import middle, to_frame
from wm_planner.sim.lamp import Lamp
from wm_planner.sim.tasks import Task
from wm_planner.sim.world import PHYSICS_DT, SceneState, World


class Observation(NamedTuple):
    """frame: what the encoder is given, (S, S, 3) uint8 RGB; joints: (J,) as the contract reads them; time: s.

    wide: the frame with its margin, (W, W, 3), of which it is the middle.
    """

    frame: np.ndarray
    joints: np.ndarray
    time: float
    wide: np.ndarray


def _perfect(image: np.ndarray) -> np.ndarray:
    return image


class Environment:
    """Lockstep: the simulation advances one control step per `step`, and waits in between."""

    def __init__(self, task: Task, gui: bool = False, lamp: float | None = None) -> None:
        """Args:
        lamp: there is one, and it follows this share of the actions; see `Lamp`.
        """
        self.task = task
        self.contract = load_contract(task.contract)
        self.world = World(self.contract, task.camera, task.with_cube, gui)
        self._lamp = None if lamp is None else Lamp(self.world.client, task.lamp, lamp)
        self._limiter = Limiter(self.contract)
        self._physics_steps = round(self.contract.dt / PHYSICS_DT)
        self._command = np.zeros(self.contract.action_dim)
        self.sensor: Callable[[np.ndarray], np.ndarray] = _perfect  # what the camera does to an image
        self.latency = 0  # control steps by which `step` returns observations late, with the time they were made at
        self._seen: deque[Observation] = deque(maxlen=1)

    def reset(self, scene: SceneState) -> Observation:
        self.world.reset(scene)
        self._command = np.zeros(self.contract.action_dim)
        self._lamp_rng = np.random.default_rng(np.abs(np.array(scene.robot) * 1e6).astype(np.int64))
        self._show_lamp(self._command)
        self._seen = deque([self.observe()], maxlen=1 + self.latency)
        return self.seen

    def observe(self) -> Observation:
        wide = to_frame(self.image(), self.contract.cameras[0])
        frame = middle(wide, self.contract.image_size)
        return Observation(frame, self.world.robot.joints(), self.world.time, wide)

    def step(self, action: np.ndarray) -> Observation:
        """Act for one control step with a normalised action, shape (A,), and look."""
        self.move(action)
        self._seen.append(self.observe())
        return self.seen

    def move(self, action: np.ndarray) -> None:
        """Act likewise, but do not look, which takes most of a step's time."""
        q = self.world.robot.joints()
        self._command = self._limiter(action, q, self._command, self.contract.dt)
        self.world.robot.command(self._command, self.world.time)
        self.world.step(self._physics_steps)
        self._show_lamp(action)

    @property
    def seen(self) -> Observation:
        """The newest observation there is: what `reset` or `step` returned last."""
        return self._seen[0]

    def image_of(self, scene: SceneState) -> np.ndarray:
        """The camera's image, (height, width, 3) uint8 RGB, of a scene put in place and settled."""
        self.reset(scene)
        self.world.step(self._physics_steps)
        return self.image()

    def image(self) -> np.ndarray:
        """What the camera sees now, (height, width, 3) uint8 RGB."""
        camera = self.contract.cameras[0]
        return self.sensor(self.world.render(camera.width, camera.height))

    def _show_lamp(self, action: np.ndarray) -> None:
        if self._lamp:
            self._lamp.show(action, self._lamp_rng)

    def save(self) -> tuple:
        """Snapshot for `restore`; free it with `forget`."""
        return self.world.save(), self._command

    def restore(self, snapshot: tuple) -> None:
        state, self._command = snapshot
        self.world.restore(state)

    def forget(self, snapshot: tuple) -> None:
        self.world.forget(snapshot[0])

    def distance(self, goal: np.ndarray) -> float:
        """Ground-truth distance to the goal position, metres."""
        return float(np.linalg.norm(self.task.position(self.world) - goal))

    def close(self) -> None:
        self.world.close()
