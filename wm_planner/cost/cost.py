"""The interface of a cost, and the weighted sum the actor minimises."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from wm_planner.cost.action_effort import action_effort
from wm_planner.cost.latent_l2 import latent_l2
from wm_planner.cost.temporal_distance import temporal_distance
from wm_planner.world_model.model import WorldModel


class Cost(Protocol):
    """latents (S, H, D) predicted under actions (S, H, A), goal (D,) -> costs (S,); lower is better."""

    def __call__(self, model: WorldModel, latents: Tensor, actions: Tensor, goal: Tensor) -> Tensor: ...


COSTS: dict[str, Cost] = {
    "latent_l2": latent_l2,
    "temporal_distance": temporal_distance,
    "action_effort": action_effort,
}


def total_cost(weights: dict[str, float], model: WorldModel, latents: Tensor, actions: Tensor, goal: Tensor) -> Tensor:
    """Weighted sum of named costs, (S,)."""
    terms = [weight * COSTS[name](model, latents, actions, goal) for name, weight in weights.items() if weight]
    return sum(terms[1:], terms[0])
