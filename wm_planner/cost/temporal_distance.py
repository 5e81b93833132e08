"""The trainable critic: how many steps from the rollout to the goal, by the learned temporal distance."""

from __future__ import annotations

from torch import Tensor

from wm_planner.cost.prediction import Prediction
from wm_planner.world_model.model import WorldModel

ALONG_THE_WAY = 0.25  # weight of the rollout's middle, beside its end


def temporal_distance(model: WorldModel, prediction: Prediction, goal: Tensor) -> Tensor:
    """See `Cost`."""
    horizon = prediction.latents.shape[1]
    pair = prediction.latents[:, [horizon // 2, horizon - 1]]
    middle, end = model.distance(pair, goal.expand_as(pair)).unbind(1)
    return end + ALONG_THE_WAY * middle
