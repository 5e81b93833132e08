"""Simulated time against the wall clock, with a clock the test turns."""

from __future__ import annotations

from wm_planner.sim.pacer import Pacer


def test_the_pace_does_not_drift_however_ticks_and_steps_divide() -> None:
    pacer, taken = Pacer(max_lag=0.1), 0
    for tick in range(7001):
        due, dropped = pacer.due(tick / 70.0, 240.0)
        assert not dropped
        pacer.done(due)
        taken += due
    assert abs(taken - 100 * 240) <= 1


def test_a_hiccup_is_made_up_for_and_a_long_stall_is_not() -> None:
    pacer = Pacer(max_lag=0.1)
    pacer.due(0.0, 240.0)
    assert pacer.due(0.05, 240.0) == (12, 0.0)
    pacer.done(12)
    due, dropped = pacer.due(10.0, 240.0)
    assert due == 24
    assert round(dropped) == round(9.95 * 240) - 24


def test_steps_not_taken_stay_due() -> None:
    pacer = Pacer(max_lag=0.1)
    pacer.due(0.0, 240.0)
    pacer.done(pacer.due(0.05, 240.0)[0] - 5)
    assert pacer.due(0.05, 240.0) == (5, 0.0)


def test_a_slow_simulation_still_advances() -> None:
    pacer, taken = Pacer(max_lag=0.1), 0
    for tick in range(1201):  # 10 s at a tenth of a step per second
        due, _ = pacer.due(tick / 120.0, 0.1)
        pacer.done(due)
        taken += due
    assert taken in (0, 1)
    assert pacer.due(11.0, 0.1)[0] + taken == 1


def test_nothing_is_due_after_a_restart() -> None:
    pacer = Pacer(max_lag=0.1)
    pacer.due(0.0, 240.0)
    pacer.due(0.09, 240.0)
    pacer.restart()
    assert pacer.due(50.0, 240.0) == (0, 0.0)
