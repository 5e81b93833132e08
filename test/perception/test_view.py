"""The view: where several cameras look from is learned in a few looks, and made up for."""

from __future__ import annotations

import numpy as np
import pytest

from wm_planner.perception.view import LOOKS, View

SIDE = 64


@pytest.fixture
def expected() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (8, 8, 6), dtype=np.uint8).repeat(8, 0).repeat(8, 1)


def test_frames_are_left_as_they_are_while_no_camera_has_moved(expected: np.ndarray) -> None:
    view = View(2, SIDE)
    assert np.shares_memory(view(expected), expected) and view(expected).shape == expected.shape
    assert not view.look(0.0, expected, expected)
    assert np.shares_memory(view(expected), expected) and view.moved == 0.0


def test_each_camera_is_moved_back_on_its_own(expected: np.ndarray) -> None:
    view, seen = View(2, SIDE), expected.copy()
    seen[..., 3:] = np.roll(expected[..., 3:], 6, 1)  # the second camera's picture, 6 pixels to the right
    assert view.look(0.0, seen, expected)
    assert view.moved == pytest.approx(6 / SIDE, abs=0.01)
    back, inside = view(seen).astype(int), slice(0, SIDE - 7)
    assert (back[..., :3] == expected[..., :3]).all()
    assert np.abs(back - expected)[:, inside, 3:].mean() < 5 < np.abs(seen.astype(int) - expected)[..., 3:].mean()


def test_it_decides_in_a_few_looks_until_it_is_cleared(expected: np.ndarray) -> None:
    view, seen = View(2, SIDE), np.roll(expected, 6, 1)
    for look in range(LOOKS):
        assert not view.settled
        assert view.look(0.0, seen, expected) or look
    assert view.settled and view.moved > 0.05
    view.clear()
    assert not view.settled and view.moved == 0.0
    np.testing.assert_array_equal(view(seen), seen)


def test_what_comes_into_the_picture_comes_from_the_margin(expected: np.ndarray) -> None:
    """A camera turned by an eighth of the picture: without a margin that much of it would be its edge, repeated."""
    margin, shift = 16, 8
    around = np.random.default_rng(1).integers(0, 256, (12, 12, 6), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    around[margin:-margin, margin:-margin] = expected
    view, seen = View(2, SIDE), np.roll(around, shift, 1)
    np.testing.assert_array_equal(view(around), expected)
    assert view.look(0.0, seen, expected)
    assert view.moved == pytest.approx(shift / SIDE, abs=0.01)
    assert np.abs(view(seen).astype(int) - expected).mean() < 5
    without = View(2, SIDE)
    middle = seen[margin:-margin, margin:-margin]
    assert without.look(0.0, middle, expected)
    assert np.abs(without(middle).astype(int) - expected)[:, -shift:].mean() > 30
