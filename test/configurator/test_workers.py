"""Worker processes do the work, and outlive nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wm_planner.configurator.workers import worker_pool

_PARENT = """
import os, time
from wm_planner.configurator.workers import worker_pool
if __name__ == "__main__":
    with worker_pool(2, os.getpid) as pool:
        print(*{future.result() for future in [pool.submit(os.getpid) for _ in range(8)]}, flush=True)
        pool.submit(time.sleep, 60).result()
"""


def test_each_worker_starts_before_it_works(tmp_path: Path) -> None:
    with worker_pool(2, os.chdir, tmp_path) as pool:
        assert {future.result() for future in [pool.submit(os.getcwd) for _ in range(8)]} == {str(tmp_path)}
        assert pool.submit(os.getpid).result() != os.getpid()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_when_the_one_that_started_them_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert workers
        parent.send_signal(number)
    for _ in range(100):
        running = [pid for pid in workers if _runs(pid)]
        if not running:
            break
        time.sleep(0.1)
    assert not running


def _runs(pid: int) -> bool:
    """Not so of a zombie, which nobody may be there to reap."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
