"""`wm_planner collect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wm_planner.cli.common import clean_errors, console, progress_bar


@clean_errors
def collect(
    task: Annotated[str, typer.Option(help="panda_reach, panda_push or rover_rooms")],
    output: Annotated[Path | None, typer.Option(help="HDF5 file; data/<task>.h5 when left out")] = None,
    episodes: Annotated[int, typer.Option(min=1)] = 900,
    steps: Annotated[int, typer.Option(min=1, help="control steps per episode")] = 120,
    seed: int = 0,
    workers: Annotated[int, typer.Option(min=1, help="processes; the data does not depend on it")] = 2,
    checkpoint: Annotated[
        Path | None, typer.Option(help="record its model planning towards random goals, in place of scripted play")
    ] = None,
    lamp: Annotated[float | None, typer.Option(help="a lamp follows this share of the actions: a spurious cue")] = None,
    randomise: Annotated[
        bool, typer.Option("--randomise", help="the same play in other light, colours, places, over blobs")
    ] = False,
    align_by: Annotated[
        Path | None,
        typer.Option(
            help="with --randomise: the checkpoint by which, as at work, the camera is found; pictures of other "
            "scenes tell that when left out"
        ),
    ] = None,
    harmless: Annotated[
        bool, typer.Option("--harmless", help="the same play in other light and over floors of other colours")
    ] = False,
    explore: Annotated[
        str | None,
        typer.Option(
            help="play broken off again and again: by `noise`, as a planner tries it, by `strokes` past an object, or "
            "by `shoves` at the walls beside a door"
        ),
    ] = None,
    latency: Annotated[
        int,
        typer.Option(
            min=0,
            help="with --checkpoint: plans take up to so many control steps, each goal its own, as on a slow computer",
        ),
    ] = 0,
) -> None:
    """Record scripted play, or the planner at work, in simulation, in parallel processes."""
    from wm_planner.data.collect import Look
    from wm_planner.data.collect import collect as run
    from wm_planner.sim.tasks import get_task

    if randomise and harmless:
        raise ValueError("found both --randomise and --harmless, expected one; leave one out")
    look: Look = "randomised" if randomise else "harmless" if harmless else "nominal"
    chosen = get_task(task)
    path = output or Path("data") / f"{task}.h5"
    with progress_bar() as bar:
        row = bar.add_task(f"playing {task}", total=episodes)

        def show(done: int) -> None:
            bar.update(row, completed=done)

        run(chosen, path, episodes, steps, seed, workers, show, lamp, checkpoint, look, explore, align_by, latency)
    console.print(f"{episodes} episodes of {steps} steps in {path}")
