"""What long work leaves: its file is known to be writable beforehand, and what is finished outlives an early end."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any


class Interrupted(RuntimeError):
    """Long work that ended early: raised from what ended it. `finished` is what there is of it."""

    def __init__(self, done: str, reason: BaseException, finished: Any = None) -> None:
        why = f"{type(reason).__name__}: {reason}" if str(reason) else type(reason).__name__
        super().__init__(f"ended after {done}: {why}")
        self.finished = finished


def require_writable(path: Path) -> None:
    """Make the folder of a file that is to be written after long work.

    Raises:
        ValueError: the file could not be written there.
    """
    if path.is_dir():
        raise ValueError(f"output {path} is a folder, expected a file; name one in it")
    if _is_pipe(path):
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ValueError(f"output {path} cannot be written: {error}; choose another place") from None


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all, and its folder where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if _is_pipe(path):
        path.write_text(text)
        return
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)


def _is_pipe(path: Path) -> bool:
    """/dev/stdout and the like, which no file may take the place of."""
    return path.exists() and not path.is_file()
