"""What surprise does to the speed, observation by observation, ten a second."""

from __future__ import annotations

import pytest

from wm_planner.actor.caution import HOLD, LONGEST, PROBATION, SEEN, Caution, Limits

DT = 0.1
LIMITS = Limits(slow=2.0, stop=4.0, speed=0.3)


class Watch:
    """Feeds observations to a Caution."""

    def __init__(self) -> None:
        self.caution, self.now = Caution(LIMITS), 100.0

    def see(self, surprise: float, seconds: float = DT, action: float = 0.5) -> float:
        """Observe the same surprise for some time; returns the speed then."""
        for _ in range(round(seconds / DT)):
            self.now += DT
            self.caution.observe(surprise, action, self.now)
        return self.caution.speed

    def waits(self) -> float:
        """Calm seconds until a robot that stands still may try again."""
        began = self.now
        while self.caution.reason:
            self.see(1.0, action=0.0)
            assert self.now < began + 100.0, "never"
        return self.now - began


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_a_world_that_makes_sense_leaves_the_speed_alone(watch: Watch) -> None:
    assert watch.see(1.99, 60.0) == 1.0
    assert watch.caution.reason == ""


def test_above_the_first_threshold_it_slows_until_calm_for_half_a_second(watch: Watch) -> None:
    assert watch.see(2.0) == LIMITS.speed
    assert watch.see(1.0, HOLD) == LIMITS.speed
    assert watch.see(1.0, 2 * DT) == 1.0


@pytest.mark.parametrize("surprise", [4.0, 1e9, float("inf"), float("nan")])
def test_above_the_second_it_stops_and_says_why(watch: Watch, surprise: float) -> None:
    assert watch.see(surprise) == 0.0
    assert watch.caution.reason.startswith(f"surprise is {surprise:.3g}, expected below 4: ")


def test_it_tries_again_slowly_and_goes_fast_once_it_has_moved_as_predicted(watch: Watch) -> None:
    watch.see(9.0)
    assert watch.see(1.0, HOLD, action=0.0) == 0.0
    assert watch.see(1.0, 2 * DT, action=0.0) == LIMITS.speed
    assert watch.see(1.0, 60.0, action=0.0) == LIMITS.speed, "standing still proves nothing"
    assert watch.see(1.0, PROBATION - 2 * DT) == LIMITS.speed
    assert watch.see(1.0, 4 * DT) == 1.0


def test_what_is_still_surprising_keeps_it_standing(watch: Watch) -> None:
    watch.see(9.0)
    assert watch.see(3.0, 30.0, action=0.0) == 0.0
    assert watch.waits() == pytest.approx(HOLD, abs=2 * DT)


def test_it_waits_longer_each_time_it_is_surprised_while_trying(watch: Watch) -> None:
    waits = []
    for _ in range(7):
        watch.see(9.0)
        waits.append(watch.waits())
        watch.see(1.0, 0.5 * PROBATION)
    assert waits[:4] == pytest.approx([HOLD, 2 * HOLD, 4 * HOLD, 8 * HOLD], abs=2 * DT)
    assert max(waits) == pytest.approx(LONGEST, abs=2 * DT)
    watch.see(1.0, 2 * PROBATION)
    watch.see(9.0)
    assert watch.waits() == pytest.approx(HOLD, abs=2 * DT), "trust regained is trust anew"


def test_few_observations_are_no_proof_however_far_apart(watch: Watch) -> None:
    watch.see(9.0)
    for k in range(SEEN):
        assert watch.caution.speed == 0.0
        watch.caution.observe(1.0, 0.0, watch.now + 10.0 * (k + 1))
    assert watch.caution.speed == LIMITS.speed


def test_forgets_when_told(watch: Watch) -> None:
    watch.see(9.0)
    watch.caution.clear()
    assert (watch.caution.speed, watch.caution.reason) == (1.0, "")
    watch.see(9.0)
    assert watch.waits() == pytest.approx(HOLD, abs=2 * DT)
