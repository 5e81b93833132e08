"""`wm_planner refine`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wm_planner.cli.common import by_stage, clean_errors, console, output_path, progress_bar, read_settings


@clean_errors
def refine(
    checkpoint: Annotated[Path, typer.Option(help="the model whose predictor is to learn on")],
    data: Annotated[list[Path], typer.Option(help="play of its task, old or new; several: --data A --data B")],
    run: Annotated[Path, typer.Option(help="resumable state and TensorBoard logs")],
    config: Annotated[Path | None, typer.Option(help="YAML of RefineConfig fields; defaults when left out")] = None,
    output: Annotated[Path | None, typer.Option(help="checkpoint; <run>/model.safetensors when left out")] = None,
) -> None:
    """Train a model's predictor further, and its critic and policy if asked. Run it again to resume."""
    from wm_planner.data.dataset import read_episodes
    from wm_planner.training.allocator import keep_freed_memory
    from wm_planner.training.refine import RefineConfig
    from wm_planner.training.refine import refine as fit
    from wm_planner.world_model.checkpoint import load_checkpoint

    keep_freed_memory()
    settings = read_settings(RefineConfig, config)
    path = output_path(output, run, checkpoint)
    datasets = [read_episodes(file) for file in data]
    model = load_checkpoint(checkpoint, expected=datasets[0].contract)
    with progress_bar() as bar:
        facts = fit(model, datasets, settings, run, path, by_stage(bar))
    console.print(f"{path}:", facts["validation"])
