"""`wm_planner evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from wm_planner.cli.common import agent_config, clean_errors, console, progress_bar, write_json
from wm_planner.data.output import Interrupted, require_writable


@clean_errors
def evaluate(
    task: Annotated[str, typer.Option(help="panda_reach, panda_push or rover_rooms")],
    episodes: Annotated[int, typer.Option(min=1)] = 200,
    seed: int = 1,
    json: Annotated[Path | None, typer.Option(help="write the report here")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="the shipped one when left out")] = None,
    ros: Annotated[bool, typer.Option("--ros", help="in real time, through the ROS 2 nodes")] = False,
    camera_rate: Annotated[float | None, typer.Option(help="Hz of the camera under --ros; the control rate")] = None,
    policy: Annotated[str, typer.Option(help="planner, random or true-state")] = "planner",
    goals: Annotated[str, typer.Option(help="placed, or brought about by scripted or random motion")] = "placed",
    workers: Annotated[int, typer.Option(min=1, help="processes; results do not depend on it")] = 1,
    lamp: Annotated[float | None, typer.Option(help="a lamp follows this share of the actions")] = None,
    factor: Annotated[
        str | None, typer.Option(help="one thing is other than in training: 'floor colour', 'latency 2'")
    ] = None,
    tolerance: Annotated[float | None, typer.Option(min=0.0, help="m that count as reached; the task's own")] = None,
    set: Annotated[list[str] | None, typer.Option(help="agent setting, such as horizon=12 or mode=policy")] = None,
) -> None:
    """Measure success on held-out goals."""
    from wm_planner.evaluation.evaluate import Policy, Trial
    from wm_planner.evaluation.evaluate import evaluate as lockstep
    from wm_planner.evaluation.goals import GoalKind
    from wm_planner.sim.factors import factors_of
    from wm_planner.sim.tasks import get_task

    policies = Policy.__args__  # type: ignore[attr-defined]
    if policy not in policies:
        raise ValueError(f"policy is {policy!r}, expected one of {list(policies)}")
    kinds = GoalKind.__args__  # type: ignore[attr-defined]
    if goals not in kinds:
        raise ValueError(f"goals are {goals!r}, expected one of {list(kinds)}")
    factors = factors_of(get_task(task).with_cube)
    if factor is not None and factor not in factors:
        raise ValueError(f"factor is {factor!r}, expected for {task} one of {factors}")
    if ros and factor is not None and not factor.startswith("camera"):
        raise ValueError(f"--ros has no factors but the camera's, found --factor {factor!r}")
    if ros and goals != "placed":
        raise ValueError(f"--ros takes placed goals, found --goals {goals}")
    if camera_rate is not None and not ros:
        raise ValueError(f"in lockstep there is one image per control step, found --camera-rate {camera_rate:g}")
    if ros and lamp is not None:
        raise ValueError(f"--ros has no lamp, found --lamp {lamp}")
    if ros and tolerance is not None:
        raise ValueError(f"--ros takes the task's own tolerance, found --tolerance {tolerance}")
    if ros and policy != "planner":
        raise ValueError(f"--ros runs the planner node, found --policy {policy}")
    if ros and workers != 1:
        raise ValueError(f"--ros runs one trial at a time, found --workers {workers}")
    if json:
        require_writable(json)
    early: Interrupted | None = None
    with progress_bar() as bar:
        row = bar.add_task(task, total=episodes)
        successes = 0

        def show(trial: Trial) -> None:
            nonlocal successes
            successes += trial.success
            bar.update(row, advance=1, description=f"{task}: {successes} reached")

        try:
            if ros:
                from wm_planner.evaluation.realtime import evaluate as realtime

                report = realtime(
                    get_task(task), episodes, seed, checkpoint, set or [], show, camera_rate=camera_rate, factor=factor
                )
            else:
                config = agent_config(set or [])
                report = lockstep(
                    get_task(task),
                    episodes,
                    seed,
                    policy,  # type: ignore[arg-type]
                    checkpoint,
                    config,
                    workers,
                    goals,  # type: ignore[arg-type]
                    show,
                    factor=factor,
                    lamp=lamp,
                    tolerance=tolerance,
                )
        except Interrupted as error:
            early, report = error, error.finished | {"interrupted": str(error)}
    write_json(json, report)
    table = Table("", "value")
    for name, value in report.items():
        table.add_row(name, escape(str(value)))
    console.print(table)
    if early:
        raise early
