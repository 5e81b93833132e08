"""Foreign things in images: what the world model has to go on being surprised by."""

from __future__ import annotations

import torch
from torch import Tensor

_SMALLEST, _LARGEST = 0.05, 0.25  # sides, as fractions of the image's


def with_strangers(frames: Tensor) -> Tensor:
    """Frames (N, S, S, C) uint8, each with a rectangle somewhere. Draws from torch's global generator."""
    n, size, device = len(frames), frames.shape[1], frames.device
    sides = _SMALLEST + (_LARGEST - _SMALLEST) * torch.rand(2, n, 1, device=device)
    begin = (1.0 - sides) * torch.rand(2, n, 1, device=device)
    place = (torch.arange(size, device=device) + 0.5) / size
    rows, columns = (begin <= place) & (place < begin + sides)
    colour = torch.randint(256, (n, 1, 1, frames.shape[-1]), dtype=torch.uint8, device=device)
    return torch.where((rows[:, :, None] & columns[:, None, :])[..., None], colour, frames)
