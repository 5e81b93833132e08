"""Surprise: ordinary where the world does what the model predicts, large where it does not, at any frame rate."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wm_planner.memory.context import Memory, Moment
from wm_planner.world_model.model import Context, WorldModel
from wm_planner.world_model.surprise import HORIZONS, Calibration, Surprise, packed
from wm_planner.world_model.uncertainty import LARGEST, Uncertainty


def _calibration(size: int, **changes) -> Calibration:
    whitening = packed(torch.eye(size))
    fields = {
        "dt": 0.1,
        "whitening": dict.fromkeys(HORIZONS, whitening),
        "level": 2.0,
        "share": 0.02,
        "excess": 0.5,
        "moments": 1000,
        "source": "this test",
    }
    return Calibration(**(fields | changes))


@pytest.fixture
def surprise(small_model: WorldModel) -> Surprise:
    return Surprise(small_model, _calibration(small_model.config.latent_dim + 7))


def _predicted_world(model: WorldModel, steps: int, rng: np.random.Generator) -> tuple[Memory, list[Moment]]:
    """A memory of what the model itself predicts under random actions, and the moments after it began."""
    contract = model.contract
    memory = Memory(contract.context_length, contract.dt, contract.action_dim)
    rest = torch.zeros(1, contract.context_length, 1)
    latents, joints = rest.expand(-1, -1, model.config.latent_dim), rest.expand(-1, -1, 7)
    context = Context(latents, joints, rest[:, 1:].expand(-1, -1, contract.action_dim))
    moments = [Moment(k * contract.dt, latents[:, 0], joints[:, 0]) for k in range(contract.context_length)]
    for moment in moments:
        memory.remember(moment)
    for _ in range(steps):
        now = moments[-1].time
        action = torch.from_numpy(rng.uniform(-1, 1, (1, contract.action_dim)).astype(np.float32))
        memory.acted(now, action[0].numpy())
        latent, q = model.step(context, action)
        context = context.shift(latent, q, action)
        moments.append(Moment(now + contract.dt, latent, q))
        memory.remember(moments[-1])
    return memory, moments


def test_a_world_as_predicted_does_not_surprise(
    surprise: Surprise, small_model: WorldModel, rng: np.random.Generator
) -> None:
    memory, moments = _predicted_world(small_model, 12, rng)
    assert moments[-1].latent.abs().max() > 0.1  # it does move
    assert surprise(memory) == pytest.approx(0.0, abs=1e-4)


def test_a_jump_surprises_at_once_and_by_its_size(surprise: Surprise, small_model: WorldModel) -> None:
    _, moments = _predicted_world(small_model, 12, np.random.default_rng(7))
    seen = []
    for size in (1.0, 5.0):
        fresh, _ = _predicted_world(small_model, 12, np.random.default_rng(7))
        fresh.remember(moments[-1]._replace(time=moments[-1].time + 0.1, latent=moments[-1].latent + size))
        seen.append(surprise(fresh))
    assert seen[1] > seen[0] > 0.5


@pytest.mark.parametrize(("log_variance", "divisor"), [(-4.0, 1.0), (1.0, np.exp(0.5)), (50.0, LARGEST)])
def test_surprise_is_divided_by_what_was_told_to_expect(
    small_model: WorldModel, log_variance: float, divisor: float
) -> None:
    packed_by_horizon = {}
    for horizon in HORIZONS:
        told = Uncertainty(small_model.config.latent_dim, small_model.contract, horizon)
        torch.nn.init.zeros_(told.net.leave[1].weight)
        torch.nn.init.constant_(told.net.leave[1].bias, log_variance)
        packed_by_horizon[horizon] = told.packed()
    size = small_model.config.latent_dim + 7
    seen = []
    for calibration in (_calibration(size), _calibration(size, uncertainty=packed_by_horizon)):
        memory, moments = _predicted_world(small_model, 12, np.random.default_rng(7))
        memory.remember(moments[-1]._replace(time=moments[-1].time + 0.1, latent=moments[-1].latent + 1.0))
        seen.append(Surprise(small_model, calibration)(memory))
    assert seen[0] == pytest.approx(divisor * seen[1], rel=1e-3)


def test_images_that_stand_still_surprise_while_the_prediction_moves(
    surprise: Surprise, small_model: WorldModel, rng: np.random.Generator
) -> None:
    memory, moments = _predicted_world(small_model, 12, rng)
    values = []
    for k in range(1, 4):
        memory.acted(moments[-1].time + 0.1 * (k - 1), np.ones(2))
        memory.remember(moments[-1]._replace(time=moments[-1].time + 0.1 * k))
        values.append(surprise(memory))
    assert max(values) > 0.05


def test_no_verdict_before_there_is_a_past(surprise: Surprise, small_model: WorldModel) -> None:
    contract = small_model.contract
    memory = Memory(contract.context_length, contract.dt, contract.action_dim)
    assert surprise(memory) is None
    moment = Moment(3.0, torch.zeros(1, small_model.config.latent_dim), torch.zeros(1, 7))
    memory.remember(moment)
    assert surprise(memory) is None
    for k in range(1, contract.context_length + 1):
        memory.remember(moment._replace(time=3.0 + 0.1 * k))
    assert surprise(memory) is not None


def test_no_verdict_across_a_gap(surprise: Surprise, small_model: WorldModel, rng: np.random.Generator) -> None:
    memory, moments = _predicted_world(small_model, 12, rng)
    memory.remember(moments[-1]._replace(time=moments[-1].time + 1.0))
    assert surprise(memory) is None


@pytest.mark.parametrize("rate", [10.0, 30.0])
def test_jittered_stamps_change_little(small_model: WorldModel, rate: float) -> None:
    """A constant drift observed at irregular times: the interpolated past is what it was."""
    torch.nn.init.zeros_(small_model.predictor.leave[1].weight)
    contract, d = small_model.contract, small_model.config.latent_dim
    small_model.predictor.leave[1].bias[:] = 0.1  # per step, whatever is done
    memory = Memory(contract.context_length, contract.dt, contract.action_dim)
    surprise = Surprise(small_model, _calibration(d + 7))
    rng = np.random.default_rng(0)
    for k in range(40):
        time = k / rate + rng.uniform(-0.3, 0.3) / rate + 1.0
        memory.remember(Moment(time, torch.full((1, d), time), torch.full((1, 7), time)))
    assert surprise(memory) == pytest.approx(0.0, abs=1e-4)


@given(st.floats(1e-3, 100.0), st.floats(1e-3, 100.0))
def test_rarer_alarms_need_more_surprise(one: float, other: float) -> None:
    calibration = _calibration(3)
    low, high = sorted((one, other))
    assert calibration.threshold(low) >= calibration.threshold(high) >= calibration.level


def test_threshold_follows_the_tail() -> None:
    calibration = _calibration(3)
    per_ten_minutes = 0.02 * 600 / 0.1  # as often as the level is exceeded
    assert calibration.threshold(per_ten_minutes) == pytest.approx(2.0)
    assert calibration.threshold(per_ten_minutes / np.e) == pytest.approx(2.5)
    with pytest.raises(ValueError, match="more than 0"):
        calibration.threshold(0.0)


def test_a_calibration_of_another_model_is_refused(small_model: WorldModel) -> None:
    with pytest.raises(ValueError, match="calibrate again"):
        Surprise(small_model, _calibration(5))


def test_a_calibration_survives_json() -> None:
    calibration = _calibration(4)
    again = Calibration.model_validate(calibration.model_dump(mode="json"))
    assert again == calibration
    torch.testing.assert_close(again.matrices(4)[HORIZONS[0]], torch.eye(4))
