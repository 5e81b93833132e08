"""Stage 3: the critic. How soon play got from one latent to another, when it went about it well.

Of two moments of an episode the later one is a goal in hindsight, reached in as many steps as lie between them; most
pairs are of one attempt. A low quantile of that number (pinball loss) is the time of play that went straight there.
Nothing is bootstrapped, so errors do not feed on themselves.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wm_planner.training.config import HeadsConfig
from wm_planner.training.predictor import Latents
from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.precision import half_precision

SAME_ATTEMPT = 0.7  # share of pairs


def hindsight_pairs(rng: np.random.Generator, ends: np.ndarray, count: int) -> tuple[np.ndarray, ...]:
    """Episodes, moments and later moments to call goals, (count,) each; ends (N, T): see `attempt_ends`."""
    n, t = ends.shape
    episode, now = rng.integers(n, size=count), rng.integers(t, size=count)
    end = np.where(rng.random(count) < SAME_ATTEMPT, ends[episode, now], t)
    return episode, now, rng.integers(now, end + 1)


class CriticLoss:
    """Loss terms of one optimiser step over the critic; ends: see `attempt_ends`."""

    def __init__(self, model: WorldModel, data: Latents, ends: np.ndarray, config: HeadsConfig) -> None:
        self._model, self._data, self._ends, self._config = model, data, ends, config
        model.critic.train()

    def __call__(self, step: int) -> dict[str, Tensor]:
        cfg, z = self._config, self._data.latents
        rng = np.random.default_rng([cfg.seed, 3, step])
        episode, now, goal = hindsight_pairs(rng, self._ends, cfg.heads_batch)
        torch.manual_seed(int(rng.integers(2**31)))  # of dropout
        with torch.autocast(z.device.type, torch.bfloat16, enabled=half_precision(z.device)):
            distance = self._model.critic(z[episode, now], z[episode, goal])
        steps = torch.from_numpy(goal - now).to(distance)
        return {"critic": pinball(steps - distance, cfg.critic_quantile).mean()}


def pinball(excess: Tensor, quantile: float) -> Tensor:
    """Loss whose minimiser over a constant c, of excess = value - c, is the quantile of the values."""
    return torch.maximum(quantile * excess, (quantile - 1.0) * excess)
