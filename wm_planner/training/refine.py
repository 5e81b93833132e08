"""A last stage, over a trained model: its predictor learns on, for longer or from more play; all else stays."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from pydantic import Field

from wm_planner.data.dataset import Episodes
from wm_planner.training.config import RolloutConfig
from wm_planner.training.loop import Progress, silent
from wm_planner.training.predictor import fit_predictor
from wm_planner.training.train import encode_all, finish, require_steps, split
from wm_planner.world_model.checkpoint import Checkpoint
from wm_planner.world_model.model import WorldModel


class RefineConfig(RolloutConfig):
    """Budgets are in optimiser steps, as in TrainConfig."""

    predictor: Literal["mlp", "adaln"] | None = Field(
        default=None, description="another kind than the model has, which begins anew; its own learns on otherwise"
    )


def refine(
    checkpoint: Checkpoint,
    episodes: Episodes,
    config: RefineConfig,
    run: Path,
    output: Path,
    progress: Progress = silent,
) -> dict:
    """Train the predictor of `checkpoint` on the latents that its encoder makes of `episodes`; write `output`.

    Args:
        run: keeps resumable state.

    Returns:
        The facts stored in the checkpoint: those it had, how it was refined, and validation metrics.

    Raises:
        ValueError: episodes are too few or too short.
    """
    require_steps(episodes, config.rollout_length)
    torch.set_num_threads(config.threads)
    run.mkdir(parents=True, exist_ok=True)
    model, facts = checkpoint
    training, validation = split(episodes)
    if config.predictor not in (None, model.config.predictor):
        model = _with_new_predictor(model, config)
    latents = encode_all(model, training)
    seconds = fit_predictor(model, latents, config, run, progress)
    refined = {
        "config": config.model_dump(mode="json"),
        "seconds": round(seconds),
        "episodes": list(training.actions.shape[:2]),
    }
    facts["refined"] = [*facts.get("refined", []), refined]
    return finish(model, facts, latents, training, validation, run, output)


def _with_new_predictor(model: WorldModel, config: RefineConfig) -> WorldModel:
    """The same model, but for a predictor of the other kind, which has learned nothing yet."""
    torch.manual_seed(config.seed)
    other = WorldModel(model.contract, model.config.model_copy(update={"predictor": config.predictor}))
    kept = {name: value for name, value in model.state_dict().items() if not name.startswith("predictor.")}
    other.load_state_dict(kept, strict=False)
    return other.to(model.device).eval().requires_grad_(False)
