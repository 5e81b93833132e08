"""Mean squared normalised action: prefers resting where nothing is gained by moving."""

from __future__ import annotations

from torch import Tensor

from wm_planner.cost.prediction import Prediction
from wm_planner.world_model.model import WorldModel


def action_effort(model: WorldModel, prediction: Prediction, goal: Tensor) -> Tensor:
    """See `Cost`."""
    return prediction.actions.square().mean((-2, -1))
