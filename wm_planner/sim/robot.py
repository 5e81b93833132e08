"""What the world and the simulator node need of a robot, whichever it is."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np


class Robot(Protocol):
    """A robot's body and the controllers it listens to. Positions in metres, in `world_frame`.

    A command older than its timeout stops the robot, as real controllers do.
    """

    body: int
    world_frame: str
    joint_names: tuple[str, ...]  # of `joint_states`: the contract's, and those a real driver adds
    markers: tuple[int, ...]  # links whose colour tells what their shape does not, such as which end is the front

    def place(self, where: np.ndarray) -> None:
        """Put the robot at rest, commands forgotten. where (3,): see SceneState."""
        ...

    def command(self, value: np.ndarray, now: float) -> None:
        """Velocity command in the contract's units and order, shape (A,), acting from `now` (s)."""
        ...

    def servo(self, now: float, dt: float) -> None:
        """Hand the motors what the commands ask for in the next dt seconds."""
        ...

    def joints(self) -> np.ndarray:
        """What the contract reads of its joints, shape (J,): rad, or rad/s."""
        ...

    def joint_states(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions and velocities of `joint_names`; rad and rad/s, m and m/s where they slide."""
        ...

    def truth(self) -> dict[str, np.ndarray]:
        """Ground truth by name: a point (x, y, z) or a pose (x, y, z, yaw)."""
        ...

    def servo_state(self) -> Any:
        """What `restore_servo` needs besides the physics."""
        ...

    def restore_servo(self, state: Any) -> None: ...
