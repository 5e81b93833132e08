"""Goals in hindsight stay within an attempt."""

from __future__ import annotations

import numpy as np

from wm_planner.training.hindsight import attempt_ends, hindsight


def test_an_attempt_ends_with_the_frame_after_its_last_action() -> None:
    attempts = np.array([[0, 0, 1, 1, 1, 4], [7, 7, 7, 7, 7, 7]])
    np.testing.assert_array_equal(attempt_ends(attempts), [[2, 2, 5, 5, 5, 6], [6] * 6])


def test_goals_come_after_and_often_last(rng: np.random.Generator) -> None:
    now, end = rng.integers(0, 50, 2000), np.full(2000, 60)
    goals = hindsight(rng, now, end)
    assert (goals > now).all() and (goals <= end).all()
    assert 0.5 < (goals > 56).mean() < 0.75


def test_the_last_step_of_an_attempt_has_one_goal(rng: np.random.Generator) -> None:
    assert (hindsight(rng, np.full(50, 9), np.full(50, 10)) == 10).all()
