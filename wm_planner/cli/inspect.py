"""`wm_planner inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.pretty import Pretty

from wm_planner.cli.common import clean_errors, console


@clean_errors
def inspect(path: Annotated[Path, typer.Argument(help="a checkpoint, a dataset or a contract")]) -> None:
    """Show what a checkpoint, dataset or contract holds."""
    if path.suffix in (".yaml", ".yml"):
        from wm_planner.configurator.contract import load_contract

        console.print(Pretty(load_contract(path)))
    elif path.suffix == ".h5":
        from wm_planner.data.dataset import ARRAYS, read_episodes

        episodes = read_episodes(path)
        for name in ARRAYS:
            array = getattr(episodes, name)
            console.print(f"{name}: {array.shape} {array.dtype}")
        console.print(Pretty(episodes.contract))
    else:
        from wm_planner.world_model.checkpoint import load_checkpoint

        model, facts = load_checkpoint(path, "cpu")
        for name, part in model.named_children():
            console.print(f"{name}: {sum(p.numel() for p in part.parameters()):,} parameters")
        console.print(Pretty(facts, max_string=200), Pretty(model.contract))
