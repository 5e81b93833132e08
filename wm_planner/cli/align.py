"""`wm_planner align`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wm_planner.cli.common import by_stage, clean_errors, console, output_path, progress_bar, read_settings


@clean_errors
def align(
    checkpoint: Annotated[Path, typer.Option(help="the model that is to make up for cameras that have moved")],
    data: Annotated[Path, typer.Option(help="dataset of its task, the cameras where they were in training")],
    run: Annotated[Path, typer.Option(help="resumable state and TensorBoard logs")],
    config: Annotated[Path | None, typer.Option(help="YAML of BodyConfig fields; defaults when left out")] = None,
    output: Annotated[Path | None, typer.Option(help="checkpoint; <run>/model.safetensors when left out")] = None,
) -> None:
    """Teach a model how its robot looks, by which it tells that a camera has moved. Run it again to resume."""
    from wm_planner.data.dataset import read_episodes
    from wm_planner.training.body import BodyConfig, learn_body
    from wm_planner.world_model.checkpoint import load_checkpoint

    settings = read_settings(BodyConfig, config)
    path = output_path(output, run, checkpoint)
    episodes = read_episodes(data)
    model = load_checkpoint(checkpoint, expected=episodes.contract)
    with progress_bar() as bar:
        facts = learn_body(model, episodes, settings, run, path, by_stage(bar))
    console.print(f"{path}:", facts["body"])
