"""Mean squared normalised action: prefers resting where nothing is gained by moving."""

from __future__ import annotations

from torch import Tensor

from wm_planner.world_model.model import WorldModel


def action_effort(model: WorldModel, latents: Tensor, actions: Tensor, goal: Tensor) -> Tensor:
    """See `Cost`."""
    return actions.square().mean((-2, -1))
