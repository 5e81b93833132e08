"""`wm_planner train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wm_planner.cli.common import by_stage, clean_errors, console, progress_bar, read_settings


@clean_errors
def train(
    data: Annotated[list[Path], typer.Option(help="play of `wm_planner collect`; several: --data A --data B")],
    config: Annotated[Path | None, typer.Option(help="YAML of TrainConfig fields; defaults when left out")] = None,
    run: Annotated[Path | None, typer.Option(help="resumable state and TensorBoard logs; runs/<first dataset>")] = None,
    output: Annotated[Path | None, typer.Option(help="checkpoint; <run>/model.safetensors when left out")] = None,
) -> None:
    """Train a world model. Run the same command again to resume."""
    from wm_planner.data.dataset import read_episodes
    from wm_planner.training.allocator import keep_freed_memory
    from wm_planner.training.config import TrainConfig
    from wm_planner.training.train import train as fit

    keep_freed_memory()
    settings = read_settings(TrainConfig, config)
    folder = run or Path("runs") / data[0].stem
    path = output or folder / "model.safetensors"
    with progress_bar() as bar:
        facts = fit([read_episodes(file) for file in data], settings, folder, path, by_stage(bar))
    console.print(f"{path} after {sum(facts['seconds'].values())} s; validation:", facts["validation"])
