"""The trainable critic: how many steps from the rollout to the goal, by the learned temporal distance."""

from __future__ import annotations

from torch import Tensor

from wm_planner.world_model.model import WorldModel

ALONG_THE_WAY = 0.25  # weight of the rollout's middle, beside its end


def temporal_distance(model: WorldModel, latents: Tensor, actions: Tensor, goal: Tensor) -> Tensor:
    """See `Cost`."""
    samples, horizon, _ = latents.shape
    pair = latents[:, [horizon // 2, horizon - 1]]
    middle, end = model.distance(pair, goal.expand_as(pair)).unbind(1)
    return end + ALONG_THE_WAY * middle
