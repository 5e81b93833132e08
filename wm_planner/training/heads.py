"""Stage 2: on frozen latents, long rollouts for the predictor, a critic and a policy.

The critic learns temporal distance by goal-conditioned implicit value learning (Kostrikov et al., 2022;
Park et al., 2023): V(s, g) = -(discounted steps from s to g). The policy clones the actions that made
progress towards goals reached later, weighted by advantage.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from wm_planner.training.config import TrainConfig
from wm_planner.training.jepa import context_at_start
from wm_planner.world_model.model import WorldModel


class Latents(NamedTuple):
    """Encoded episodes: latents (N, T+1, D), joints (N, T+1, J) normalised, actions (N, T, A)."""

    latents: Tensor
    joints: Tensor
    actions: Tensor


def expectile_loss(error: Tensor, expectile: float) -> Tensor:
    """Asymmetric square: errors above zero weigh `expectile`, below it 1 - `expectile`."""
    weight = torch.where(error > 0, expectile, 1.0 - expectile)
    return (weight * error.square()).mean()


class HeadsLoss:
    """Loss terms of one optimiser step over predictor, critic and policy."""

    def __init__(self, model: WorldModel, data: Latents, config: TrainConfig) -> None:
        self._model, self._data, self._config = model, data, config
        self.target = copy.deepcopy(model.critic).requires_grad_(False)

    def track(self) -> None:
        """Move the target critic towards the critic; call after every optimiser step."""
        with torch.no_grad():
            for slow, fast in zip(self.target.parameters(), self._model.critic.parameters()):
                slow.lerp_(fast, self._config.target_rate)

    def __call__(self, step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self._config.seed, 2, step])
        torch.manual_seed(int(rng.integers(2**31)))
        return {**self._rollout(rng), **self._values(rng)}

    def _rollout(self, rng: np.random.Generator) -> dict[str, Tensor]:
        cfg, data, c = self._config, self._data, self._model.contract.context_length
        n, t = data.actions.shape[:2]
        length = c + cfg.rollout_length
        episode = torch.from_numpy(rng.integers(n, size=(cfg.rollout_batch, 1)))
        index = torch.from_numpy(rng.integers(t + 2 - length, size=(cfg.rollout_batch, 1))) + torch.arange(length)
        latents, joints = data.latents[episode, index], data.joints[episode, index]
        actions = data.actions[episode, index[:, :-1]]
        predicted, predicted_joints = self._model.rollout(
            context_at_start(latents, joints, actions, c), actions[:, c - 1 :]
        )
        return {
            "prediction": (predicted - latents[:, c:]).square().mean(),
            "joints": (predicted_joints - joints[:, c:]).square().mean(),
        }

    def _values(self, rng: np.random.Generator) -> dict[str, Tensor]:
        cfg, data, model = self._config, self._data, self._model
        n, t = data.actions.shape[:2]
        b = cfg.heads_batch
        episode, now = rng.integers(n, size=b), rng.integers(t, size=b)
        # Critic goals: the state itself, one reached later, or one of another episode.
        kind = rng.choice(3, size=b, p=[0.1, 0.6, 0.3])
        later = np.minimum(now + rng.geometric(1 / 25, size=b), t)
        goal_episode = np.where(kind == 2, rng.integers(n, size=b), episode)
        goal_index = np.select([kind == 0, kind == 1], [now, later], rng.integers(t + 1, size=b))
        z, z_next = data.latents[episode, now], data.latents[episode, now + 1]
        goal = data.latents[goal_episode, goal_index]
        same = goal_episode == episode
        reached = torch.from_numpy(same & (goal_index == now)).to(z.device)
        reaches = torch.from_numpy(same & (goal_index == now + 1)).to(z.device)
        with torch.no_grad():
            ahead = cfg.discount * self.target(z_next, goal).amin(0)
            target = torch.where(reaches, 0.0, ahead) - 1.0
            target = torch.where(reached, 0.0, target)
        values = model.critic(z, goal)
        critic = torch.stack([expectile_loss(target - v, cfg.expectile) for v in values]).sum()

        wanted = data.latents[episode, rng.integers(now + 1, t + 1)]
        with torch.no_grad():
            gain = cfg.discount * model.critic(z_next, wanted).mean(0) - 1.0 - model.critic(z, wanted).mean(0)
            weight = torch.exp(cfg.advantage_temperature * gain).clamp(max=10.0)
        action = model.act(z, data.joints[episode, now], wanted)
        policy = (weight * (action - data.actions[episode, now]).square().mean(-1)).mean()
        return {"critic": 0.1 * critic, "policy": policy}
