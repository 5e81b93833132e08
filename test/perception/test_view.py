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
    view = View(2)
    assert view(expected) is expected
    assert not view.look(0.0, expected, expected)
    assert view(expected) is expected and view.moved == 0.0


def test_each_camera_is_moved_back_on_its_own(expected: np.ndarray) -> None:
    view, seen = View(2), expected.copy()
    seen[..., 3:] = np.roll(expected[..., 3:], 6, 1)  # the second camera's picture, 6 pixels to the right
    assert view.look(0.0, seen, expected)
    assert view.moved == pytest.approx(6 / SIDE, abs=0.01)
    back, inside = view(seen).astype(int), slice(0, SIDE - 7)
    assert (back[..., :3] == expected[..., :3]).all()
    assert np.abs(back - expected)[:, inside, 3:].mean() < 5 < np.abs(seen.astype(int) - expected)[..., 3:].mean()


def test_it_decides_in_a_few_looks_until_it_is_cleared(expected: np.ndarray) -> None:
    view, seen = View(2), np.roll(expected, 6, 1)
    for look in range(LOOKS):
        assert not view.settled
        assert view.look(0.0, seen, expected) or look
    assert view.settled and view.moved > 0.05
    view.clear()
    assert not view.settled and view.moved == 0.0 and view(seen) is seen
