"""`wm_planner demo`: the main job, watched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.live import Live
from rich.table import Table

from wm_planner.cli.common import clean_errors, console, write_json

if TYPE_CHECKING:
    from wm_planner.evaluation.report import Trial
    from wm_planner.ros.trial_driver import Tick


@clean_errors
def demo(
    task: Annotated[str, typer.Option(help="panda_reach, panda_push or rover_rooms")] = "panda_push",
    goals: Annotated[int, typer.Option(min=1, help="held-out goal images, one after another")] = 10,
    seed: int = 2,
    checkpoint: Annotated[Path | None, typer.Option(help="the shipped one when left out")] = None,
    output: Annotated[Path, typer.Option(help="videos, picture, figures and node logs")] = Path("out"),
    set: Annotated[list[str] | None, typer.Option(help="agent setting, such as horizon=12")] = None,
) -> None:
    """Start simulator and planner over ROS 2, send goal images, and film what happens."""
    from wm_planner.evaluation.evaluate import scene_seed
    from wm_planner.evaluation.pictures import Film, write_image
    from wm_planner.evaluation.realtime import driver, private_domain, summarise
    from wm_planner.sim.environment import Environment
    from wm_planner.sim.tasks import get_task

    the_task = get_task(task)
    scenes = Environment(the_task)
    console.print(f"ROS_DOMAIN_ID={private_domain()}; node logs in {output / 'logs'}; Ctrl-C stops everything")
    trials: list[Trial] = []
    statuses: list[dict[str, str]] = []
    watched = 0.0
    rows = []
    with (
        Live("starting simulator and planner", console=console, refresh_per_second=5) as live,
        driver(the_task, checkpoint, set or [], output / "logs", pictures=True) as node,
    ):
        for number in range(1, goals + 1):
            scene = scene_seed(seed, number)
            film = Film(scenes.image_of(the_task.start_and_goal(scene)[1]))
            reached = sum(trial.success for trial in trials)

            def watch(
                tick: Tick, film: Film = film, title: str = f"{task}: goal {number} of {goals}, {reached} reached"
            ) -> None:
                film.add(tick.camera, tick.imagined, tick.now, tick.distance)
                live.update(_live_view(title, tick))

            trial, seen, lasted = node.run(scene, film.goal, the_task.position(scenes.world), watch)
            trials.append(trial)
            statuses += seen
            watched += lasted
            film.write(output / f"{task}_{number:02d}.mp4", scenes.contract.control_rate)
            rows.append(film.summary(number))
    scenes.close()
    write_image(output / f"{task}.png", rows[:4])
    result = summarise(the_task, trials, statuses, watched, seed, checkpoint)
    write_json(output / f"{task}.json", result)
    console.print(_closing_table(result))
    console.print(f"videos, picture and figures in {output}/")


def _live_view(title: str, tick: Tick) -> Table:
    table = Table(title=title, min_width=60)
    for column in ("time", "distance", "state", "plan", "rate", "command age"):
        table.add_column(column)
    status = tick.status
    table.add_row(
        f"{tick.now:.1f} s",
        f"{100 * tick.distance:.1f} cm",
        status.get("state", ""),
        f"{status.get('plan_ms', '-')} ms",
        f"{status.get('rate_hz', '-')} Hz",
        f"{status.get('command_age_ms', '-')} ms",
    )
    return table


def _closing_table(result: dict) -> Table:
    table = Table(title="over ROS 2, in real time")
    row = {
        "task": result["task"],
        "trials": result["n"],
        "successes": result["successes"],
        "time to goal p50, s": result["seconds_to_goal"]["p50"],
        "plan ms p50/p95": f"{result['plan_ms']['p50']}/{result['plan_ms']['p95']}",
        "image to command ms p50/p95": f"{result['image_to_command_ms']['p50']}/{result['image_to_command_ms']['p95']}",
        "planner rate, Hz": result["rate_hz"],
    }
    for name in row:
        table.add_column(name)
    table.add_row(*map(str, row.values()))
    return table
