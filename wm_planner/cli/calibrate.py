"""`wm_planner calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wm_planner.cli.common import clean_errors, console


@clean_errors
def calibrate(
    checkpoint: Annotated[Path, typer.Option(help="its calibration is replaced")],
    data: Annotated[list[Path], typer.Option(help="nominal running: `collect --checkpoint`; may be repeated")],
    late: Annotated[
        float,
        typer.Option(min=0, max=1, help="of a step, how much later commands may act than the planner is told"),
    ] = 0.3,
) -> None:
    """Measure how wrong a model's predictions usually are, for its surprise at run time."""
    from wm_planner.data.dataset import joined, read_episodes
    from wm_planner.training.train import calibration, encode_all
    from wm_planner.world_model.checkpoint import load_checkpoint, save_checkpoint
    from wm_planner.world_model.surprise import SLOW, STOP, Calibration

    episodes = joined([read_episodes(path) for path in data])
    model, facts = load_checkpoint(checkpoint, expected=episodes.contract)
    found = facts["surprise"] = calibration(model, episodes, encode_all(model, episodes), "nominal running", late)
    save_checkpoint(checkpoint, model, facts)
    limits = [Calibration.model_validate(found).threshold(alarms) for alarms in (SLOW, STOP)]
    console.print(f"{checkpoint}: {found['source']}; slows at {limits[0]:.3g}, stops at {limits[1]:.3g}")
