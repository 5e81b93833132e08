"""Repainting: things change colour, each as a whole, and stay where they are."""

from __future__ import annotations

import torch
from torch import Tensor

from wm_planner.training.repaint import repainted


def _scene() -> Tensor:
    """64 images: a grey floor that gets brighter to the right, and a red square."""
    images = torch.full((64, 3, 32, 32), 0.3) + torch.linspace(0.0, 0.04, 32)
    images[:, :, 10:20, 12:22] = torch.tensor([0.8, 0.1, 0.1]).view(3, 1, 1)
    return images


def test_things_change_colour_apart_from_each_other() -> None:
    change = (repainted(_scene(), 1.0) - _scene()).permute(0, 2, 3, 1)
    square, floor = change[:, 10:20, 12:22].flatten(1, 2), change[:, :8].flatten(1, 2)
    assert float(square.std(1).max()) < 1e-4  # as a whole
    assert float(square.mean(1).norm(dim=-1).mean()) > 0.15 and float(floor.mean(1).norm(dim=-1).mean()) > 0.15
    assert float((square.mean(1) - floor.mean(1)).norm(dim=-1).mean()) > 0.15


def test_strength_says_how_far() -> None:
    changes = []
    for strength in (0.1, 1.0):
        torch.manual_seed(2)
        changes.append(float((repainted(_scene(), strength) - _scene()).norm()))
    assert 0.05 * changes[1] < changes[0] < 0.2 * changes[1]


def test_no_strength_changes_nothing() -> None:
    torch.testing.assert_close(repainted(_scene(), 0.0), _scene())
