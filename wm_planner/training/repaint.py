"""Augmentation by the colours of things: whatever had one colour gets another, all over the image."""

from __future__ import annotations

import torch
from torch import Tensor

_COLOURS = 6  # that images are taken to be painted in
_SOFTNESS = 0.08  # distance, in colours from 0 to 1, over which one shades into the next
_ROUNDS = 3  # of k-means
_LEVELS = 16  # of a channel in the table of colours


def repainted(images: Tensor, strength: float) -> Tensor:
    """Move each colour that images (N, 3, S, S), in [0, 1], are painted in up to `strength` of the way to another.

    Shades and texture stay: what moves is the middle of each colour. Draws from torch's global generator.
    """
    n, device = len(images), images.device
    pixels = images.permute(0, 2, 3, 1).flatten(1, 2)
    middles = _middles(pixels.reshape(-1, 3))
    way = strength * torch.rand(n, _COLOURS, 1, device=device)
    moves = way * (torch.rand(n, _COLOURS, 3, device=device) - middles)
    # By a table, since there are many more pixels than colours to tell apart.
    axis = (torch.arange(_LEVELS, device=device) + 0.5) / _LEVELS
    table = _shares(torch.cartesian_prod(axis, axis, axis), middles) @ moves
    levels = (pixels * _LEVELS).long().clamp_(0, _LEVELS - 1)
    entry = (levels[..., 0] * _LEVELS + levels[..., 1]) * _LEVELS + levels[..., 2]
    moved = table.gather(1, entry.unsqueeze(-1).expand(-1, -1, 3))
    return images + moved.transpose(1, 2).unflatten(2, images.shape[2:])


def _shares(pixels: Tensor, middles: Tensor) -> Tensor:
    """How much of pixels (..., 3) is of each colour (K, 3): (..., K), sums to 1."""
    affinity = 2.0 * pixels @ middles.T - middles.square().sum(-1)  # minus the distance squared, but for a constant
    return (affinity / _SOFTNESS**2).softmax(-1)


def _middles(pixels: Tensor) -> Tensor:
    """The colours that pixels (M, 3) are painted in, (K, 3): soft k-means over a few of them."""
    few = pixels[torch.randint(len(pixels), (4096,), device=pixels.device)]
    middles = _spread(few)
    for _ in range(_ROUNDS):
        shares = _shares(few, middles)
        middles = shares.T @ few / shares.sum(0).clamp(min=1e-6)[:, None]
    return middles


def _spread(pixels: Tensor) -> Tensor:
    """K of the pixels (M, 3), far from each other (k-means++, Arthur & Vassilvitskii, 2007)."""
    chosen = pixels[:1]
    for _ in range(_COLOURS - 1):
        away = torch.cdist(pixels, chosen).amin(-1)
        chosen = torch.cat([chosen, pixels[torch.multinomial(away.square() + 1e-9, 1)]])
    return chosen
