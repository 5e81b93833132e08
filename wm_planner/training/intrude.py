"""Things never seen, pasted into images: what an encoder that learns not to mind colours must go on minding."""

from __future__ import annotations

import torch
from torch import Tensor

SIDES = (0.05, 0.5)  # of the rectangle, shares of the image's side
SHADING = 0.15  # from one edge to the other, either way, as a fraction of full scale


def intruded(frames: Tensor) -> Tensor:
    """Frames (N, S, S, C) uint8, C a multiple of 3, each with a rectangle of some size, place and colour in it.

    Draws from torch's global generator. Every camera of a frame shows its own rectangle.
    """
    n, size, _, channels = frames.shape
    images = frames.reshape(n, size, size, channels // 3, 3).permute(0, 3, 1, 2, 4)  # (N, cameras, S, S, 3)
    shape = (n, channels // 3, 1, 1, 1)
    draw = torch.rand(8, *shape, device=frames.device)
    least, most = SIDES
    width, height = (least * (most / least) ** part for part in draw[:2])  # as often slender as bulky
    across = torch.linspace(0.0, 1.0, size, device=frames.device).view(1, 1, 1, size, 1)
    down = across.transpose(2, 3)
    inside = ((across - draw[2]).abs() < width / 2) & ((down - draw[3]).abs() < height / 2)
    colour = draw[4:7].movedim(0, -1).squeeze(-2)  # (N, cameras, 1, 1, 3)
    shade = SHADING * (2.0 * draw[7] - 1.0) * (across - draw[2]) / width
    painted = ((colour + shade).clamp(0.0, 1.0) * 255.0).to(torch.uint8)
    return torch.where(inside, painted, images).permute(0, 2, 3, 1, 4).reshape(frames.shape)
