"""Pasted things: one rectangle in each image, and nothing else changed."""

from __future__ import annotations

import pytest
import torch

from wm_planner.training.intrude import SIDES, intruded


@pytest.mark.parametrize("cameras", [1, 2])
def test_a_rectangle_of_another_colour_is_in_every_image_and_the_rest_is_as_it_was(cameras: int) -> None:
    torch.manual_seed(0)
    frames = torch.full((64, 32, 32, 3 * cameras), 90, dtype=torch.uint8)
    seen = intruded(frames)
    assert seen.shape == frames.shape and seen.dtype == frames.dtype
    changed = (seen != frames).unflatten(-1, (cameras, 3)).any(-1).permute(0, 3, 1, 2).flatten(0, 1)  # (N, S, S)
    for mask in changed:
        rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
        assert len(rows) and len(columns)
        assert mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].float().mean() > 0.9
    assert changed.flatten(1).float().mean(1).max() <= (SIDES[1] + 1 / 32) ** 2
    assert len({tuple(mask.nonzero()[0].tolist()) for mask in changed}) > 20


def test_it_draws_from_the_global_generator_and_leaves_its_argument_alone() -> None:
    frames = torch.randint(0, 256, (4, 16, 16, 3), dtype=torch.uint8)
    before = frames.clone()
    again = []
    for _ in range(2):
        torch.manual_seed(3)
        again.append(intruded(frames))
    assert torch.equal(*again) and torch.equal(frames, before)


def test_no_image_is_no_trouble() -> None:
    assert intruded(torch.zeros(0, 16, 16, 3, dtype=torch.uint8)).shape == (0, 16, 16, 3)
