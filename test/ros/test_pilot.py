"""The pilot slows what was planned, and only once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

from wm_planner.actor.agent import Plan
from wm_planner.ros.pilot import allowed
from wm_planner.ros.worker import Decision, Goal


def _decision(committed: int, speed: float) -> Decision:
    actions = np.array([[speed], [speed], [1.0], [1.0]])
    plan = Plan(0.0, 0.1, actions, torch.zeros(4, 1), np.zeros((4, 1)), 0.0, 1.0, {})
    return Decision(plan, Goal("image"), 0.0, committed, speed)


@pytest.mark.parametrize(
    ("speed", "expected"),
    [(0.3, [0.3, 0.3, 0.3, 0.3]), (1.0, [0.3, 0.3, 1.0, 1.0]), (0.0, [0.0] * 4), (0.15, [0.15] * 4)],
)
def test_what_was_under_way_slowly_is_not_slowed_again(speed: float, expected: list[float]) -> None:
    np.testing.assert_allclose(allowed(_decision(2, 0.3), speed)[:, 0], expected)


def test_what_was_under_way_at_full_speed_is_slowed_with_the_rest() -> None:
    np.testing.assert_allclose(allowed(_decision(2, 1.0), 0.3)[:, 0], [0.3] * 4)


def test_a_robot_that_stood_still_starts_with_the_plan() -> None:
    np.testing.assert_allclose(allowed(_decision(2, 0.0), 1.0)[:, 0], [0.0, 0.0, 1.0, 1.0])
