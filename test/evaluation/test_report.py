"""The figures of an evaluation: intervals, holding, percentiles."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wm_planner.evaluation.hold import Hold
from wm_planner.evaluation.report import Trial, percentiles, report
from wm_planner.evaluation.wilson import wilson
from wm_planner.sim.tasks import get_task


def test_wilson_matches_published_values() -> None:
    low, high = wilson(8, 10)
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))


@given(st.integers(1, 500), st.data())
def test_wilson_contains_the_rate_and_stays_a_probability(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    low, high = wilson(successes, trials)
    assert 0.0 <= low <= successes / trials + 1e-12
    assert successes / trials - 1e-12 <= high <= 1.0


def test_wilson_of_no_trials_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_passing_through_the_goal_is_no_success() -> None:
    task = get_task("panda_push")
    hold = Hold(task, 0.1)
    inside, outside = task.tolerance - 0.001, task.tolerance + 0.001
    assert not any(hold.update(inside, 0.1 * k) for k in range(task.hold - 1))
    assert not hold.update(outside, 5.0)
    results = [hold.update(inside, 6.0 + 0.1 * k) for k in range(task.hold)]
    assert results == [False] * (task.hold - 1) + [True]
    assert hold.since == 6.0


@pytest.mark.parametrize("rate", [10, 30])
@pytest.mark.parametrize("begin", [0.0, 6.1, 1234.567])
def test_a_goal_is_held_for_as_long_however_many_images_come(rate: int, begin: float) -> None:
    task = get_task("panda_push")
    assert task.hold == 10
    hold = Hold(task, 0.1)
    held = [hold.update(0.0, begin + k / rate) for k in range(rate)]
    assert held.index(True) == 9 * rate // 10
    assert hold.since == begin


def test_percentiles_leave_out_what_is_not_finite() -> None:
    assert percentiles([1.0, math.nan, 3.0])["p50"] == 2.0
    assert percentiles([]) == {"p50": 0.0, "p95": 0.0}


def test_report_has_the_agreed_keys_and_names_failures() -> None:
    trials = [Trial(7, True, 1.5, 0.01, [10.0]), Trial(8, False, math.nan, 0.2, [30.0])]
    result = report("panda_push", trials, 1, "m.safetensors", "planner")
    assert result["n"] == 2 and result["successes"] == 1 and result["success_rate"] == 0.5
    assert result["plan_ms"]["p50"] == 20.0
    assert result["seconds_to_goal"]["p50"] == 1.5
    assert result["failed_scene_seeds"] == [8]
    wanted = {"task", "n", "successes", "success_rate", "wilson_low", "wilson_high", "plan_ms", "seed", "checkpoint"}
    assert wanted | {"policy"} <= result.keys()
