"""The baseline without a world model: goal-conditioned behaviour cloning, end to end from pixels.

Encoder and policy are trained together to repeat what play did, given what was reached later (hindsight goals, as in
Lynch et al., 2020). It sees the same frames, augmented alike, in the same number of optimiser steps as the JEPA.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wm_planner.data.dataset import Episodes
from wm_planner.training.augment import augment
from wm_planner.training.config import TrainConfig
from wm_planner.training.hindsight import Attempts
from wm_planner.training.imitation import imitation
from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.precision import half_precision


class CloneLoss:
    """Draws pairs of a moment and a later goal, and returns the loss terms of one optimiser step."""

    def __init__(self, model: WorldModel, episodes: Episodes, config: TrainConfig) -> None:
        self._model, self._episodes, self._config = model, episodes, config
        self._attempts = Attempts(episodes.attempts)
        # As many frames a step as the JEPA sees, two to a pair.
        self._batch = config.jepa_batch * (model.contract.context_length + config.jepa_rollout) // 2

    def __call__(self, step: int) -> dict[str, Tensor]:
        cfg, model, data = self._config, self._model, self._episodes
        rng = np.random.default_rng([cfg.seed, 5, step])
        torch.manual_seed(int(rng.integers(2**31)))
        episode, now, goal = self._attempts.draw(rng, self._batch)
        index = np.stack([now, goal], 1)
        frames = torch.from_numpy(data.frames[episode[:, None], index]).to(model.device)
        frames = augment(frames, cfg.recolouring, cfg.repainting, cfg.camera_motion)
        joints = model.normalise_joints(torch.from_numpy(data.joints[episode, now]).to(model.device))
        actions = torch.from_numpy(data.actions[episode, now]).to(model.device)
        with torch.autocast(model.device.type, torch.bfloat16, enabled=half_precision(model.device)):
            latents = model.encode(frames.flatten(0, 1)).unflatten(0, (-1, 2)).float()
            return {"clone": imitation(model, latents[:, 0], latents[:, 1], joints, actions)}
