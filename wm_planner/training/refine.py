"""A last stage, over a trained model: its predictor learns on, for longer or from more play, and, where that is asked,
its critic and its policy; all else stays."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import Field

from wm_planner.data.dataset import Episodes, joined
from wm_planner.training.config import HeadsConfig, RolloutConfig
from wm_planner.training.fingerprint import fingerprint
from wm_planner.training.heads import fit_heads
from wm_planner.training.loop import Progress, optimise, silent
from wm_planner.training.predictor import Latents, fit_predictor
from wm_planner.training.split import split
from wm_planner.training.train import encode_all, finish, require_steps
from wm_planner.world_model.checkpoint import Checkpoint
from wm_planner.world_model.model import WorldModel


class RefineConfig(RolloutConfig, HeadsConfig):
    """How a trained predictor learns on, and critic and policy, should they."""

    critic_steps: int = Field(default=0, ge=0)
    policy_steps: int = Field(default=0, ge=0)
    modulation: int = Field(
        default=0, ge=0, description="predictor_modulation that it gets if it has none; 0: stays as it is"
    )


def refine(
    checkpoint: Checkpoint,
    datasets: Sequence[Episodes],
    config: RefineConfig,
    run: Path,
    output: Path,
    progress: Progress = silent,
) -> dict:
    """Train the predictor of `checkpoint`, and what else `config` gives steps, on the latents that its encoder makes of
    `datasets`; write `output`.

    Args:
        run: keeps resumable state.

    Returns:
        The facts stored in the checkpoint: those it had, how it was refined, and validation metrics.

    Raises:
        ValueError: episodes are too few or too short, or of datasets that cannot be joined; the predictor is modulated
            otherwise already; or `run` keeps the state of another run.
    """
    for episodes in datasets:
        require_steps(episodes, config.rollout_length)
    torch.set_num_threads(config.threads)
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    model, facts = checkpoint
    model = _modulated(model, config.modulation)
    training, validation = zip(*map(split, datasets))
    known, held_out = joined([part.without_frames() for part in training]), joined(validation)
    made_of = fingerprint([config], training, [checkpoint.model])
    fit = functools.partial(optimise, run=run, made_of=made_of, save_every=config.save_every, progress=progress)
    latents = Latents(*map(torch.cat, zip(*(encode_all(model, part) for part in training))))
    seconds = {"predictor": fit_predictor(model, latents, config, fit)}
    seconds |= fit_heads(model, latents, known.attempts, config, fit, progress)
    refined = {
        "config": config.model_dump(mode="json"),
        "seconds": {stage: round(value) for stage, value in seconds.items()},
        "episodes": list(known.actions.shape[:2]),
    }
    facts["refined"] = [*facts.get("refined", []), refined]
    return finish(model, facts, latents, known, held_out, run, output)


def _modulated(model: WorldModel, width: int) -> WorldModel:
    """A model that predicts the same, whose predictor can learn how joints and actions modulate its blocks."""
    found = model.config.predictor_modulation
    if not width or width == found:
        return model
    if found:
        raise ValueError(f"modulation {width}, but the predictor has {found} already; leave it out")
    sizes = model.config.model_copy(update={"predictor_modulation": width})
    modulated = WorldModel(model.contract, sizes).to(model.device)
    modulated.load_state_dict(model.state_dict(), strict=False)  # all but what modulates, which begins at nothing
    return modulated.eval().requires_grad_(False)
