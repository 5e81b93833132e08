"""Stage 2: the predictor over long open-loop rollouts, on frozen latents."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from wm_planner.training.config import RolloutConfig
from wm_planner.training.jepa import context_at_start
from wm_planner.training.loop import Fit
from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.precision import half_precision


class Latents(NamedTuple):
    """Encoded episodes: latents (N, T+1, D), joints (N, T+1, J) normalised, actions (N, T, A)."""

    latents: Tensor
    joints: Tensor
    actions: Tensor


class PredictorLoss:
    """Draws windows of (context + rollout) steps and returns the loss terms of one optimiser step."""

    def __init__(self, model: WorldModel, data: Latents, config: RolloutConfig) -> None:
        self._model, self._data, self._config = model, data, config

    def __call__(self, step: int) -> dict[str, Tensor]:
        cfg, data, c = self._config, self._data, self._model.contract.context_length
        rng = np.random.default_rng([cfg.seed, 2, step])
        n, t = data.actions.shape[:2]
        last = c + cfg.rollout_length
        length = last + (cfg.motion_weight > 0)
        episode = torch.from_numpy(rng.integers(n, size=(cfg.rollout_batch, 1)))
        index = torch.from_numpy(rng.integers(t + 2 - length, size=(cfg.rollout_batch, 1))) + torch.arange(length)
        latents, joints = data.latents[episode, index], data.joints[episode, index]
        actions = data.actions[episode, index[:, :-1]]
        with torch.autocast(latents.device.type, torch.bfloat16, enabled=half_precision(latents.device)):
            context = context_at_start(latents, joints, actions, c)
            predicted, predicted_joints = self._model.rollout(context, actions[:, c - 1 : last - 1])
        error = predicted - latents[:, c:last]
        terms = {
            "prediction": error.square().mean(),
            "joints": (predicted_joints - joints[:, c:last]).square().mean(),
        }
        if cfg.motion_weight:
            terms["motion"] = cfg.motion_weight * along_motion(error, latents[:, c - 1 :])
        return terms


_STILL = 0.002  # mean square change of latents in a step below which they are hardly moving, and have no direction


def along_motion(error: Tensor, latents: Tensor) -> Tensor:
    """Mean square of the part of errors (B, H, D) along the steps that led to and from latents (B, H + 2, D), the first
    before them and the last after. A small part of all errors, by which futures under other actions are confused.
    """
    steps, horizon = latents.diff(dim=1), error.shape[1]
    parts = [
        (error * step).mean(-1).square() / (step.square().mean(-1) + _STILL)
        for step in (steps[:, :horizon], steps[:, 1 : horizon + 1])
    ]
    return torch.stack(parts).sum(0).mean()


def fit_predictor(model: WorldModel, data: Latents, config: RolloutConfig, fit: Fit) -> float:
    """Train the model's predictor, and nothing else, on from what it is. Returns its seconds."""
    predictor, loss = model.predictor.requires_grad_(True), PredictorLoss(model, data, config)
    budget = (config.predictor_steps, config.predictor_lr)
    seconds = fit("predictor", predictor, [*predictor.parameters()], loss, *budget, muon_lr=config.predictor_muon_lr)
    predictor.requires_grad_(False)
    return seconds
