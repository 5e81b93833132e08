"""How far a camera is from where it was in training, from what it should see; and its images moved back.

The picture that is seen is laid over the one that is expected by Gauss-Newton steps on a homography (Lucas & Kanade,
1981; Baker & Matthews, 2004), coarse to fine, with robust weights: things that are not expected count little.
A homography is exact for a camera that turned, and near enough for one that moved little for its distance.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import cv2
import numpy as np

# Directions in which a homography changes, of normalised coordinates: -1 and 1 are the sides of what is expected.
_GENERATORS = np.array(
    [
        [[0, 0, 1], [0, 0, 0], [0, 0, 0]],  # shift along x
        [[0, 0, 0], [0, 0, 1], [0, 0, 0]],  # along y
        [[0, -1, 0], [1, 0, 0], [0, 0, 0]],  # roll
        [[1, 0, 0], [0, 1, 0], [0, 0, -2]],  # zoom
        [[1, 0, 0], [0, -1, 0], [0, 0, 0]],  # stretch
        [[0, 1, 0], [1, 0, 0], [0, 0, 0]],  # shear
        [[0, 0, 0], [0, 0, 0], [1, 0, 0]],  # perspective along x
        [[0, 0, 0], [0, 0, 0], [0, 1, 0]],  # along y
    ],
    np.float64,
)
_SIMILARITY = 4  # the first so many

_STARTS = [*itertools.product((-0.35, 0.0, 0.35), (-0.35, 0.0, 0.35), (-0.17, 0.0, 0.17))]  # shifts and roll
_COLOURS = 3
_COARSE = 16  # pixels of a side, of the search among these
_SCALE = 0.1  # of full scale: a difference beyond it is an outlier
_UNSEEN = 1.0  # what a pixel costs that has left the picture
_PRIOR = 2e-5  # of staying where it is, which decides what the pictures do not
_KEPT = 0.6  # at most this share of what differs may remain
_WORST = 0.8  # nor may more remain than this
_IN_VIEW = 0.5  # share of the picture that has to remain

IDENTITY = np.eye(3)


def align(frames: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> np.ndarray | None:
    """How to move what one camera sees so that it looks as expected.

    Args:
        frames: what is seen, each (W, W, 3) uint8.
        expected: what should be seen in their middle at these moments, each (S, S, 3); S is at most W.

    Returns:
        A homography (3, 3), for `moved_back`; None where none makes the pictures alike, or little is to be gained.
    """
    coarse = _Pair(frames, expected, _COARSE)
    tried = [coarse.fit(_changed(IDENTITY, np.array(start)), _SIMILARITY, 6) for start in _STARTS]
    found = min(tried, key=lambda homography: coarse.look(homography).cost)
    fine = [_Pair(frames, expected, side) for side in (2 * _COARSE, len(expected[0]))]
    for pair in fine:
        found = pair.fit(found, _SIMILARITY)
    if len(frames) > 1:  # one pose of the robot does not tell shape from distance
        for pair in fine:
            found = pair.fit(found, len(_GENERATORS))
    before, after = fine[-1].look(IDENTITY), fine[-1].look(found)
    if after.in_view < _IN_VIEW:
        return None
    # Of the same pixels: to move a robot of another colour out of the picture is not to make it look as expected.
    differed, differs = (look.difference(after.visible) for look in (before, after))
    if differs >= min(_KEPT * differed, _WORST):
        return None
    return found


def moved_back(frame: np.ndarray, homography: np.ndarray, side: int) -> np.ndarray:
    """The middle, (side, side, 3), of a frame as it would have looked from where the camera was.

    What the frame does not show repeats its edge.
    """
    return _warped(frame, _in_pixels(homography, len(frame), side), side, cv2.BORDER_REPLICATE)


class _Look:
    """What is left between pictures moved back and those expected, all on top of one another: (S, S, 3 * pictures)."""

    def __init__(self, images: Sequence[np.ndarray], target: np.ndarray, homography: np.ndarray) -> None:
        side = len(target)
        pixels = _in_pixels(homography, len(images[0]), side)
        self.visible = _warped(np.ones(images[0].shape[:2], np.float32), pixels, side, cv2.BORDER_CONSTANT) > 0.99
        self.moved = np.concatenate([_warped(image, pixels, side, cv2.BORDER_REPLICATE) for image in images], -1)
        self.residual = self.moved - target
        outlying = np.square(self.residual / _SCALE)
        self.weight = self.visible[..., None] / (1.0 + outlying)
        self._loss = _COLOURS * np.log1p(outlying).mean(-1)
        self.in_view = float(self.visible.mean())
        self.cost = float(np.where(self.visible, self._loss, _UNSEEN).mean())

    def difference(self, where: np.ndarray) -> float:
        """Mean over some pixels, (S, S) bool."""
        return float(self._loss[where].mean())


class _Pair:
    """Pictures and what was expected, at one size: `side` pixels of what was expected."""

    def __init__(self, frames: Sequence[np.ndarray], expected: Sequence[np.ndarray], side: int) -> None:
        wide = round(side * len(frames[0]) / len(expected[0]))
        self._images = [_resized(frame, wide) for frame in frames]
        self._target = np.concatenate([_resized(frame, side) for frame in expected], -1)
        at = (np.arange(side) + 0.5) / side * 2 - 1
        x, y = np.meshgrid(at, at)
        moved = np.einsum("kij,hwj->khwi", _GENERATORS, np.stack([x, y, np.ones_like(x)], -1))
        flow = moved[..., :2] - np.stack([x, y], -1) * moved[..., 2:]
        self._across, self._down = flow.reshape(len(_GENERATORS), -1, 2).transpose(2, 0, 1).astype(np.float32)

    def look(self, homography: np.ndarray) -> _Look:
        return _Look(self._images, self._target, homography)

    def fit(self, homography: np.ndarray, freedom: int, iterations: int = 10) -> np.ndarray:
        """A better homography, along the first `freedom` directions; Levenberg-Marquardt."""
        look, damping = self.look(homography), 1e-2
        for _ in range(iterations):
            hessian, gradient = self._normal(look, freedom)
            for _ in range(4):
                step = np.linalg.solve(hessian + damping * np.diag(np.diag(hessian)), -gradient)
                candidate = _changed(homography, step)
                further = self.look(candidate)
                if further.cost < look.cost:
                    break
                damping *= 8.0
            else:
                return homography
            gain = look.cost - further.cost
            homography, look, damping = candidate, further, max(damping / 4.0, 1e-4)
            if gain < 1e-4 * look.cost:
                break
        return homography

    def _normal(self, look: _Look, freedom: int) -> tuple[np.ndarray, np.ndarray]:
        side, _, colours = look.moved.shape
        x, y = (cv2.Sobel(look.moved, -1, *order, ksize=3, scale=side / 16) for order in ((1, 0), (0, 1)))
        weight = look.weight * (_COLOURS / colours / side**2)
        # A pixel's colours all move alike: they are summed before the directions come in.
        xx, xy, yy, x_missed, y_missed = (
            np.einsum("hwc,hwc,hwc->hw", weight, *each).reshape(-1)
            for each in ((x, x), (x, y), (y, y), (x, look.residual), (y, look.residual))
        )
        across, down = self._across[:freedom], self._down[:freedom]
        hessian = (across * xx + down * xy) @ across.T + (across * xy + down * yy) @ down.T
        return _PRIOR * np.eye(freedom) + hessian, across @ x_missed + down @ y_missed


def _warped(image: np.ndarray, pixels: np.ndarray, side: int, border: int) -> np.ndarray:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(image, pixels, (side, side), flags=flags, borderMode=border)


def _changed(homography: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Along the first directions."""
    return homography @ (IDENTITY + np.tensordot(step, _GENERATORS[: len(step)], 1))


def _resized(frame: np.ndarray, side: int) -> np.ndarray:
    """(side, side, 3) float32 in [0, 1]."""
    return cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0


def _in_pixels(homography: np.ndarray, wide: int, side: int) -> np.ndarray:
    """The same homography of pixel coordinates: from those of the middle, `side` across, to those of all, `wide`."""
    ours, theirs = (
        np.array([[2 / side, 0, (1 - n) / side], [0, 2 / side, (1 - n) / side], [0, 0, 1]]) for n in (side, wide)
    )
    return np.linalg.inv(theirs) @ homography @ ours
