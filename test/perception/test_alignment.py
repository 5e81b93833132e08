"""Alignment: a picture is laid over the one expected, or left alone where the camera is not what has changed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wm_planner.perception.alignment import IDENTITY, align, moved_back

SIDE = 64


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """A table with things on it, larger than the picture."""
    rng = np.random.default_rng(1)
    image = np.full((SIDE, SIDE, 3), (50, 60, 80), np.uint8)
    for _ in range(6):
        x, y = rng.integers(8, SIDE - 8, 2)
        colour = tuple(int(c) for c in rng.integers(120, 256, 3))
        cv2.circle(image, (int(x), int(y)), int(rng.integers(3, 7)), colour, -1)
    return cv2.GaussianBlur(image, (0, 0), 0.7)


def _homography(x: float, y: float, roll: float, zoom: float) -> np.ndarray:
    cos, sin = (1 + zoom) * np.cos(roll), (1 + zoom) * np.sin(roll)
    return np.array([[cos, -sin, x], [sin, cos, y], [0, 0, 1.0]])


def _off(a: np.ndarray, b: np.ndarray) -> float:
    """How far corners of the picture's middle come apart, in pixels."""
    corners = np.array([[x, y, 1] for x in (-0.5, 0.5) for y in (-0.5, 0.5)]).T
    (p, q) = ((h @ corners)[:2] / (h @ corners)[2] for h in (a, b))
    return float(np.abs(p - q).max() * SIDE / 2)


@given(*(st.floats(-limit, limit) for limit in (0.35, 0.35, 0.15, 0.08)))
def test_a_camera_that_has_moved_is_found(scene: np.ndarray, x: float, y: float, roll: float, zoom: float) -> None:
    there = _homography(x, y, roll, zoom)
    seen = moved_back(scene, np.linalg.inv(there), SIDE)
    found = align([seen], [scene])
    if found is None:  # it has hardly moved, so that little is to be gained
        found = IDENTITY
    assert _off(found, there) < 1.5


def test_several_moments_tell_more_than_one(scene: np.ndarray) -> None:
    """Perspective, too, which one moment is not trusted to show."""
    there = _homography(0.1, -0.1, 0.05, 0.0)
    there[2, :2] = 0.06, -0.04
    expected = [scene, scene[::-1].copy(), scene[:, ::-1].copy()]
    seen = [moved_back(each, np.linalg.inv(there), SIDE) for each in expected]
    one, three = align(seen[:1], expected[:1]), align(seen, expected)
    assert one is not None and three is not None
    assert _off(three, there) < min(0.5, _off(one, there))


def test_something_unexpected_in_the_picture_does_not_matter(scene: np.ndarray) -> None:
    there = _homography(0.2, -0.1, 0.1, 0.0)
    seen = moved_back(scene, np.linalg.inv(there), SIDE)
    seen[20:32, 40:52] = (220, 30, 20)
    found = align([seen], [scene])
    assert found is not None and _off(found, there) < 1.0


def test_a_camera_that_moved_is_found_though_much_remains(scene: np.ndarray) -> None:
    there = _homography(0.3, -0.2, 0.1, 0.0)
    seen = moved_back(scene, np.linalg.inv(there), SIDE)
    seen[16:32, 36:54] = (220, 30, 20)  # as where one that moved sees what stands high elsewhere
    found = align([seen], [scene])
    assert found is not None and _off(found, there) < 1.0


@pytest.mark.parametrize("change", ["nothing", "light", "floor", "object", "noise", "blur", "foreign"])
def test_what_a_camera_did_not_cause_is_left_alone(scene: np.ndarray, change: str) -> None:
    rng = np.random.default_rng(2)
    seen = scene.copy()
    if change == "light":
        seen = (0.7 * scene).astype(np.uint8)
    elif change == "floor":
        seen[np.abs(scene.astype(int) - (50, 60, 80)).sum(-1) < 20] = (90, 40, 30)
    elif change == "object":
        seen[20:32, 40:52] = (220, 30, 20)
    elif change == "noise":
        seen = (scene + rng.normal(0, 8, scene.shape)).clip(0, 255).astype(np.uint8)
    elif change == "blur":
        seen = cv2.GaussianBlur(scene, (0, 0), 1.0)
    elif change == "foreign":
        seen = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    found = align([seen], [scene])
    assert found is None or _off(found, IDENTITY) < 0.5


def test_a_robot_of_another_colour_is_not_moved_out_of_the_picture() -> None:
    """Though nothing would be left there that is not as expected."""
    expected = np.full((SIDE, SIDE, 3), (50, 60, 80), np.uint8)
    seen = expected.copy()
    expected[:14, 22:42], seen[:14, 22:42] = (230, 230, 235), (20, 60, 40)
    assert align([seen], [expected]) is None


def test_a_camera_that_looks_elsewhere_is_not_made_up_for(scene: np.ndarray) -> None:
    seen = np.full_like(scene, 90)
    assert align([seen], [scene]) is None
