"""Memory: which moments and which actions the predictor gets to see."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wm_planner.memory.context import Memory, Moment

DT = 0.1


def _moment(time: float) -> Moment:
    """A moment that carries its own time as latent and joints."""
    return Moment(time, torch.tensor([[time, 1.0]]), torch.tensor([[time]]))


def _memory(times: list[float], length: int = 3) -> Memory:
    memory = Memory(length, DT, 2)
    for time in times:
        memory.remember(_moment(time))
    return memory


def test_empty_memory_has_no_context() -> None:
    with pytest.raises(LookupError, match="nothing has been observed"):
        _memory([]).context()


def test_context_is_sampled_at_the_control_rate() -> None:
    # A camera three times as fast as the control rate, with jitter.
    times = [0.001, 0.034, 0.068, 0.099, 0.135, 0.164, 0.2, 0.233]
    context = _memory(times).context()
    expected = torch.tensor([0.034, 0.135, 0.233])
    torch.testing.assert_close(context.latents[0, :, 0], expected)
    torch.testing.assert_close(context.joints[0, :, 0], expected)
    assert context.latents.shape == (1, 3, 2) and context.joints.shape == (1, 3, 1)
    assert context.actions.shape == (1, 2, 2)


def test_short_history_repeats_its_oldest_moment() -> None:
    context = _memory([5.0, 5.1]).context()
    torch.testing.assert_close(context.latents[0, :, 0], torch.tensor([5.0, 5.0, 5.1]))
    torch.testing.assert_close(context.actions, torch.zeros(1, 2, 2))


def test_context_of_one_has_no_actions() -> None:
    assert _memory([1.0], length=1).context().actions.shape == (1, 0, 2)


def test_actions_are_those_between_the_moments() -> None:
    memory = _memory([0.0, 0.1, 0.2])
    memory.acted(0.0, np.array([1.0, 0.0]))
    memory.acted(0.1, np.array([0.0, -1.0]))
    torch.testing.assert_close(memory.context().actions[0], torch.tensor([[1.0, 0.0], [0.0, -1.0]]))


def test_an_action_that_changed_midway_is_averaged() -> None:
    memory = _memory([0.0, 0.1])
    memory.acted(0.0, np.array([1.0, 1.0]))
    memory.acted(0.075, np.array([-1.0, 0.0]))
    np.testing.assert_allclose(memory.mean_action(0.0, 0.1), [0.5, 0.75])


def test_rest_before_the_first_action() -> None:
    memory = _memory([0.0])
    memory.acted(0.05, np.array([1.0, 1.0]))
    np.testing.assert_allclose(memory.mean_action(0.0, 0.1), [0.5, 0.5])
    np.testing.assert_allclose(memory.mean_action(-0.2, -0.1), [0.0, 0.0])


def test_last_action_lasts() -> None:
    memory = _memory([0.0])
    memory.acted(0.0, np.array([0.3, -0.3]))
    np.testing.assert_allclose(memory.mean_action(7.0, 7.1), [0.3, -0.3])


def test_remembered_action_is_a_copy() -> None:
    memory, action = _memory([0.0]), np.ones(2)
    memory.acted(0.0, action)
    action[:] = -1.0
    np.testing.assert_allclose(memory.mean_action(0.0, 0.1), [1.0, 1.0])


def test_time_running_backwards_forgets() -> None:
    memory = _memory([10.0, 10.1])
    memory.acted(10.0, np.array([1.0, 1.0]))
    memory.remember(_moment(0.1))
    context = memory.context()
    torch.testing.assert_close(context.latents[0, :, 0], torch.tensor([0.1, 0.1, 0.1]))
    torch.testing.assert_close(context.actions, torch.zeros(1, 2, 2))


def test_commands_running_backwards_forget_older_commands() -> None:
    memory = _memory([0.0])
    memory.acted(10.0, np.array([1.0, 1.0]))
    memory.acted(0.0, np.array([0.5, 0.5]))
    np.testing.assert_allclose(memory.mean_action(0.0, 0.1), [0.5, 0.5])
    np.testing.assert_allclose(memory.mean_action(20.0, 20.1), [0.5, 0.5])


def test_a_moment_between_observations_is_interpolated() -> None:
    memory = _memory([0.0, 0.09, 0.21])
    moment = memory.at(0.15)
    assert moment is not None and moment.time == 0.15
    torch.testing.assert_close(moment.latent, torch.tensor([[0.15, 1.0]]))
    torch.testing.assert_close(moment.joints, torch.tensor([[0.15]]))
    assert memory.at(0.09) is not None
    assert memory.at(-0.05) is None and memory.at(0.25) is None


def test_nothing_is_interpolated_across_a_gap() -> None:
    assert _memory([0.0, 0.4]).at(0.2) is None


def test_context_of_an_earlier_time() -> None:
    memory = _memory([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    for k in range(5):
        memory.acted(0.1 * k, np.array([float(k), 0.0]))
    context = memory.context_at(0.4)
    assert context is not None
    torch.testing.assert_close(context.latents[0, :, 0], torch.tensor([0.2, 0.3, 0.4]))
    torch.testing.assert_close(context.actions[0, :, 0], torch.tensor([2.0, 3.0]))
    assert memory.context_at(0.15) is None  # reaches back before the first observation


def test_clear() -> None:
    memory = _memory([0.0])
    memory.acted(0.0, np.ones(2))
    memory.clear()
    np.testing.assert_allclose(memory.mean_action(0.0, 1.0), [0.0, 0.0])
    with pytest.raises(LookupError):
        memory.context()


def test_memory_is_bounded_but_long_enough() -> None:
    """A minute at 30 Hz with commands at 50 Hz: the context still spans its steps."""
    memory = Memory(2, DT, 1)
    for i in range(3000):
        memory.acted(i / 50, np.array([i / 3000]))
    for i in range(1800):
        memory.remember(_moment(i / 30))
    latents = memory.context().latents[0, :, 0]
    assert latents[1] - latents[0] == pytest.approx(DT, abs=1 / 60)
    assert memory.mean_action(59.9, 59.92)[0] == pytest.approx(2995 / 3000, abs=1e-3)


def test_commands_at_a_kilohertz_reach_back_for_seconds() -> None:
    memory = Memory(2, DT, 1)
    for i in range(20_000):
        memory.acted(i / 1000, np.ones(1))
    np.testing.assert_allclose(memory.mean_action(15.0, 15.1), 1.0)


@given(
    st.lists(st.tuples(st.floats(0.01, 0.3), st.floats(-1, 1)), min_size=1, max_size=20),
    st.floats(0, 2),
    st.floats(0.01, 1),
    st.floats(0.01, 1),
)
def test_mean_action_is_an_average(steps: list[tuple[float, float]], start: float, first: float, second: float) -> None:
    memory, time = Memory(2, DT, 1), 0.0
    for gap, value in steps:
        time += gap
        memory.acted(time, np.array([value]))
    whole = memory.mean_action(start, start + first + second)
    values = [0.0, *(v for _, v in steps)]
    assert min(values) - 1e-9 <= whole[0] <= max(values) + 1e-9
    # Averages of the parts, weighted by duration, make the average of the whole.
    parts = first * memory.mean_action(start, start + first)
    parts = parts + second * memory.mean_action(start + first, start + first + second)
    np.testing.assert_allclose(parts / (first + second), whole, atol=1e-9)


@given(st.lists(st.floats(0.0, 0.2), min_size=1, max_size=40), st.integers(1, 4))
def test_context_is_ordered_and_ends_now(gaps: list[float], length: int) -> None:
    times = np.cumsum(gaps)
    memory = _memory([float(t) for t in times], length)
    seen = memory.context().latents[0, :, 0]
    assert seen.shape == (length,)
    assert torch.all(seen.diff() >= 0)
    assert float(seen[-1]) == pytest.approx(float(times[-1]))
