"""`wm_planner distil`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wm_planner.cli.common import by_stage, clean_errors, console, output_path, progress_bar, read_settings


@clean_errors
def distil(
    checkpoint: Annotated[Path, typer.Option(help="the model to train further")],
    data: Annotated[list[Path], typer.Option(help="play that its latents are to keep; several: --data A --data B")],
    views: Annotated[
        list[Path], typer.Option(help="the same play, or its first episodes, collected with --randomise; likewise")
    ],
    run: Annotated[Path, typer.Option(help="resumable state and TensorBoard logs")],
    harmless: Annotated[
        Path | None,
        typer.Option(help="likewise, collected with --harmless: what must not surprise; none when left out"),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(help="whose latents are to be met: what it was distilled from; its own when left out"),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML of DistilConfig fields; defaults when left out")] = None,
    output: Annotated[Path | None, typer.Option(help="checkpoint; <run>/model.safetensors when left out")] = None,
) -> None:
    """Teach a model to see the same in other light, colours and from elsewhere. Run it again to resume."""
    from wm_planner.data.dataset import joined, read_episodes
    from wm_planner.training.allocator import keep_freed_memory
    from wm_planner.training.distil import DistilConfig
    from wm_planner.training.distil import distil as fit
    from wm_planner.world_model.checkpoint import load_checkpoint

    keep_freed_memory()
    settings = read_settings(DistilConfig, config)
    path = output_path(output, run, checkpoint)
    datasets = [read_episodes(file) for file in data]
    student = load_checkpoint(checkpoint, expected=datasets[0].contract)
    original = load_checkpoint(teacher, expected=datasets[0].contract).model if teacher else None
    with progress_bar() as bar:
        unminded = read_episodes(harmless) if harmless else None
        shown = joined([read_episodes(file) for file in views])
        facts = fit(student, datasets, shown, settings, run, path, by_stage(bar), unminded, original)
    console.print(f"{path}:", facts["distilled"])
