"""`wm_planner calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wm_planner.cli.common import by_stage, clean_errors, console, progress_bar


@clean_errors
def calibrate(
    checkpoint: Annotated[Path, typer.Option(help="its calibration is replaced")],
    data: Annotated[list[Path], typer.Option(help="nominal running: `collect --checkpoint`; may be repeated")],
    other: Annotated[
        list[Path] | None,
        typer.Option(
            help="other episodes that it was not trained on, play above all: from these, too, it is learned where "
            "predictions will be far off, so that they surprise less there; thresholds come from --data alone; may be "
            "repeated"
        ),
    ] = None,
    whiten_other: Annotated[
        bool,
        typer.Option(
            help="what is usual is measured on --other, too: better where work seldom meets what matters, as a rover "
            "does walls; on --data alone where it does so all the time, as in pushing"
        ),
    ] = True,
    late: Annotated[
        float,
        typer.Option(min=0, max=1, help="of a step, how much later commands may act than the planner is told"),
    ] = 0.3,
) -> None:
    """Measure how wrong a model's predictions usually are, for its surprise at run time."""
    from wm_planner.data.dataset import read_episodes, require_one_contract
    from wm_planner.training.train import calibration, encode_all
    from wm_planner.world_model.checkpoint import load_checkpoint, save_checkpoint
    from wm_planner.world_model.surprise import SLOW, STOP, Calibration

    if not whiten_other and not other:
        raise ValueError("--no-whiten-other is about --other, found none; give --other, or leave both out")
    nominal, shown = ([read_episodes(path) for path in paths or []] for paths in (data, other))
    require_one_contract([*nominal, *shown])
    model, facts = load_checkpoint(checkpoint, expected=nominal[0].contract)
    with progress_bar() as bar:
        progress, latents = by_stage(bar), []
        for done, episodes in enumerate([*nominal, *shown], start=1):
            latents.append(encode_all(model, episodes))
            progress("encoding", done, len(nominal) + len(shown), {})
        own, others = latents[: len(nominal)], latents[len(nominal) :]
        found = calibration(model, nominal, own, "nominal running", late, others, whiten_other, progress)
    facts["surprise"] = found
    save_checkpoint(checkpoint, model, facts)
    limits = [Calibration.model_validate(found).threshold(alarms) for alarms in (SLOW, STOP)]
    console.print(f"{checkpoint}: {found['source']}; slows at {limits[0]:.3g}, stops at {limits[1]:.3g}")
