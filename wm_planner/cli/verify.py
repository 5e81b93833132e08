"""`wm_planner verify`: the reality report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from wm_planner.cli.common import agent_config, clean_errors, console, write_json
from wm_planner.data.output import Interrupted, require_writable, write_whole

if TYPE_CHECKING:
    from wm_planner.evaluation.verify.section import Section


@clean_errors
def verify(
    task: Annotated[str, typer.Option(help="panda_reach, panda_push or rover_rooms")],
    checkpoint: Annotated[Path | None, typer.Option(help="the shipped one when left out")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="minutes instead of an hour, with wider errors")] = False,
    sections: Annotated[str, typer.Option(help="such as prediction,state; all when left out")] = "",
    json: Annotated[Path | None, typer.Option(help="write the figures here")] = None,
    html: Annotated[Path | None, typer.Option(help="write a self-contained page with plots here")] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="measure what surprises anew, and store it in the checkpoint")
    ] = False,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="dataset to fit probes and judges to, its first 300 episodes; several: --data A --data B"),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="processes of the section that plans")] = 1,
    set: Annotated[list[str] | None, typer.Option(help="agent setting, such as horizon=12")] = None,
) -> None:
    """Measure whether a model of the world is real: prediction, intervention, surprise, state, robustness."""
    from wm_planner.configurator.paths import checkpoint_path
    from wm_planner.evaluation.verify.lab import FULL, QUICK, Lab
    from wm_planner.evaluation.verify.page import page
    from wm_planner.evaluation.verify.verify import applicable, as_json, report_facts
    from wm_planner.evaluation.verify.verify import verify as measure
    from wm_planner.sim.tasks import get_task

    for output in (json, html):
        if output:
            require_writable(output)
    path = checkpoint or checkpoint_path(task)
    lab = Lab(get_task(task), path, QUICK if quick else FULL, agent_config(set or []), workers, data or [])
    if calibrate:
        lab.recalibrate()
        console.print(f"stored in {path}: thresholds of surprise, from {lab.calibration.source}")
    elif not lab.facts.get("surprise"):
        console.print(f"{path.name} has no calibration of surprise: measured on fresh play (--calibrate stores it)")
    names = [name.strip() for name in sections.split(",")] if sections else applicable(lab.task.with_cube)
    early: Interrupted | None = None
    try:
        with console.status("") as status:
            done = measure(lab, names, lambda name: status.update(f"{task}: {name}"))
    except Interrupted as error:
        early, done = error, error.finished
    finally:
        lab.close()
    facts = report_facts(lab, path, quick)
    if early:
        facts["interrupted"] = str(early)
    write_json(json, as_json(done, facts))
    if html:
        write_whole(html, page(done, facts))
    console.print(_verdicts(done))
    if early:
        raise early
    if not all(verdict.passed for section in done for verdict in section.verdicts):
        raise typer.Exit(1)


def _verdicts(sections: list[Section]) -> Table:
    table = Table("section", "measure")
    for column in ("measured", "target", ""):
        table.add_column(column, justify="right")
    for section in sections:
        for v in section.verdicts:
            target = "" if v.target is None else f"{v.sense} {v.target:g}"
            word = "reported" if v.target is None else "[green]passed[/]" if v.passed else "[red]failed[/]"
            table.add_row(section.name, v.measure, f"{v.measured:.3f}", target, word)
    return table
