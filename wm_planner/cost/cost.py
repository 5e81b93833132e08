"""The interface of a cost, and the weighted sum the actor minimises."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from wm_planner.cost.action_effort import action_effort
from wm_planner.cost.joint_l2 import joint_l2
from wm_planner.cost.latent_l2 import latent_l2
from wm_planner.cost.prediction import Prediction
from wm_planner.cost.temporal_distance import temporal_distance
from wm_planner.world_model.model import WorldModel


class Cost(Protocol):
    """Costs (S,) of predictions of S candidates; lower is better. goal: (D,) latent or (J,) joints."""

    def __call__(self, model: WorldModel, prediction: Prediction, goal: Tensor) -> Tensor: ...


COSTS: dict[str, Cost] = {
    "latent_l2": latent_l2,
    "temporal_distance": temporal_distance,
    "action_effort": action_effort,
    "joint_l2": joint_l2,
}


def total_cost(weights: dict[str, float], model: WorldModel, prediction: Prediction, goal: Tensor) -> Tensor:
    """Weighted sum of named costs, (S,)."""
    terms = [weight * COSTS[name](model, prediction, goal) for name, weight in weights.items() if weight]
    return sum(terms[1:], terms[0])
