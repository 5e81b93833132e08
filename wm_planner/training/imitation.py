"""What a policy loses by not telling the actions that play made."""

from __future__ import annotations

import torch
from torch import Tensor

from wm_planner.world_model.model import WorldModel

POLICY_STD = 0.3  # of each component of the policy's mixture, in normalised actions


def mixture_nll(log_weights: Tensor, means: Tensor, action: Tensor) -> Tensor:
    """Negative log likelihood, up to a constant, of actions (B, A) under components (B, K), (B, K, A): (B,)."""
    distance = (means - action.unsqueeze(1)).square().sum(-1)
    return -torch.logsumexp(log_weights - 0.5 * distance / POLICY_STD**2, -1)


def imitation(model: WorldModel, latent: Tensor, goal: Tensor, joints: Tensor, action: Tensor) -> Tensor:
    """Loss of the policy that has to tell actions (B, A) from latents and goals (B, D) and joints (B, J): scalar."""
    log_weights, means = model.policy(torch.cat([latent, goal, joints], -1))
    return 0.1 * mixture_nll(log_weights, means, action).mean()
