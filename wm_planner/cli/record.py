"""`wm_planner record`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wm_planner.cli.common import clean_errors


@clean_errors
def record(
    contract: Annotated[str, typer.Option(help="name or path of the contract")],
    output: Annotated[Path, typer.Option(help="bag directory; must not exist")],
    seconds: Annotated[float, typer.Option(help="0: until Ctrl-C")] = 0.0,
    use_sim_time: Annotated[
        bool,
        typer.Option("--use-sim-time", help="note arrivals by /clock; a simulator's commands without stamps need it"),
    ] = False,
) -> None:
    """Record a contract's topics into an MCAP bag that rosbag2 and Foxglove open."""
    from wm_planner.ros.recorder_node import main

    arguments = {
        "contract": contract,
        "output": str(output),
        "max_seconds": str(float(seconds)),
        "use_sim_time": str(use_sim_time).lower(),
    }
    argv = ["recorder", "--ros-args"]
    for name, value in arguments.items():
        argv += ["-p", f"{name}:={value}"]
    raise typer.Exit(main(argv) or 0)
