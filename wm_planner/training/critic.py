"""Stage 3: the critic, by quasimetric reinforcement learning on frozen latents (Wang et al., 2023).

Of all quasimetrics that find one control step no longer than one, the largest is the temporal distance of the best
way there is. So: push all pairs apart, and hold neighbours together by a Lagrange multiplier. Nothing is
bootstrapped, and where play never showed a way the distance stays large.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wm_planner.training.config import TrainConfig
from wm_planner.training.predictor import Latents
from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.precision import half_precision

SLACK = 0.25  # root mean square excess over one step that is let pass, control steps
SOFTNESS = 0.05  # of the end of the push, per step


class CriticLoss(nn.Module):
    """Loss terms of one optimiser step over the critic; holds the multiplier."""

    def __init__(self, model: WorldModel, data: Latents, config: TrainConfig) -> None:
        super().__init__()
        self._critic, self._data, self._config = [model.critic], data, config
        self.register_buffer("multiplier", torch.tensor(10.0))
        self.multiplier: Tensor

    def forward(self, step: int) -> dict[str, Tensor]:
        cfg, z = self._config, self._data.latents
        (critic,) = self._critic
        rng = np.random.default_rng([cfg.seed, 3, step])
        n, t = self._data.actions.shape[:2]
        episode, now = rng.integers(n, size=cfg.heads_batch), rng.integers(t, size=cfg.heads_batch)
        # A third of the goals come from the same episode: near ones, which planning ends with.
        same = rng.random(cfg.heads_batch) < 1 / 3
        goal_episode = np.where(same, episode, rng.integers(n, size=cfg.heads_batch))
        goal = z[goal_episode, rng.integers(t + 1, size=cfg.heads_batch)]
        states = torch.cat([z[episode, now], z[episode, now + 1], goal])
        with torch.autocast(z.device.type, torch.bfloat16, enabled=half_precision(z.device)):
            here, next_, there = critic.embed(states).chunk(3)
        pairs = torch.cat([critic.between(here, there), critic.between(here, there.roll(1, 0))])
        apart = F.softplus(cfg.critic_reach - pairs, beta=SOFTNESS).mean()
        excess = (critic.between(here, next_) - 1.0).relu().square().mean()
        with torch.no_grad():
            weight = self.multiplier / (1.0 + self.multiplier)
            self._violation = (excess / SLACK**2 - 1.0).clamp(-1.0, 1.0)
        return {"apart": (1.0 - weight) * apart, "local": weight * excess}

    def track(self) -> None:
        """Tighten or loosen the constraint; call after every optimiser step."""
        self.multiplier.mul_(torch.exp(0.003 * self._violation))
