"""Stage 4: the policy, cloned from play in hindsight on frozen latents.

What play did is right for what its attempt led to. Only goals of the same attempt count: towards one that came about
later, by way of something else, play went astray.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wm_planner.training.config import HeadsConfig
from wm_planner.training.hindsight import Attempts
from wm_planner.training.imitation import imitation
from wm_planner.training.predictor import Latents
from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.precision import half_precision


class PolicyLoss:
    """Loss terms of one optimiser step over the policy; attempts (N, T) as in `Episodes`."""

    def __init__(self, model: WorldModel, data: Latents, attempts: np.ndarray, config: HeadsConfig) -> None:
        self._model, self._data, self._config = model, data, config
        self._attempts = Attempts(attempts)
        model.policy.train()

    def __call__(self, step: int) -> dict[str, Tensor]:
        cfg, data = self._config, self._data
        rng = np.random.default_rng([cfg.seed, 4, step])
        episode, now, goal = self._attempts.draw(rng, cfg.heads_batch)
        z, q = data.latents[episode, now], data.joints[episode, now]
        torch.manual_seed(int(rng.integers(2**31)))  # of dropout
        with torch.autocast(z.device.type, torch.bfloat16, enabled=half_precision(z.device)):
            loss = imitation(self._model, z, data.latents[episode, goal], q, data.actions[episode, now])
        return {"policy": loss}
