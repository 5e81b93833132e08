"""`wm_planner`: one command per step of the loop from recording reality to acting in it."""

from __future__ import annotations

import typer

from wm_planner.cli.align import align
from wm_planner.cli.bench import bench
from wm_planner.cli.calibrate import calibrate
from wm_planner.cli.collect import collect
from wm_planner.cli.convert import convert
from wm_planner.cli.demo import demo
from wm_planner.cli.distil import distil
from wm_planner.cli.evaluate import evaluate
from wm_planner.cli.inspect import inspect
from wm_planner.cli.record import record
from wm_planner.cli.refine import refine
from wm_planner.cli.train import train
from wm_planner.cli.up import up
from wm_planner.cli.verify import verify

app = typer.Typer(
    help="Plan with a learned world model on ROS 2.", no_args_is_help=True, pretty_exceptions_show_locals=False
)
for command in (
    demo,
    up,
    collect,
    record,
    convert,
    train,
    distil,
    refine,
    align,
    calibrate,
    evaluate,
    verify,
    bench,
    inspect,
):
    app.command()(command)


if __name__ == "__main__":
    app()
