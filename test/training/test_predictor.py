"""The loss of long rollouts."""

from __future__ import annotations

import pytest
import torch

from wm_planner.configurator.contract import Contract
from wm_planner.training.config import RolloutConfig
from wm_planner.training.predictor import Latents, PredictorLoss, along_motion
from wm_planner.world_model.config import ModelConfig
from wm_planner.world_model.model import WorldModel


def test_only_errors_along_the_motion_count() -> None:
    latents = torch.zeros(1, 4, 3)
    latents[0, :, 0] = torch.tensor([0.0, 10.0, 20.0, 30.0])
    ahead, aside = torch.tensor([[[2.0, 0.0, 0.0]] * 2]), torch.tensor([[[0.0, 2.0, 0.0]] * 2])
    assert along_motion(aside, latents) == 0.0
    # 2 squared of three dimensions, against the steps before and after
    assert along_motion(ahead, latents) == pytest.approx(2 * 4.0 / 3, rel=1e-3)
    assert along_motion(ahead, torch.zeros(1, 4, 3)) == 0.0
    turning = torch.tensor([[[0.0, 0.0], [10.0, 0.0], [10.0, 10.0]]])
    assert along_motion(torch.tensor([[[2.0, 0.0]]]), turning) == pytest.approx(4.0 / 2, rel=1e-3)


def test_windows_reach_the_end_of_episodes_and_no_further(contract: Contract, small_config: ModelConfig) -> None:
    torch.manual_seed(0)
    model, d = WorldModel(contract, small_config), small_config.latent_dim
    shape = (3, contract.context_length + 4)  # frames: a context, a rollout of three, one after it
    data = Latents(torch.randn(*shape, d), torch.randn(*shape, 7), torch.rand(shape[0], shape[1] - 1, 2))
    plain, along = (
        PredictorLoss(model, data, RolloutConfig(rollout_batch=4, rollout_length=3, motion_weight=weight))(0)
        for weight in (0.0, 2.0)
    )
    assert set(plain) == {"prediction", "joints"} and set(along) == {"prediction", "joints", "motion"}
    # Untrained, nothing is predicted to change: errors are the motion itself, in part.
    assert 0.0 < along["motion"] < 2.0 * 2.0 * along["prediction"]
