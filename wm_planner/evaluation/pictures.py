"""What a person watches: camera, goal and imagined future side by side."""

from __future__ import annotations

from pathlib import Path

import cv2
import imageio.v2 as imageio
import numpy as np

TILE = 256
_STRIP = 96
_INK, _PAPER = (235, 238, 242), (24, 27, 32)


def tile(image: np.ndarray | None, label: str, size: int = TILE) -> np.ndarray:
    """An image, (H, W, 3) uint8 RGB, scaled to a labelled square."""
    canvas = np.full((size, size, 3), _PAPER, np.uint8)
    if image is not None:
        canvas[:] = cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC)
    cv2.rectangle(canvas, (0, 0), (size, 20), _PAPER, -1)
    cv2.putText(canvas, label, (6, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)
    return canvas


def last_imagined(imagined: np.ndarray | None) -> np.ndarray | None:
    """The end of the imagined future: the last square of the strip the planner publishes."""
    return None if imagined is None else imagined[:, -imagined.shape[0] :]


def video_frame(camera: np.ndarray | None, goal: np.ndarray, imagined: np.ndarray | None, text: str) -> np.ndarray:
    """One frame, (TILE + strip, 3 * TILE, 3): what is, what should be, what the plan is imagined to lead to."""
    row = [tile(camera, f"camera  {text}"), tile(goal, "goal"), tile(last_imagined(imagined), "imagined end of plan")]
    strip = np.full((_STRIP, 3 * TILE, 3), _PAPER, np.uint8)
    if imagined is not None:
        height = min(_STRIP, 3 * TILE * imagined.shape[0] // imagined.shape[1])
        width = height * imagined.shape[1] // imagined.shape[0]
        strip[:height, :width] = cv2.resize(imagined, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.concatenate([np.concatenate(row, 1), strip], 0)


class Film:
    """The pictures of one trial. goal: (H, W, 3) uint8 RGB."""

    def __init__(self, goal: np.ndarray) -> None:
        self.goal = goal
        self._frames: list[np.ndarray] = []
        self._first: np.ndarray | None = None
        self._last: tuple[np.ndarray | None, np.ndarray | None, float] = (None, None, float("nan"))

    def add(self, camera: np.ndarray | None, imagined: np.ndarray | None, now: float, distance: float) -> None:
        """What is seen and imagined `now` seconds into the trial, `distance` metres from the goal."""
        self._first = camera if self._first is None else self._first
        self._last = (camera, imagined, distance)
        self._frames.append(video_frame(camera, self.goal, imagined, f"{now:4.1f} s {100 * distance:4.1f} cm"))

    def write(self, path: Path, rate: float) -> None:
        """Write an H.264 mp4 at `rate` frames per second."""
        path.parent.mkdir(parents=True, exist_ok=True)
        imageio.mimwrite(path, list(self._frames), fps=rate, macro_block_size=8, quality=8)

    def summary(self, number: int) -> list[np.ndarray]:
        """Tiles: start, goal, what the last plan imagined, end."""
        camera, imagined, distance = self._last
        return [
            tile(self._first, f"start {number}"),
            tile(self.goal, "goal image"),
            tile(last_imagined(imagined), "imagined"),
            tile(camera, f"end, {100 * distance:.1f} cm from goal"),
        ]


def write_image(path: Path, rows: list[list[np.ndarray]]) -> None:
    """A grid of tiles as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    imageio.imwrite(path, np.concatenate([np.concatenate(row, 1) for row in rows], 0))
