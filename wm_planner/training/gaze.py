"""Where a closer look is taken: at what the robot's joints do not explain. No label says what or where that is."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from wm_planner.data.dataset import Episodes
from wm_planner.training.loop import Progress, silent
from wm_planner.world_model.model import WorldModel

_DIFFERS = 90  # of 765, from what is expected: edges of the robot, which is expected a little blurred, differ less
_AREA = 8  # pixels at the least that differ side by side
_NEAR = 0.05  # of half the image's side: how far off a gaze may be before its error counts by distance, not square
_WEIGHT = 5.0


@torch.no_grad()
def unexplained(model: WorldModel, episodes: Episodes, progress: Progress = silent) -> Tensor:
    """The middle of what differs most, side by side, from what the model's body image expects.

    Returns:
        (N, T+1, 2): x and y, -1 and 1 are the image's sides; NaN where nothing differs enough.
    """
    model.eval()
    joints = model.normalise_joints(torch.from_numpy(episodes.joints).to(model.device))
    places = []
    for frames, of_them in zip(episodes.frames, joints):
        expected = model.expect(of_them).cpu().numpy()
        places.append([_middle(*pair) for pair in zip(frames, expected)])
        progress("gazes", len(places), len(joints), {})
    return torch.tensor(places, dtype=torch.float32, device=model.device)


def _middle(seen: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """Of images (S, S, 3) uint8."""
    differs = cv2.blur(cv2.absdiff(seen, expected).sum(-1, dtype=np.float32), (3, 3))
    count, label, boxes, _ = cv2.connectedComponentsWithStats((differs > _DIFFERS).astype(np.uint8))
    if count < 2:  # the first is what does not differ
        return np.nan, np.nan
    amounts = np.bincount(label.ravel(), differs.ravel(), count)
    largest = 1 + int(np.argmax(amounts[1:]))
    if boxes[largest, cv2.CC_STAT_AREA] < _AREA:
        return np.nan, np.nan
    weights = np.where(label == largest, differs, 0.0)
    along = (np.arange(len(seen)) + 0.5) * 2 / len(seen) - 1
    return float(weights.sum(0) @ along / amounts[largest]), float(weights.sum(1) @ along / amounts[largest])


def gaze_loss(gaze: Tensor, wanted: Tensor) -> Tensor:
    """Of gazes (B, 2) that should be at some points (B, 2), of which NaN are none."""
    known = wanted.isfinite().all(-1)
    if not known.any():
        return gaze.new_zeros(())
    return _WEIGHT * F.smooth_l1_loss(gaze[known], wanted[known], beta=_NEAR) / _NEAR


@torch.no_grad()
def gazes_of(model: WorldModel, episodes: Episodes) -> Tensor | None:
    """Where a trained model takes its closer look, (N, T+1, 2); None: it has none."""
    if not model.config.conv_fovea:
        return None
    model.eval()
    looks = (model.look(torch.from_numpy(frames).to(model.device))[1] for frames in episodes.frames)
    return torch.stack([gaze for gaze in looks if gaze is not None])
