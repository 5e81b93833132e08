"""Calibration of surprise: whitening, what does not matter, and how often nominal running exceeds a threshold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wm_planner.training.calibrate import Fitted, all_moments, calibrate, tail, whiten
from wm_planner.training.jepa import context_at_start
from wm_planner.training.predictor import Latents
from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.surprise import Calibration, score


def test_whitened_residuals_are_about_white() -> None:
    torch.manual_seed(0)
    mixing = torch.randn(6, 6)
    residuals = torch.randn(20000, 6) @ mixing
    whitened = residuals @ whiten(residuals, torch.zeros(0, 4))
    assert whitened.square().mean(0).min() > 0.3 and whitened.square().mean(0).max() < 3.0
    spread = torch.linalg.eigvalsh(whitened.T @ whitened / len(whitened))
    before = torch.linalg.eigvalsh(residuals.T @ residuals / len(residuals))
    assert spread[-1] / spread[0] < 0.2 * before[-1] / before[0]


def test_harmless_directions_count_little() -> None:
    torch.manual_seed(0)
    residuals, harmless = torch.randn(5000, 6), torch.zeros(1000, 4)
    harmless[:, 1] = 5.0 * torch.randn(1000)
    matrix = whiten(residuals, harmless)
    light, teleport = torch.zeros(6), torch.zeros(6)
    light[1], teleport[2] = 3.0, 3.0
    assert score(teleport, matrix) > 3 * score(light, matrix)


def test_tail_of_exponential_values_is_recovered() -> None:
    values = np.random.default_rng(0).exponential(0.5, 200_000)
    level, excess = tail(values, 0.02)
    assert level == pytest.approx(0.5 * np.log(50), rel=0.05)
    assert excess == pytest.approx(0.5, rel=0.05)


def _episodes(model: WorldModel, count: int, steps: int, seed: int, wild: float = 1.0) -> Latents:
    """What the model predicts, plus noise, `wild` times as much where the first action is large: nominal running."""
    torch.manual_seed(seed)
    c, d, a = model.contract.context_length, model.config.latent_dim, model.contract.action_dim
    z, q = [torch.randn(count, d)] * c, [torch.zeros(count, 7)] * c
    actions = 0.3 * torch.randn(count, steps, a)
    data = Latents(torch.stack(z, 1), torch.stack(q, 1), actions)
    for t in range(c, steps + 1):
        window = data._replace(
            latents=data.latents[:, t - c : t], joints=data.joints[:, t - c : t], actions=actions[:, t - c : t]
        )
        latent, joints = model.step(context_at_start(*window, c), actions[:, t - 1])
        noise = torch.where(actions[:, t - 1, :1] > 0.5, wild, 1.0)
        latent = latent + 0.1 * noise * torch.randn_like(latent)
        joints = joints + 0.01 * noise * torch.randn_like(joints)
        data = data._replace(
            latents=torch.cat([data.latents, latent[:, None]], 1), joints=torch.cat([data.joints, joints[:, None]], 1)
        )
    return data


def _surprises(model: WorldModel, calibration: Calibration, data: Latents) -> torch.Tensor:
    fitted = Fitted(calibration.matrices(model.config.latent_dim + 7), calibration.uncertainties(model))
    return fitted.surprises(all_moments(model, data))


def test_false_alarms_come_about_as_often_as_asked(small_model: WorldModel) -> None:
    d = small_model.config.latent_dim
    calibration = calibrate(small_model, [_episodes(small_model, 40, 60, 0)], torch.zeros(0, d), "a")
    nominal = _episodes(small_model, 80, 60, 1)
    surprises = _surprises(small_model, calibration, nominal)
    asked = 0.01  # of all moments
    share = float((surprises > calibration.threshold(asked * 600 / calibration.dt)).float().mean())
    assert asked / 5 < share < asked * 3
    assert surprises.square().mean().sqrt() == pytest.approx(1.0, abs=0.4)


def test_the_more_is_recorded_the_further_out_the_tail_is_fitted(small_model: WorldModel) -> None:
    none = torch.zeros(0, small_model.config.latent_dim)
    short, long = (calibrate(small_model, [_episodes(small_model, n, 60, 0)], none, "a") for n in (20, 140))
    assert short.share == 0.02
    assert long.share == pytest.approx(60 / long.moments) and long.share < 0.01 and long.level > short.level


def test_calibration_is_deterministic(small_model: WorldModel) -> None:
    data, none = _episodes(small_model, 6, 20, 0), torch.zeros(0, small_model.config.latent_dim)
    assert calibrate(small_model, [data], none, "a") == calibrate(small_model, [data], none, "a")


def test_one_episode_is_too_few(small_model: WorldModel) -> None:
    none = torch.zeros(0, small_model.config.latent_dim)
    with pytest.raises(ValueError, match="1 episode"):
        calibrate(small_model, [_episodes(small_model, n, 20, 0) for n in (4, 1)], none, "a")


def test_episodes_that_are_too_short_are_refused(small_model: WorldModel) -> None:
    none, short = torch.zeros(0, small_model.config.latent_dim), small_model.contract.context_length + 2
    with pytest.raises(ValueError, match=f"episodes of {short} steps are too short .* expected {short + 1} or more"):
        calibrate(small_model, [_episodes(small_model, 4, short, 0)], none, "a")


def test_thresholds_hold_for_episodes_the_whitening_was_not_fitted_to(small_model: WorldModel) -> None:
    """So few episodes that a threshold from the fitted residuals themselves would be far too low."""
    none = torch.zeros(0, small_model.config.latent_dim)
    calibration = calibrate(small_model, [_episodes(small_model, 4, 30, 0)], none, "a")
    surprises = _surprises(small_model, calibration, _episodes(small_model, 80, 40, 1))
    assert float((surprises > calibration.level).float().mean()) < 2.5 * calibration.share


def test_commands_that_may_be_later_surprise_less(small_model: WorldModel) -> None:
    d, data = small_model.config.latent_dim, _episodes(small_model, 40, 60, 0)
    mean = {}
    for late in (0.0, 0.8):
        calibration = calibrate(small_model, [data], torch.zeros(0, d), "a", late)
        later = data._replace(
            actions=0.4 * data.actions
            + 0.6 * torch.cat([torch.zeros_like(data.actions[:, :1]), data.actions[:, :-1]], 1)
        )
        mean[late] = float(_surprises(small_model, calibration, later).mean()) / calibration.threshold(0.5)
    assert mean[0.8] < mean[0.0]


def test_recordings_may_be_of_several_lengths(small_model: WorldModel) -> None:
    none = torch.zeros(0, small_model.config.latent_dim)
    recordings = [_episodes(small_model, n, steps, n) for n, steps in ((3, 20), (4, 30))]
    past = small_model.contract.context_length + 3  # moments that have none long enough
    assert calibrate(small_model, recordings, none, "a").moments == 3 * (21 - past) + 4 * (31 - past)


def test_what_is_wild_surprises_less_where_play_has_shown_it(
    small_model: WorldModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wm_planner.training.uncertainty.STEPS", 400)
    none = torch.zeros(0, small_model.config.latent_dim)
    nominal, play, fresh = (_episodes(small_model, n, 60, seed, 3.0) for seed, n in ((0, 40), (1, 40), (2, 80)))
    alike = calibrate(small_model, [nominal], none, "a")
    told = calibrate(small_model, [nominal], none, "a", other=[play])
    assert not alike.uncertainty and set(told.uncertainty) == set(told.whitening)
    surprises = [_surprises(small_model, each, fresh) for each in (alike, told)]
    assert surprises[1].quantile(0.995) < 0.85 * surprises[0].quantile(0.995)
    asked = 0.01  # of all moments
    limits = [each.threshold(asked * 600 / each.dt) for each in (alike, told)]
    assert limits[1] < 0.85 * limits[0]
    assert float((surprises[1] > limits[1]).float().mean()) < asked * 3


def test_what_is_usual_is_measured_on_nominal_running_alone_where_asked_for(
    small_model: WorldModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wm_planner.training.uncertainty.STEPS", 10)
    none = torch.zeros(0, small_model.config.latent_dim)
    nominal, play = (_episodes(small_model, 10, 30, seed, wild) for seed, wild in ((0, 1.0), (1, 3.0)))
    alike = calibrate(small_model, [nominal], none, "a")
    both, own = (calibrate(small_model, [nominal], none, "a", 0.3, [play], w) for w in (True, False))
    assert own.uncertainty and own.whitening == alike.whitening
    assert both.whitening != alike.whitening
