"""Intruders: one thing in each image, of another colour than what it hides."""

from __future__ import annotations

import torch

from wm_planner.training.augment import with_intruders
from wm_planner.training.intruder import CONTRAST, LARGEST, intruded

SIZE = 64


def test_each_image_gets_one_thing_and_stays_as_it_is_around_it() -> None:
    torch.manual_seed(0)
    images = torch.full((200, 3, SIZE, SIZE), 0.4)
    changed = intruded(images) != images
    assert (changed.any(1).flatten(1).sum(1) > 0).all()
    assert changed.any(1).float().mean((1, 2)).max() <= (2 * LARGEST) ** 2 + 0.01
    rows, columns = changed.any(1).any(2), changed.any(1).any(1)
    for lines in (*rows, *columns):  # in one piece
        assert (lines[1:] & ~lines[:-1]).sum() + lines[0] == 1


def test_it_can_be_told_from_what_it_hides() -> None:
    torch.manual_seed(1)
    images = torch.rand(200, 3, 1, 1).expand(-1, -1, SIZE, SIZE).contiguous()
    difference = (intruded(images) - images).abs().amax((1, 2, 3))
    assert difference.min() > CONTRAST / 2


def test_frames_of_every_camera_get_one_and_no_two_alike() -> None:
    torch.manual_seed(2)
    frames = torch.full((4, 2, SIZE, SIZE, 6), 90, dtype=torch.uint8)
    changed = with_intruders(frames) != frames
    assert changed.unflatten(-1, (2, 3)).any(-1).any(2).any(2).all()
    assert with_intruders(frames).dtype == torch.uint8
    assert (changed[0, 0, ..., :3].any(-1) != changed[1, 0, ..., :3].any(-1)).any()


def test_the_same_seed_gives_the_same() -> None:
    images = torch.rand(3, 3, SIZE, SIZE)
    torch.manual_seed(3)
    first = intruded(images)
    torch.manual_seed(3)
    assert torch.equal(first, intruded(images))
