"""What the status is made of."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

from wm_planner.ros.status import Rate


def ticked(*stamps: float) -> Rate:
    rate = Rate()
    for stamp in stamps:
        rate.tick(stamp)
    return rate


def test_rate_is_that_of_the_images_planned_on() -> None:
    assert ticked(*(0.1 * k for k in range(30))).hertz(2.9) == pytest.approx(10.0)
    assert ticked(*(0.1 * k for k in range(11) if k != 4)).hertz(1.0) == pytest.approx(9.0), "one image was left out"


def test_no_rate_without_plans() -> None:
    assert ticked().hertz(0.0) == ticked(1.0).hertz(1.0) == 0.0
    assert ticked(1.0, 1.1).hertz(2.2) == 0.0, "silence"


def test_rate_starts_afresh_when_time_goes_back_or_an_image_is_planned_on_anew() -> None:
    assert ticked(5.0, 5.1, 0.0, 0.1, 0.2).hertz(0.2) == pytest.approx(10.0)
    assert ticked(5.0, 5.1, 5.1).hertz(5.1) == 0.0
