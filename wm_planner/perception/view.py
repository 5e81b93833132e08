"""Where the cameras look from, found while the robot moves, and made up for."""

from __future__ import annotations

import numpy as np

from wm_planner.perception.alignment import IDENTITY, align, moved_back
from wm_planner.perception.image import middle

LOOKS = 5  # that decide; more of the robot's poses tell a camera that has moved from one that has turned
EVERY = 4.5  # control steps, at the least, between looks


class View:
    """Moves frames with their margin, (W, W, 3 * cameras), back to where the cameras were in training: (S, S, ...).

    Looks at a first moment and at a few more; from then on the cameras are taken to stand still. One thread owns it.
    """

    def __init__(self, cameras: int, side: int) -> None:
        self._cameras, self._side = cameras, side
        self.clear()

    def clear(self) -> None:
        """The cameras may be anywhere again."""
        self.looked: float | None = None  # when last, s
        self._seen: list[tuple[np.ndarray, np.ndarray]] = []
        self._homographies: list[np.ndarray | None] = [None] * self._cameras

    @property
    def settled(self) -> bool:
        return len(self._seen) >= LOOKS

    def due(self, now: float, dt: float) -> bool:
        """Whether it is time for a look, s; control steps take dt."""
        return not self.settled and (self.looked is None or not 0 <= now - self.looked < EVERY * dt)

    @property
    def moved(self) -> float:
        """How far what the cameras see has moved, at the most: in the middle of a picture, as a share of its side."""
        centres = [h[:2, 2] / h[2, 2] for h in self._homographies if h is not None]
        return max((float(np.linalg.norm(centre)) / 2.0 for centre in centres), default=0.0)

    def look(self, now: float, frame: np.ndarray, expected: np.ndarray) -> bool:
        """Learn from a frame and what should be seen, (S, S, 3 * cameras) uint8; True where that changed it."""
        self.looked = now
        self._seen.append((frame, expected))
        before = self._homographies
        pairs = [[np.split(image, self._cameras, -1) for image in pair] for pair in self._seen]
        self._homographies = [
            align([seen[k] for seen, _ in pairs], [wanted[k] for _, wanted in pairs]) for k in range(self._cameras)
        ]
        return any(a is not b for a, b in zip(before, self._homographies))

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """What the encoder is given, from where the cameras were in training."""
        if all(h is None for h in self._homographies):
            return middle(frame, self._side)
        parts, side = np.split(frame, self._cameras, -1), self._side
        return np.concatenate(
            [moved_back(part, IDENTITY if h is None else h, side) for part, h in zip(parts, self._homographies)], -1
        )
