"""Worker processes for simulation side by side, which end with the one that started them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from typing import Any


def worker_pool(workers: int, start: Callable[..., None], *arguments: Any) -> ProcessPoolExecutor:
    """A pool of spawned processes, each of which first calls `start(*arguments)`.

    Should this process be killed outright, the workers end, too; the library's own would wait for ever.
    """
    return ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin, initargs=(start, arguments))


def _begin(start: Callable[..., None], arguments: tuple) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    start(*arguments)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
