"""Worker processes for simulation side by side, which end with the one that started them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar

T = TypeVar("T")


def worker_pool(workers: int, start: Callable[..., None], *arguments: Any) -> ProcessPoolExecutor:
    """A pool of spawned processes, each of which first calls `start(*arguments)`.

    Ctrl-C is for this process alone to answer: workers finish the call they are at. Should this process be killed
    outright, they end, too; the library's own would wait for ever.
    """
    return ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin, initargs=(start, arguments))


def as_done(pool: Executor, workers: int, function: Callable[..., T], calls: Iterable[tuple]) -> Iterator[T]:
    """What `function(*arguments)` returns for each of the calls' arguments, as they are done.

    The pool is given one call per worker at a time. It carries out what is in its queue whatever happens, and cannot
    cancel all of it: after Ctrl-C, or a call that failed, only those under way are waited for.
    """
    left = iter(calls)
    under_way = {pool.submit(function, *arguments) for arguments in islice(left, workers)}
    while under_way:
        done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
        under_way |= {pool.submit(function, *arguments) for arguments in islice(left, len(done))}
        for future in done:
            yield future.result()


def _begin(start: Callable[..., None], arguments: tuple) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the workers, too
    threading.Thread(target=_end_with_parent, daemon=True).start()
    start(*arguments)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
