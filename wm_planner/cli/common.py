"""What commands share: a console, clean errors, options of the agent."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import typer
import yaml
from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from wm_planner.actor.agent import AgentConfig
from wm_planner.data.output import write_whole

console = Console()
F = TypeVar("F", bound=Callable[..., Any])
M = TypeVar("M", bound=BaseModel)


def clean_errors(function: F) -> F:
    """Show expected errors as one message and exit code 1, not as a traceback; 130 where Ctrl-C was the cause."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except typer.Exit:  # which is a RuntimeError
            raise
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except (ValueError, KeyError, OSError, FloatingPointError, RuntimeError) as error:
            text = error.args[0] if isinstance(error, KeyError) and error.args else error
            console.print(f"[red]error:[/] {escape(str(text))}", soft_wrap=True)
            raise typer.Exit(130 if isinstance(error.__cause__, KeyboardInterrupt) else 1) from None

    return wrapped  # type: ignore[return-value]


def progress_bar() -> Progress:
    """A bar with description, count, elapsed and remaining time."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def by_stage(bar: Progress) -> Callable[[str, int, int, dict[str, float]], None]:
    """A callback of training that shows a row for each stage, with its losses."""
    rows: dict[str, TaskID] = {}

    def show(stage: str, done: int, total: int, losses: dict[str, float]) -> None:
        if stage not in rows:
            rows[stage] = bar.add_task(stage, total=total)
        text = " ".join(f"{name} {value:.3f}" for name, value in losses.items())
        bar.update(rows[stage], completed=done, description=f"{stage}: {text}")

    return show


def agent_config(settings: list[str]) -> AgentConfig:
    """`horizon=12`, `solver.name=cem`, ... over the defaults.

    Raises:
        ValueError: a setting that is no `key=value`, or a key or value that does not fit.
    """
    data: dict[str, Any] = {"costs": dict(AgentConfig().costs)}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"setting {setting!r} has no '=', expected for example horizon=12 or solver.name=cem")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        where = data
        *path, last = key.split(".")
        for part in path:
            where = where.setdefault(part, {})
        where[last] = value
    return AgentConfig.model_validate(data)


def read_settings(kind: type[M], path: Path | None) -> M:
    """The fields of a YAML file over a model's defaults, which are all there is without a file."""
    return kind.model_validate((yaml.safe_load(path.read_text()) if path else None) or {})


def output_path(output: Path | None, run: Path, checkpoint: Path) -> Path:
    """Where a model goes that is made from `checkpoint` in `run`.

    Raises:
        ValueError: into the file it is made from, from which a killed run could then not be resumed.
    """
    path = output or run / "model.safetensors"
    if path.resolve() == checkpoint.resolve():
        raise ValueError(f"output {path} is the model that is to be trained further, expected another file")
    return path


def write_json(path: Path | None, data: dict) -> None:
    """Write figures whole or not at all; None: nowhere. Ask `require_writable` before work that takes long."""
    if path:
        write_whole(path, json.dumps(data, indent=2) + "\n")
