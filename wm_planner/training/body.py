"""What the cameras should see of the robot in each pose of its joints: by it, a camera that has moved is recognised."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from wm_planner.data.dataset import Episodes
from wm_planner.training.config import StageConfig
from wm_planner.training.fingerprint import fingerprint
from wm_planner.training.image import ImageLoss, seen
from wm_planner.training.loop import Fit, Progress, optimise, silent
from wm_planner.training.split import split
from wm_planner.world_model.checkpoint import Checkpoint, save_checkpoint
from wm_planner.world_model.model import WorldModel

_HELD_OUT = 512  # moments that it is measured on


class BodyConfig(StageConfig):
    """Budgets are in optimiser steps, as in TrainConfig."""

    channels: int = Field(default=64, ge=1, description="as ModelConfig.body_channels")
    steps: int = Field(default=5000, ge=1)
    batch: int = Field(default=48, ge=1)
    lr: float = 2e-3


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
    made_of = fingerprint([config], [training], [checkpoint.model])
    fit = functools.partial(optimise, run=run, made_of=made_of, save_every=config.save_every, progress=progress)
    seconds = fit_body(model, training, config, fit)
    body = model.body
    rng = np.random.default_rng([config.seed, 9])
    episode, index = rng.integers(validation.frames.shape[:2], size=(_HELD_OUT, 2)).T
    wanted = seen(validation.frames[episode, index], model.device)
    expected = body(_joints(model, validation)[episode, index])
    facts["body"] = {
        "config": config.model_dump(mode="json"),
        "seconds": round(seconds),
        "episodes": list(training.actions.shape[:2]),
        "error": round(float((expected - wanted).abs().mean()), 4),
    }
    save_checkpoint(output, model, facts)
    return facts


def fit_body(model: WorldModel, episodes: Episodes, config: BodyConfig, fit: Fit) -> float:
    """Train the model's body image, and nothing else. Returns its seconds."""
    body = model.body.requires_grad_(True)
    loss = ImageLoss(body, _joints(model, episodes), episodes.frames, (config.seed, 8), config.batch)
    seconds = fit("body", body, [*body.parameters()], loss, config.steps, config.lr)
    body.requires_grad_(False)
    return seconds


def _with_body(model: WorldModel, config: BodyConfig) -> WorldModel:
    """A model with the same weights and a new body image."""
    torch.manual_seed(config.seed)
    sizes = model.config.model_copy(update={"body_channels": config.channels})
    other = WorldModel(model.contract, sizes).to(model.device)
    other.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("body.")}, strict=False)
    return other.eval().requires_grad_(False)


def _joints(model: WorldModel, episodes: Episodes) -> Tensor:
    """(N, T+1, J) normalised."""
    return model.normalise_joints(torch.from_numpy(episodes.joints).to(model.device))
