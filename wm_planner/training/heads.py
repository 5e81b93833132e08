"""Stages 3 and 4: the critic and the policy, on frozen latents."""

from __future__ import annotations

import numpy as np

from wm_planner.training.config import HeadsConfig
from wm_planner.training.critic import CriticLoss
from wm_planner.training.hindsight import attempt_ends
from wm_planner.training.loop import Fit, Progress, silent
from wm_planner.training.policy import PolicyLoss
from wm_planner.training.predictor import Latents
from wm_planner.training.stitch import StitchLoss
from wm_planner.world_model.model import WorldModel


def fit_heads(
    model: WorldModel,
    data: Latents,
    attempts: np.ndarray,
    config: HeadsConfig,
    fit: Fit,
    progress: Progress = silent,
) -> dict[str, float]:
    """Train critic and policy on from what they are; attempts (N, T) as in `Episodes`. Returns the seconds of each."""
    seconds: dict[str, float] = {}
    ends, parameters = attempt_ends(attempts), [*model.critic.requires_grad_(True).parameters()]
    critic = CriticLoss(model, data, ends, config)
    seconds["critic"] = fit("critic", model, parameters, critic, config.critic_steps, config.heads_lr)
    if config.stitch_steps:
        stitch = StitchLoss(model, data, ends, config, progress)
        seconds["stitch"] = fit("stitch", model, parameters, stitch, config.stitch_steps, config.heads_lr)
    model.critic.requires_grad_(False)
    return seconds | {"policy": fit_policy(model, data, attempts, config, fit)}


def fit_policy(model: WorldModel, data: Latents, attempts: np.ndarray, config: HeadsConfig, fit: Fit) -> float:
    """Train the policy on from what it is. Returns its seconds."""
    loss = PolicyLoss(model, data, attempts, config)
    parameters = [*model.policy.requires_grad_(True).parameters()]
    seconds = fit("policy", model, parameters, loss, config.policy_steps, config.heads_lr)
    model.policy.requires_grad_(False)
    return seconds
