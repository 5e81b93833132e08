"""Squared distance of the predicted joints to goal joints, averaged over the rollout."""

from __future__ import annotations

from torch import Tensor

from wm_planner.cost.prediction import Prediction
from wm_planner.world_model.model import WorldModel


def joint_l2(model: WorldModel, prediction: Prediction, goal: Tensor) -> Tensor:
    """See `Cost`; the goal is (J,), normalised."""
    return (prediction.joints - goal).square().mean((-2, -1))
