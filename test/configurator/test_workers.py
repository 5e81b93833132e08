"""Worker processes do the work, and outlive nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wm_planner.configurator.workers import as_done, worker_pool

_PARENT = """
import os, time
from wm_planner.configurator.workers import worker_pool
if __name__ == "__main__":
    with worker_pool(2, os.getpid) as pool:
        print(*{future.result() for future in [pool.submit(os.getpid) for _ in range(8)]}, flush=True)
        pool.submit(time.sleep, 60).result()
"""


_INTERRUPTED = """
import os, sys, time
from wm_planner.configurator.workers import as_done, worker_pool

def begin():
    open(os.path.join(sys.argv[1], str(os.getpid())), "w").close()

if __name__ == "__main__":
    with worker_pool(2, begin) as pool:
        for _ in as_done(pool, 2, time.sleep, ((1.0,) for _ in range(1000))):
            pass
"""


def test_each_worker_starts_before_it_works(tmp_path: Path) -> None:
    with worker_pool(2, os.chdir, tmp_path) as pool:
        assert {future.result() for future in [pool.submit(os.getcwd) for _ in range(8)]} == {str(tmp_path)}
        assert pool.submit(os.getpid).result() != os.getpid()


def test_all_calls_are_made_once() -> None:
    with worker_pool(2, os.getpid) as pool:
        assert sorted(as_done(pool, 2, abs, ((-k,) for k in range(9)))) == list(range(9))
        assert list(as_done(pool, 2, abs, [(-1,)])) == [1]
        assert list(as_done(pool, 2, abs, [])) == []


def test_after_an_error_no_further_call_is_made(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="enough"), worker_pool(2, os.getpid) as pool:
        for _ in as_done(pool, 2, os.mkdir, ((tmp_path / str(k),) for k in range(100))):
            raise RuntimeError("enough")
    assert 1 <= len(list(tmp_path.iterdir())) <= 4  # two at first, and as many in place of those that were done
    with pytest.raises(FileExistsError), worker_pool(1, os.getpid) as pool:
        list(as_done(pool, 1, os.mkdir, ((tmp_path / name,) for name in "aaa")))


def test_ctrl_c_ends_after_the_calls_under_way_and_is_answered_by_the_parent_alone(tmp_path: Path) -> None:
    script, began = tmp_path / "parent.py", tmp_path / "began"
    script.write_text(_INTERRUPTED)
    began.mkdir()
    command = [sys.executable, str(script), str(began)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as parent:
        while parent.poll() is None and len(list(began.iterdir())) < 2:
            time.sleep(0.05)
        os.killpg(parent.pid, signal.SIGINT)  # as a terminal does
        _, errors = parent.communicate(timeout=60)  # all calls would take more than eight minutes
    assert parent.returncode != 0
    assert "KeyboardInterrupt" in errors and errors.count("Traceback") == 1, errors


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
