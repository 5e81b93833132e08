"""Augmentation: colours change from image to image, the camera from window to window, positions never."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wm_planner.training.augment import augment, moved_camera


@pytest.fixture
def windows() -> Tensor:
    """Grey windows with one bright square that stands still."""
    torch.manual_seed(0)
    frames = torch.full((64, 3, 32, 32, 3), 90, dtype=torch.uint8)
    frames[:, :, 12:18, 14:20] = torch.tensor([220, 40, 30], dtype=torch.uint8)
    return frames


def _place(frames: Tensor) -> Tensor:
    """Centre of the square, pixels: (..., 2)."""
    red = (frames[..., 0].float() - frames[..., 1].float() - 60).clamp(min=0.0)
    weight = red / red.sum((-2, -1), keepdim=True)
    axis = torch.arange(frames.shape[-2], dtype=torch.float)
    return torch.stack([(weight.sum(-2) * axis).sum(-1), (weight.sum(-1) * axis).sum(-1)], -1)


def test_no_strength_changes_nothing(windows: Tensor) -> None:
    assert torch.equal(augment(windows, 0.0, 0.0, 0.0), windows)
    assert torch.equal(moved_camera(windows, 0.0), windows)


def test_a_moved_camera_stands_still_within_a_window(windows: Tensor) -> None:
    moved = moved_camera(windows, 1.0)
    assert moved.shape == windows.shape and moved.dtype == torch.uint8
    assert torch.equal(moved, moved[:, :1].expand_as(moved))
    off = (_place(moved[:, 0]) - _place(windows[:, 0])).norm(dim=-1)
    assert 0.3 < float((off < 0.01).float().mean()) < 0.7  # half the cameras stay
    assert 1.0 < float(off.max()) < 4.0


def test_colours_change_from_image_to_image(windows: Tensor) -> None:
    changed = augment(windows, 1.0, 0.0, 0.0)
    background = changed[:, :, 2:6, 2:6].float().mean((2, 3))
    kept = (background - 90.0).abs().amax(-1) < 1.0
    assert 0.2 < float(kept.float().mean()) < 0.5  # about a third keep their colours
    spread = background.std(1).mean()
    assert float(spread) > 5.0


def test_the_same_draw_gives_the_same_images(windows: Tensor) -> None:
    torch.manual_seed(1)
    one = augment(windows, 1.0, 1.0, 1.0)
    torch.manual_seed(1)
    assert torch.equal(augment(windows, 1.0, 1.0, 1.0), one)


def test_two_cameras_stack_on_the_channels(windows: Tensor) -> None:
    assert augment(torch.cat([windows, windows], -1), 1.0, 1.0, 1.0).shape == (64, 3, 32, 32, 6)
