"""`wm_planner convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wm_planner.cli.common import clean_errors, console, progress_bar


@clean_errors
def convert(
    bags: Annotated[list[Path], typer.Argument(help="bags of `wm_planner record`, or of rosbag2")],
    contract: Annotated[str, typer.Option(help="name or path of the contract")],
    output: Annotated[Path | None, typer.Option(help="HDF5 file; data/<contract>.h5 when left out")] = None,
    steps: Annotated[int, typer.Option(min=1, help="control steps per episode")] = 120,
    command_delay: Annotated[
        float, typer.Option(min=0.0, help="s from a command's stamp until the robot moves as it says")
    ] = 0.0,
) -> None:
    """Make a dataset to train on from recorded bags."""
    from wm_planner.configurator.contract import load_contract
    from wm_planner.data.bags import read_bags
    from wm_planner.data.dataset import write_episodes
    from wm_planner.data.output import require_writable

    agreed = load_contract(contract)
    path = output or Path("data") / f"{agreed.name}.h5"
    require_writable(path)
    with progress_bar() as bar:
        row = bar.add_task("reading bags", total=len(bags))
        episodes = read_bags(bags, agreed, steps, command_delay, lambda done: bar.update(row, completed=done))
    provenance = {"bags": [bag.name for bag in bags], "steps": steps, "command_delay": command_delay}
    write_episodes(path, episodes, provenance)
    console.print(f"{len(episodes.actions)} episodes of {steps} steps in {path}")
