"""Squared distance to the goal latent, averaged over the rollout (EB-JEPA: better than the end alone)."""

from __future__ import annotations

from torch import Tensor

from wm_planner.cost.prediction import Prediction
from wm_planner.world_model.model import WorldModel


def latent_l2(model: WorldModel, prediction: Prediction, goal: Tensor) -> Tensor:
    """See `Cost`."""
    return (prediction.latents - goal).square().mean((-2, -1))
