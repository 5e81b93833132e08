"""Stage 1: the JEPA loss. Predict the latents that actions lead to; keep latents Gaussian.

loss = sum over k of |predicted z_{t+k} - encoded z_{t+k}|^2 + joints + lambda SIGReg(z) + nu proprioception +
mu imitation, gradients through both sides, no target network, no reconstruction (LeWM, 2026). Every frame is augmented
on its own.

An encoder with a fovea is taught where to look, besides (`gaze.py`).

Proprioception: a linear map has to tell the joints from the latents. The predictor is given the joints besides, so
latents need not hold where the robot is; whoever reads a latent alone (a critic, a probe) does need it.

Imitation: the policy has to tell from the latents what play did, given a goal in hindsight. Futures can be predicted
well from latents that hold the object to a few centimetres; what to do next depends on it to the centimetre.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from wm_planner.data.dataset import Episodes
from wm_planner.training.augment import augment
from wm_planner.training.config import TrainConfig
from wm_planner.training.gaze import gaze_loss
from wm_planner.training.hindsight import Attempts
from wm_planner.training.imitation import imitation
from wm_planner.world_model.model import Context, WorldModel
from wm_planner.world_model.precision import half_precision
from wm_planner.world_model.sigreg import sigreg


def context_at_start(latents: Tensor, joints: Tensor, actions: Tensor, length: int) -> Context:
    """The first `length` steps of windows (B, L, .) as a context."""
    return Context(latents[:, :length], joints[:, :length], actions[:, : length - 1])


class JEPALoss:
    """Draws windows of (context + rollout) steps and returns the loss terms of one optimiser step.

    gazes: (N, T+1, 2), where the encoder's closer look should be; None: it has none.
    telling: of the joints, from latents (., D) to normalised joints (., J), where `proprioception_weight` asks for it.
    """

    def __init__(
        self,
        model: WorldModel,
        episodes: Episodes,
        config: TrainConfig,
        gazes: Tensor | None = None,
        telling: nn.Linear | None = None,
    ) -> None:
        self._model, self._episodes, self._config = model, episodes, config
        self._gazes, self._telling = gazes, telling
        self._length = model.contract.context_length + config.jepa_rollout
        self._half = half_precision(model.device)
        self._attempts = Attempts(episodes.attempts) if config.imitation_weight else None

    def __call__(self, step: int) -> dict[str, Tensor]:
        cfg, model, data = self._config, self._model, self._episodes
        rng = np.random.default_rng([cfg.seed, 1, step])
        torch.manual_seed(int(rng.integers(2**31)))
        n, t = data.actions.shape[:2]
        episode = rng.integers(n, size=cfg.jepa_batch)[:, None]
        index = rng.integers(t + 2 - self._length, size=cfg.jepa_batch)[:, None] + np.arange(self._length)
        device = model.device
        attempts = self._attempts
        seen = index if attempts is None else _with_goals(attempts, rng, episode, index)
        frames = torch.from_numpy(data.frames[episode, seen]).to(device)
        frames = augment(frames, cfg.recolouring, cfg.repainting, cfg.camera_motion)
        joints = model.normalise_joints(torch.from_numpy(data.joints[episode, index]).to(device))
        actions = torch.from_numpy(data.actions[episode, index[:, :-1]]).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self._half):
            flat_encoded, gaze = model.look(frames.flatten(0, 1))
            encoded = flat_encoded.unflatten(0, frames.shape[:2]).float()
            latents = encoded[:, : self._length]
            c = model.contract.context_length
            predicted, predicted_joints = model.rollout(
                context_at_start(latents, joints, actions, c), actions[:, c - 1 :]
            )
        flat = latents.flatten(0, 1)
        sample = torch.from_numpy(rng.permutation(len(flat))[: cfg.sigreg_samples]).to(device)
        terms = {
            "prediction": (predicted.float() - latents[:, c:]).square().mean(),
            "joints": (predicted_joints.float() - joints[:, c:]).square().mean(),
            "sigreg": cfg.sigreg_weight * sigreg(flat[sample]),
        }
        if gaze is not None and self._gazes is not None:
            terms["gaze"] = gaze_loss(gaze, self._gazes[episode, seen].flatten(0, 1))
        if self._telling is not None:
            terms["proprioception"] = cfg.proprioception_weight * (self._telling(latents) - joints).square().mean()
        if attempts is not None:
            joined = attempts.joined(episode, index[:, :-1], index[:, -2:-1])
            terms["imitation"] = cfg.imitation_weight * self._imitation(encoded, joints, actions, joined)
        return terms

    def _imitation(self, encoded: Tensor, joints: Tensor, actions: Tensor, joined: np.ndarray) -> Tensor:
        """Over a window's moments of the attempt that led to its goal, the last of latents (B, L + 1, D)."""
        if not joined.any():
            return encoded.new_zeros(())
        which = torch.from_numpy(joined).to(encoded.device)
        goals = encoded[:, -1:].expand_as(encoded[:, :-2])
        with torch.autocast(encoded.device.type, torch.bfloat16, enabled=self._half):
            return imitation(self._model, encoded[:, :-2][which], goals[which], joints[:, :-1][which], actions[which])


def _with_goals(attempts: Attempts, rng: np.random.Generator, episode: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Frames of windows (B, L) and, behind each, one that its last action led to: (B, L + 1); episode (B, 1)."""
    return np.concatenate([index, attempts.goals(rng, episode[:, 0], index[:, -2])[:, None]], 1)
