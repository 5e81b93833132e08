"""A camera that repeats one picture while the robot moves."""

from __future__ import annotations

import numpy as np

from wm_planner.configurator.contract import Contract
from wm_planner.perception.image import PerceptionError

REPEATS = 2  # of one picture: drivers that fill gaps with the last one do so once
MOVED = 0.05  # rad that the joints move meanwhile


class FrozenCheck:
    """Compares pixels: those of a real sensor never repeat, those of a simulator do while nothing moves.

    Only for joints that are positions; a robot that stands still tells nothing, so a verdict stands until the
    picture changes.
    """

    def __init__(self, contract: Contract) -> None:
        self._topics = [camera.topic for camera in contract.cameras]
        self._positions = contract.joints.field == "position"
        self.clear()

    def clear(self) -> None:
        """Forget every picture."""
        self._since: dict[str, tuple[np.ndarray, np.ndarray, int]] = {}  # picture, joints at its first, repeats

    def __call__(self, frame: np.ndarray, joints: np.ndarray) -> None:
        """Look at the next observation.

        Args:
            frame: (S, S, 3 * cameras) uint8.
            joints: (J,) radians.

        Raises:
            PerceptionError: names the camera.
        """
        if not self._positions:
            return
        for topic, picture in zip(self._topics, np.split(frame, len(self._topics), axis=2)):
            first, then, repeats = self._since.get(topic, (None, joints, 0))
            if first is None or not np.array_equal(first, picture):
                self._since[topic] = picture, joints, 0
                continue
            self._since[topic] = first, then, repeats + 1
            moved = float(np.abs(joints - then).max())
            if repeats + 1 >= REPEATS and moved > MOVED:
                raise PerceptionError(
                    f"{topic}: the picture has not changed in {repeats + 2} images while a joint moved {moved:.2f} "
                    "rad; is the camera frozen?"
                )
