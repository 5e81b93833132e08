"""What the planner starts from: the policy's own rollouts (mode 1), beside sequences that are given."""

from __future__ import annotations

import torch
from torch import Tensor

from wm_planner.cost.prediction import Prediction
from wm_planner.world_model.model import Context, WorldModel


def propose(
    model: WorldModel,
    begin: Context,
    given: Tensor,
    goal: Tensor | None,
    count: int,
    noise: float,
    generator: torch.Generator,
) -> Prediction:
    """Predict `count` closed-loop rollouts of the policy and the given action sequences, in one batch.

    Args:
        begin: a batch of one.
        given: (K, H, A) in [-1, 1].
        goal: goal latent (D,); None: no rollouts of the policy, which knows goal images only.
        noise: standard deviation added to the policy's actions; its first rollout is its likeliest, without noise.

    Returns:
        (count + K, H, .): the policy's first.
    """
    if goal is None or count == 0:
        return Prediction(*model.rollout(begin.expand(len(given)), given), given)
    context, goals = begin.expand(count + len(given)), goal.expand(count, -1)
    noisy = torch.full((count, 1), noise, device=given.device)
    noisy[0] = 0.0
    latents, joints, actions = [], [], []
    for sequence in given.unbind(1):
        action = model.propose(context.latents[:count, -1], context.joints[:count, -1], goals, generator)
        drawn = torch.randn(action.shape, generator=generator, device=given.device)
        action = torch.cat([(action + noisy * drawn).clamp(-1.0, 1.0), sequence])
        latent, q = model.step(context, action)
        context = context.shift(latent, q, action)
        latents.append(latent)
        joints.append(q)
        actions.append(action)
    return Prediction(torch.stack(latents, 1), torch.stack(joints, 1), torch.stack(actions, 1))
