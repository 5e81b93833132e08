"""A last stage, over a trained model: its encoder learns to see the same in other light, colours and from elsewhere.

The encoder as it was is the teacher (Hinton et al., 2015): of one moment seen twice, what it makes of the nominal image
is what its successor has to make of both. Latents mean what they did, so predictor, critic, policy and decoder stay.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from wm_planner.data.dataset import Episodes
from wm_planner.training.augment import recoloured
from wm_planner.training.loop import Progress, optimise, silent
from wm_planner.training.train import calibration, encode_all, split
from wm_planner.world_model.checkpoint import Checkpoint, save_checkpoint
from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.precision import half_precision


class DistilConfig(BaseModel):
    """Budgets are in optimiser steps, as in TrainConfig."""

    model_config = ConfigDict(extra="forbid")

    seed: int = 0
    threads: int = Field(default=1, ge=1)
    save_every: int = Field(default=250, ge=1, description="steps between resumable checkpoints")
    recolouring: float = Field(default=0.5, ge=0, description="strength of augmentation by light, colours, noise, blur")
    repainting: float = Field(default=0.5, ge=0, le=1, description="strength of augmentation by the colours of things")
    steps: int = Field(default=14000, ge=1)
    batch: int = Field(default=384, ge=4, description="moments: half seen otherwise, a quarter nominally but augmented")
    lr: float = 5e-4


class DistilLoss:
    """Draws moments and returns the loss terms of one optimiser step.

    nominal, views: (N, T+1, S, S, C) uint8; latents: (N, T+1, D) that the teacher makes of the nominal ones.
    """

    def __init__(
        self, model: WorldModel, nominal: np.ndarray, views: np.ndarray, latents: Tensor, config: DistilConfig
    ) -> None:
        self._model, self._nominal, self._views, self._latents = model, nominal, views, latents
        self._config = config

    def __call__(self, step: int) -> dict[str, Tensor]:
        cfg, model = self._config, self._model
        rng = np.random.default_rng([cfg.seed, 7, step])
        torch.manual_seed(int(rng.integers(2**31)))
        episode, index = (rng.integers(size, size=cfg.batch) for size in self._nominal.shape[:2])
        half = cfg.batch // 2
        nominal, views = self._nominal[episode[:half], index[:half]], self._views[episode[half:], index[half:]]
        frames = torch.from_numpy(np.concatenate([nominal, views])).to(model.device)
        changed = recoloured(frames[half // 2 :, None], cfg.recolouring, cfg.repainting)[:, 0]
        seen = torch.cat([frames[: half // 2], changed])
        with torch.autocast(model.device.type, torch.bfloat16, enabled=half_precision(model.device)):
            latents = model.encode(seen)
        error = (latents.float() - self._latents[episode, index]).square().mean(-1) / cfg.batch
        return {"nominal": error[:half].sum(), "views": error[half:].sum()}


def distil(
    teacher: Checkpoint,
    nominal: Episodes,
    views: Episodes,
    config: DistilConfig,
    run: Path,
    output: Path,
    progress: Progress = silent,
) -> dict:
    """Train the teacher's encoder further, keep resumable state in `run`, write the checkpoint to `output`.

    Args:
        nominal: episodes as the teacher saw them.
        views: the same episodes, seen otherwise; `Randomisation` makes them.

    Returns:
        The facts stored in the checkpoint: the teacher's, and how well its latents are met.

    Raises:
        ValueError: the two are not of the same moments.
    """
    _same_moments(nominal, views)
    torch.set_num_threads(config.threads)
    model, facts = teacher
    run.mkdir(parents=True, exist_ok=True)
    (training, validation), (other, held_out) = split(nominal), split(views)
    wanted = encode_all(model, validation).latents
    before = _missed(encode_all(model, held_out).latents, wanted)
    loss = DistilLoss(model, training.frames, other.frames, encode_all(model, training).latents, config)
    # In evaluation mode: batches of mixed images are not to move the normalisation of the latents.
    model.encoder.requires_grad_(True)
    parameters = [*model.encoder.parameters()]
    seconds = optimise(
        "distil", model.encoder, parameters, loss, config.steps, config.lr, run, config.save_every, progress
    )
    model.encoder.requires_grad_(False)
    facts["distilled"] = {
        "config": config.model_dump(mode="json"),
        "seconds": round(seconds),
        "episodes": list(training.actions.shape[:2]),
        "missed": {
            "views, before": before,
            "views": _missed(encode_all(model, held_out).latents, wanted),
            "nominal": _missed(encode_all(model, validation).latents, wanted),
        },
    }
    facts["surprise"] = calibration(model, validation, "play")
    save_checkpoint(output, model, facts)
    (run / "metrics.json").write_text(json.dumps(facts, indent=2))
    return facts


def _same_moments(nominal: Episodes, views: Episodes) -> None:
    for name in ("joints", "actions"):
        ours, theirs = getattr(nominal, name), getattr(views, name)
        if ours.shape != theirs.shape or not np.allclose(ours, theirs, atol=1e-4):
            raise ValueError(
                f"{name} of the views {theirs.shape} are not those of the data {ours.shape}, expected the same "
                "moments; collect both with the same task, seed, episodes and steps"
            )


def _missed(latents: Tensor, wanted: Tensor) -> float:
    """Share of the variance of latents (N, T+1, D) that is not met."""
    variance = (wanted - wanted.mean((0, 1))).square().mean()
    return round(float((latents - wanted).square().mean() / variance), 4)
