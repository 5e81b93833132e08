"""Squared distance to the goal latent, averaged over the rollout (EB-JEPA: better than the end alone)."""

from __future__ import annotations

from torch import Tensor

from wm_planner.world_model.model import WorldModel


def latent_l2(model: WorldModel, latents: Tensor, actions: Tensor, goal: Tensor) -> Tensor:
    """See `Cost`."""
    return (latents - goal).square().mean((-2, -1))
