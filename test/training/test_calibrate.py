"""Calibration of surprise: whitening, what does not matter, and how often nominal running exceeds a threshold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wm_planner.training.calibrate import all_residuals, calibrate, tail, whiten
from wm_planner.training.jepa import context_at_start
from wm_planner.training.predictor import Latents
from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.surprise import HORIZONS, score


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


def _episodes(model: WorldModel, count: int, steps: int, seed: int) -> Latents:
    """What the model predicts, plus noise: nominal running."""
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
        latent, joints = latent + 0.1 * torch.randn_like(latent), joints + 0.01 * torch.randn_like(joints)
        data = data._replace(
            latents=torch.cat([data.latents, latent[:, None]], 1), joints=torch.cat([data.joints, joints[:, None]], 1)
        )
    return data


def test_false_alarms_come_about_as_often_as_asked(small_model: WorldModel) -> None:
    d = small_model.config.latent_dim
    calibration = calibrate(small_model, _episodes(small_model, 40, 60, 0), torch.zeros(0, d), "a")
    nominal = _episodes(small_model, 80, 60, 1)
    matrices = calibration.matrices(d + 7)
    surprises = torch.stack([score(all_residuals(small_model, nominal, h), matrices[h]) for h in HORIZONS]).amax(0)
    asked = 0.01  # of all moments
    share = float((surprises > calibration.threshold(asked * 600 / calibration.dt)).float().mean())
    assert asked / 5 < share < asked * 3
    assert surprises.square().mean().sqrt() == pytest.approx(1.0, abs=0.4)


def test_the_more_is_recorded_the_further_out_the_tail_is_fitted(small_model: WorldModel) -> None:
    none = torch.zeros(0, small_model.config.latent_dim)
    short, long = (calibrate(small_model, _episodes(small_model, n, 60, 0), none, "a") for n in (20, 140))
    assert short.share == 0.02
    assert long.share == pytest.approx(60 / long.moments) and long.share < 0.01 and long.level > short.level


def test_calibration_is_deterministic(small_model: WorldModel) -> None:
    data, none = _episodes(small_model, 6, 20, 0), torch.zeros(0, small_model.config.latent_dim)
    assert calibrate(small_model, data, none, "a") == calibrate(small_model, data, none, "a")


def test_one_episode_is_too_few(small_model: WorldModel) -> None:
    with pytest.raises(ValueError, match="1 episode"):
        calibrate(small_model, _episodes(small_model, 1, 20, 0), torch.zeros(0, small_model.config.latent_dim), "a")


def test_thresholds_hold_for_episodes_the_whitening_was_not_fitted_to(small_model: WorldModel) -> None:
    """So few episodes that a threshold from the fitted residuals themselves would be far too low."""
    none, d = torch.zeros(0, small_model.config.latent_dim), small_model.config.latent_dim
    calibration = calibrate(small_model, _episodes(small_model, 4, 30, 0), none, "a")
    fresh, matrices = _episodes(small_model, 80, 40, 1), calibration.matrices(d + 7)
    surprises = torch.stack([score(all_residuals(small_model, fresh, h), matrices[h]) for h in HORIZONS]).amax(0)
    assert float((surprises > calibration.level).float().mean()) < 2.5 * calibration.share


def test_commands_that_may_be_later_surprise_less(small_model: WorldModel) -> None:
    d, data = small_model.config.latent_dim, _episodes(small_model, 40, 60, 0)
    mean = {}
    for late in (0.0, 0.8):
        calibration = calibrate(small_model, data, torch.zeros(0, d), "a", late)
        matrices = calibration.matrices(d + 7)
        later = data._replace(
            actions=0.4 * data.actions
            + 0.6 * torch.cat([torch.zeros_like(data.actions[:, :1]), data.actions[:, :-1]], 1)
        )
        surprises = torch.stack([score(all_residuals(small_model, later, h), matrices[h]) for h in HORIZONS]).amax(0)
        mean[late] = float(surprises.mean()) / calibration.threshold(0.5)
    assert mean[0.8] < mean[0.0]
