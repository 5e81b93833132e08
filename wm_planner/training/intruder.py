"""Things that were never there, in images: what a model must not take for granted (outlier exposure; Hendrycks et al.,
2019). They are patches of one colour; what the model meets later looks otherwise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

SMALLEST, LARGEST = 0.03, 0.14  # half of each side, as a share of the image's
CONTRAST = 0.2  # from what it hides, in one channel at least, in colours from 0 to 1
_SHADING = 0.15  # darker at one end, lighter at the other
_ROUND, _ANGULAR = 2.0, 12.0  # exponents of the superellipse


def intruded(images: Tensor) -> Tensor:
    """Images (N, 3, S, S), in [0, 1], with one thing each: round or angular, upright or not, wholly or partly inside.

    Draws from torch's global generator.
    """
    n, size, device = len(images), images.shape[-1], images.device
    axis = (torch.arange(size, device=device) + 0.5) / size
    down, right = torch.meshgrid(axis, axis, indexing="ij")
    x, y, half_x, half_y, angle = torch.rand(5, n, 1, 1, device=device)
    half_x, half_y = (SMALLEST + (LARGEST - SMALLEST) * half for half in (half_x, half_y))
    angle = math.pi * (angle - 0.5) * (torch.rand_like(angle) < 0.5)
    u = ((right - x) * angle.cos() + (down - y) * angle.sin()) / half_x
    v = ((down - y) * angle.cos() - (right - x) * angle.sin()) / half_y
    power = torch.where(torch.rand_like(angle) < 0.3, _ROUND, _ANGULAR)
    inside = (u.abs() ** power + v.abs() ** power <= 1.0).unsqueeze(1)
    hidden = (images * inside).sum((2, 3)) / inside.sum((2, 3)).clamp(min=1)
    colour = torch.rand(n, 3, device=device)
    alike = (colour - hidden).abs().amax(1, keepdim=True) < CONTRAST
    colour = torch.where(alike, (hidden + 0.5) % 1.0, colour)
    tilt = _SHADING * (2.0 * torch.rand(n, 1, 1, 1, device=device) - 1.0)
    painted = colour[..., None, None] * (1.0 + tilt * v.unsqueeze(1).clamp(-1.0, 1.0))
    return torch.where(inside, painted.clamp(0.0, 1.0), images)
