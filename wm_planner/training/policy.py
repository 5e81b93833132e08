"""Stage 4: the policy, cloned from play in hindsight on frozen latents.

What play did is right for the states it reached later, the more so the more of the way it made: the likelihood of each
action is weighted by the exponential of the progress that followed (advantage-weighted regression, Peng et al., 2019).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wm_planner.training.config import TrainConfig
from wm_planner.training.predictor import Latents
from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.precision import half_precision

POLICY_STD = 0.3  # of each component of the policy's mixture, in normalised actions


def mixture_nll(log_weights: Tensor, means: Tensor, action: Tensor) -> Tensor:
    """Negative log likelihood, up to a constant, of actions (B, A) under components (B, K), (B, K, A): (B,)."""
    distance = (means - action.unsqueeze(1)).square().sum(-1)
    return -torch.logsumexp(log_weights - 0.5 * distance / POLICY_STD**2, -1)


def hindsight(rng: np.random.Generator, now: np.ndarray, end: int, mean_steps: float) -> np.ndarray:
    """Moments after `now` (B,), until `end`, to call goals: most of them soon."""
    soon = np.minimum(now + rng.geometric(1 / mean_steps, size=len(now)), end)
    return np.where(rng.random(len(now)) < 0.7, soon, rng.integers(now + 1, end + 1))


class PolicyLoss:
    """Loss terms of one optimiser step over the policy; the critic must be trained."""

    def __init__(self, model: WorldModel, data: Latents, config: TrainConfig) -> None:
        self._model, self._data, self._config = model, data, config
        with torch.no_grad():
            self._embedded = torch.stack([model.critic.embed(episode) for episode in data.latents])

    def __call__(self, step: int) -> dict[str, Tensor]:
        cfg, data = self._config, self._data
        rng = np.random.default_rng([cfg.seed, 4, step])
        n, t = data.actions.shape[:2]
        episode, now = rng.integers(n, size=cfg.heads_batch), rng.integers(t, size=cfg.heads_batch)
        goal = self._goals(rng, episode, now)
        z, q = data.latents[episode, now], data.joints[episode, now]
        with torch.autocast(z.device.type, torch.bfloat16, enabled=half_precision(z.device)):
            log_weights, means = self._model.policy(torch.cat([z, data.latents[goal], q], -1))
        nll = mixture_nll(log_weights, means, data.actions[episode, now])
        return {"policy": 0.1 * (self._weight(episode, now, goal) * nll).mean()}

    def _goals(self, rng: np.random.Generator, episode: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Indices of goals: reached later in the same episode, mostly soon, or a third of them from anywhere."""
        cfg, (n, t) = self._config, self._data.actions.shape[:2]
        later = hindsight(rng, now, t, cfg.goal_steps)
        other = rng.random(len(now)) < 1 / 3
        return (
            np.where(other, rng.integers(n, size=len(now)), episode),
            np.where(other, rng.integers(t + 1, size=len(now)), later),
        )

    @torch.no_grad()
    def _weight(self, episode: np.ndarray, now: np.ndarray, goal: tuple[np.ndarray, np.ndarray]) -> Tensor:
        """Progress towards the goals over the next few steps, exponentiated, mean about one: (B,)."""
        cfg, critic, e = self._config, self._model.critic, self._embedded
        passed = np.where((goal[0] == episode) & (goal[1] > now), goal[1], e.shape[1] - 1)
        soon = np.minimum(now + cfg.advantage_steps, passed)
        progress = critic.between(e[episode, now], e[goal]) - critic.between(e[episode, soon], e[goal])
        share = progress / torch.from_numpy(soon - now).to(progress)  # 1: straight towards the goal, -1: away
        return torch.exp((share - 1.0) / cfg.advantage_temperature)
