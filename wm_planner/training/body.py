"""What the cameras should see of the robot in each pose of its joints: by it, a camera that has moved is recognised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from wm_planner.data.dataset import Episodes
from wm_planner.training.loop import Progress, optimise, silent
from wm_planner.training.train import split
from wm_planner.world_model.checkpoint import Checkpoint, save_checkpoint
from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.precision import half_precision

_HELD_OUT = 512  # moments that it is measured on


class BodyConfig(BaseModel):
    """Budgets are in optimiser steps, as in TrainConfig."""

    model_config = ConfigDict(extra="forbid")

    seed: int = 0
    threads: int = Field(default=1, ge=1)
    save_every: int = Field(default=250, ge=1, description="steps between resumable checkpoints")
    channels: int = Field(default=64, ge=1, description="as ModelConfig.body_channels")
    steps: int = Field(default=5000, ge=1)
    batch: int = Field(default=48, ge=1)
    lr: float = 2e-3


class BodyLoss:
    """Draws moments and returns the loss terms of one optimiser step."""

    def __init__(self, model: WorldModel, episodes: Episodes, config: BodyConfig) -> None:
        self._model, self._episodes, self._config = model, episodes, config

    def __call__(self, step: int) -> dict[str, Tensor]:
        cfg, model = self._config, self._model
        rng = np.random.default_rng([cfg.seed, 8, step])
        joints, wanted = _moments(model, self._episodes, rng, cfg.batch)
        with torch.autocast(model.device.type, torch.bfloat16, enabled=half_precision(model.device)):
            image = model.body(joints)
        return {"image": 10.0 * (image.float() - wanted).square().mean()}


def learn_body(
    checkpoint: Checkpoint,
    episodes: Episodes,
    config: BodyConfig,
    run: Path,
    output: Path,
    progress: Progress = silent,
) -> dict:
    """Teach a model what its cameras see of the robot in `episodes`, and nothing else; write `output`.

    Args:
        episodes: as seen from where the cameras were in training.
        run: keeps resumable state.

    Returns:
        The facts stored in the checkpoint: those it had, and how far off held-out images are expected.
    """
    torch.set_num_threads(config.threads)
    run.mkdir(parents=True, exist_ok=True)
    model, facts = _with_body(checkpoint.model, config), checkpoint.facts
    training, validation = split(episodes)
    body, loss = model.body.requires_grad_(True), BodyLoss(model, training, config)
    seconds = optimise(
        "body", body, [*body.parameters()], loss, config.steps, config.lr, run, config.save_every, progress
    )
    body.requires_grad_(False)
    joints, wanted = _moments(model, validation, np.random.default_rng([config.seed, 9]), _HELD_OUT)
    facts["body"] = {
        "config": config.model_dump(mode="json"),
        "seconds": round(seconds),
        "episodes": list(training.actions.shape[:2]),
        "error": round(float((model.body(joints) - wanted).abs().mean()), 4),
    }
    save_checkpoint(output, model, facts)
    return facts


def _with_body(model: WorldModel, config: BodyConfig) -> WorldModel:
    """A model with the same weights and a new body image."""
    torch.manual_seed(config.seed)
    sizes = model.config.model_copy(update={"body_channels": config.channels})
    other = WorldModel(model.contract, sizes).to(model.device)
    other.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("body.")}, strict=False)
    return other.eval().requires_grad_(False)


def _moments(model: WorldModel, episodes: Episodes, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
    """Joints (count, J) normalised and what was seen, (count, C, S, S) in [0, 1]."""
    episode, index = rng.integers(episodes.frames.shape[:2], size=(count, 2)).T
    joints = model.normalise_joints(torch.from_numpy(episodes.joints[episode, index]).to(model.device))
    frames = torch.from_numpy(episodes.frames[episode, index]).to(model.device)
    return joints, frames.permute(0, 3, 1, 2) / 255.0
