"""Foreign things in images."""

from __future__ import annotations

import torch

from wm_planner.training.strangers import with_strangers


def test_each_image_gets_one_rectangle_of_one_colour_and_stays_itself_elsewhere() -> None:
    torch.manual_seed(0)
    frames = torch.randint(0, 256, (200, 64, 64, 3), dtype=torch.uint8)
    before = frames.clone()
    changed = with_strangers(frames)
    assert torch.equal(frames, before) and changed.dtype == torch.uint8 and changed.shape == frames.shape
    areas = []
    for image, own in zip(changed, before):
        rows, columns = torch.nonzero((image != own).any(-1), as_tuple=True)
        inside = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].reshape(-1, 3)
        assert (inside == inside[0]).all()
        areas.append(len(inside))
    assert min(areas) >= 9 and max(areas) <= 17**2 and torch.tensor(areas).float().std() > 20


def test_they_are_drawn_from_torchs_generator() -> None:
    frames = torch.zeros(4, 32, 32, 3, dtype=torch.uint8)
    torch.manual_seed(3)
    one = with_strangers(frames)
    other = with_strangers(frames)
    torch.manual_seed(3)
    assert torch.equal(one, with_strangers(frames)) and not torch.equal(one, other)
