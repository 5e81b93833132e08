"""`wm_planner up`: start nodes without `ros2 launch`, as the launch files do."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from wm_planner.cli.common import clean_errors, console


@clean_errors
def up(
    nodes: Annotated[list[str] | None, typer.Argument(help="sim, planner; both when left out")] = None,
    task: str = "",
    params_file: str = "",
    namespace: str = "",
    checkpoint: str = "",
    log_level: str = "info",
    autostart: bool = True,
    use_sim_time: Annotated[bool | None, typer.Option(help="true where sim is started, unless set")] = None,
) -> None:
    """Start the nodes and keep them running until Ctrl-C."""
    from wm_planner.configurator.stack import running, stack

    wanted = nodes or ["sim", "planner"]
    unknown = [n for n in wanted if n not in ("sim", "planner")]
    if unknown:
        raise ValueError(f"nodes {unknown} do not exist, expected sim or planner")
    specs = stack(
        wanted,  # type: ignore[arg-type]
        task=task,
        params_file=params_file,
        namespace=namespace,
        checkpoint=checkpoint,
        log_level=log_level,
        autostart=autostart,
        use_sim_time=use_sim_time,
    )
    try:
        with running(specs) as processes:
            while all(p.poll() is None for p in processes.values()):
                time.sleep(0.2)
            ended = {name: p.returncode for name, p in processes.items() if p.returncode is not None}
            console.print(f"[red]ended:[/] {ended}")
    except KeyboardInterrupt:
        return
    raise typer.Exit(1)
