"""`wm_planner bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from wm_planner.cli.common import agent_config, clean_errors, console, write_json


@clean_errors
def bench(
    task: Annotated[list[str] | None, typer.Option(help="shipped models to time; all when left out")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="time this checkpoint instead")] = None,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    repeats: Annotated[int, typer.Option(min=2)] = 50,
    device: str = "auto",
    set: Annotated[list[str] | None, typer.Option(help="agent setting, such as horizon=12")] = None,
    json: Annotated[Path | None, typer.Option(help="write the figures here")] = None,
) -> None:
    """Time planning by stage, beside this machine's measured matrix peak."""
    from wm_planner.configurator.contract import available_contracts
    from wm_planner.configurator.paths import checkpoint_path
    from wm_planner.evaluation.bench import bench as run

    paths = [checkpoint] if checkpoint else [checkpoint_path(t) for t in task or available_contracts()]
    results = []
    for path in paths:
        result = run(path, agent_config(set or []), threads, repeats, device)
        results.append(result)
        title = f"{path.stem}: {result['device']}, {threads} thread(s), peak {result['peak_gflops']} GFLOP/s"
        table = Table("stage", "ms p50", "ms p95", "GFLOP", "GFLOP/s", "of peak", title=title)
        for stage, row in result["stages"].items():
            ms = row["ms"]
            share = f"{100 * row['share_of_peak']:.0f} %"
            table.add_row(stage, str(ms["p50"]), str(ms["p95"]), str(row["gflop"]), str(row["gflops"]), share)
        table.add_row("select (the rest of plan)", str(result["select_ms"]), "", "", "", "")
        console.print(table)
    write_json(json, {"models": results})
