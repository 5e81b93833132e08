"""Stage 3: a critic and a policy on frozen latents.

The critic learns temporal distance by goal-conditioned implicit value learning (Kostrikov et al., 2022;
Park et al., 2023): V(s, g) = -(discounted steps from s to g), never further than play once needed. The policy
clones what play did on its way to states it reached later, weighted by the progress that was.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor

from wm_planner.training.config import TrainConfig
from wm_planner.training.predictor import Latents
from wm_planner.world_model.model import WorldModel

POLICY_STD = 0.3  # of each component of the policy's mixture, in normalised actions


def expectile_loss(error: Tensor, expectile: float) -> Tensor:
    """Asymmetric square: errors above zero weigh `expectile`, below it 1 - `expectile`."""
    weight = torch.where(error > 0, expectile, 1.0 - expectile)
    return (weight * error.square()).mean()


def mixture_nll(log_weights: Tensor, means: Tensor, action: Tensor) -> Tensor:
    """Negative log likelihood, up to a constant, of actions (B, A) under components (B, K), (B, K, A): (B,)."""
    distance = (means - action.unsqueeze(1)).square().sum(-1)
    return -torch.logsumexp(log_weights - 0.5 * distance / POLICY_STD**2, -1)


class HeadsLoss:
    """Loss terms of one optimiser step over critic and policy."""

    def __init__(self, model: WorldModel, data: Latents, config: TrainConfig) -> None:
        self._model, self._data, self._config = model, data, config
        self.target = copy.deepcopy(model.critic).requires_grad_(False)

    def track(self) -> None:
        """Move the target critic towards the critic; call after every optimiser step."""
        with torch.no_grad():
            for slow, fast in zip(self.target.parameters(), self._model.critic.parameters()):
                slow.lerp_(fast, self._config.target_rate)

    def __call__(self, step: int) -> dict[str, Tensor]:
        cfg = self._config
        rng = np.random.default_rng([cfg.seed, 3, step])
        n, t = self._data.actions.shape[:2]
        episode, now = rng.integers(n, size=cfg.heads_batch), rng.integers(t, size=cfg.heads_batch)
        return {"critic": self._critic(rng, episode, now), "policy": self._policy(rng, episode, now)}

    def _later(self, rng: np.random.Generator, now: np.ndarray) -> np.ndarray:
        """Steps of the same episodes reached later, mostly soon."""
        soon = now + rng.geometric(1 / self._config.goal_steps, size=len(now))
        end = self._data.actions.shape[1]
        return np.where(rng.random(len(now)) < 0.7, np.minimum(soon, end), rng.integers(now + 1, end + 1))

    def _critic(self, rng: np.random.Generator, episode: np.ndarray, now: np.ndarray) -> Tensor:
        cfg, z = self._config, self._data.latents
        # Goals: the state itself, one reached later, or one of another episode.
        kind = rng.choice(3, size=len(now), p=[0.1, 0.6, 0.3])
        goal_episode = np.where(kind == 2, rng.integers(z.shape[0], size=len(now)), episode)
        anywhere = rng.integers(z.shape[1], size=len(now))
        goal_index = np.select([kind == 0, kind == 1], [now, self._later(rng, now)], anywhere)
        goal = z[goal_episode, goal_index]
        apart = torch.from_numpy(np.where(goal_episode == episode, goal_index - now, -1)).to(z)
        with torch.no_grad():
            target = cfg.discount * self.target(z[episode, now + 1], goal).amin(0) - 1.0
            # Play got there in `apart` steps, so the distance is no more than that.
            known = -(1.0 - cfg.discount ** apart.clamp(min=0)) / (1.0 - cfg.discount)
            target = torch.where(apart >= 0, torch.maximum(target, known), target)
            target = torch.where(apart == 0, 0.0, target)
        values = self._model.critic(z[episode, now], goal)
        return 0.1 * torch.stack([expectile_loss(target - v, cfg.expectile) for v in values]).sum()

    def _policy(self, rng: np.random.Generator, episode: np.ndarray, now: np.ndarray) -> Tensor:
        cfg, data, model = self._config, self._data, self._model
        z, goal = data.latents[episode, now], data.latents[episode, self._later(rng, now)]
        with torch.no_grad():
            ahead = model.critic(data.latents[episode, now + 1], goal).mean(0)
            gain = cfg.discount * ahead - 1.0 - model.critic(z, goal).mean(0)
            weight = torch.exp(cfg.advantage_temperature * gain).clamp(max=10.0)
        log_weights, means = model.policy(torch.cat([z, goal, data.joints[episode, now]], -1))
        return 0.1 * (weight * mixture_nll(log_weights, means, data.actions[episode, now])).mean()
