"""Goals in hindsight stay within an attempt."""

from __future__ import annotations

import numpy as np
import pytest

from wm_planner.training.hindsight import Attempts, attempt_ends


def test_an_attempt_ends_with_the_frame_after_its_last_action() -> None:
    attempts = np.array([[0, 0, 1, 1, 1, 4], [7, 7, 7, 7, 7, 7]])
    np.testing.assert_array_equal(attempt_ends(attempts), [[2, 2, 5, 5, 5, 6], [6] * 6])


def test_goals_come_after_and_often_last(rng: np.random.Generator) -> None:
    episode, now, goal = Attempts(np.zeros((3, 60), int)).draw(rng, 2000)
    assert (goal > now).all() and (goal <= 60).all() and set(episode) == {0, 1, 2}
    assert 0.5 < (goal > 56).mean() < 0.8


def test_the_last_step_of_an_attempt_has_one_goal(rng: np.random.Generator) -> None:
    _, now, goal = Attempts(np.arange(10)[None]).draw(rng, 50)
    assert (goal == now + 1).all()


def test_what_was_done_to_no_end_is_not_drawn(rng: np.random.Generator) -> None:
    attempts = np.array([[-1] * 5, [0, 0, -1, -1, -1]])
    episode, now, goal = Attempts(attempts).draw(rng, 50)
    assert (episode == 1).all() and (now < 2).all() and (goal <= 2).all()
    with pytest.raises(ValueError, match="no action of the dataset belongs to an attempt"):
        Attempts(attempts[:1])


def test_joined_is_what_the_same_attempt_did() -> None:
    attempts = Attempts(np.array([[0, 0, 1, 1, -1, -1]]))
    episode, moments = np.zeros((3, 1), int), np.tile(np.arange(6), (3, 1))
    joined = attempts.joined(episode, moments, np.array([[1], [3], [5]]))
    assert joined.tolist() == [
        [True, True, False, False, False, False],
        [False, False, True, True, False, False],
        [False] * 6,
    ]
