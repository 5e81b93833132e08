"""Run processes and leave none behind, whatever ends the one that started them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def running(
    commands: Mapping[str, Sequence[str]],
    env: Mapping[str, str] | None = None,
    log_directory: Path | None = None,
    grace: float = 10.0,
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Start a process per command, each leading its own process group; end them all on leaving.

    Ending is SIGINT, up to `grace` seconds to comply, then SIGKILL, to whole groups. Ctrl-C, SIGTERM and SIGHUP
    (a closed terminal) come out of the `with` block as KeyboardInterrupt or SystemExit once nothing is running; a
    second Ctrl-C does not cut the clean-up short. Should the caller be killed outright, the kernel sends SIGTERM.

    Args:
        commands: name to argument vector.
        env: added to the inherited environment (ROS_DOMAIN_ID and so on are inherited).
        log_directory: output goes to `<name>.log` in it; None leaves it on the terminal.

    Yields:
        name to process.
    """
    processes: dict[str, subprocess.Popen[bytes]] = {}
    with _interrupts() as interrupts:
        try:
            with interrupts.held():
                for name, command in commands.items():
                    processes[name] = _start(name, command, {**os.environ, **(env or {})}, log_directory)
            yield processes
        finally:
            # Should a signal raise before it is held, the inner `finally` still runs, and no further one raises.
            try:
                interrupts.hold()
            finally:
                _stop(processes.values(), grace)


def _start(
    name: str, command: Sequence[str], env: Mapping[str, str], log_directory: Path | None
) -> subprocess.Popen[bytes]:
    # The kernel's parent-death signal: nothing else tells a child that its parent was killed with SIGKILL.
    setpriv = shutil.which("setpriv")
    argv = [setpriv, "--pdeathsig", "TERM", *command] if setpriv else list(command)
    if log_directory is None:
        return subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, start_new_session=True)
    log_directory.mkdir(parents=True, exist_ok=True)
    with (log_directory / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            argv, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )


def _stop(processes: Iterable[subprocess.Popen[bytes]], grace: float) -> None:
    for process in processes:
        _signal_group(process, signal.SIGINT)
    deadline = time.monotonic() + grace
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(deadline - time.monotonic(), 0.0))
        _signal_group(process, signal.SIGKILL)  # also takes what a leader that went by itself left in its group
        process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


class _Interrupts:
    """Signal handler that raises at most once, and not while held."""

    def __init__(self) -> None:
        self._held = False
        self._pending: int | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._held:
            self._pending = number
        else:
            self._raise(number)

    def hold(self) -> None:
        self._held = True

    @contextmanager
    def held(self) -> Iterator[None]:
        self.hold()
        yield
        self._held = False
        self.raise_pending()

    def raise_pending(self) -> None:
        if self._pending is not None:
            self._raise(self._pending)

    def _raise(self, number: int) -> None:
        self._held, self._pending = True, None
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


@contextmanager
def _interrupts() -> Iterator[_Interrupts]:
    """Install the handler; only the main thread may, and only there do signals raise. Ignored ones stay ignored."""
    handler = _Interrupts()
    previous = {}
    if threading.current_thread() is threading.main_thread():
        previous = {n: signal.getsignal(n) for n in _ENDINGS if signal.getsignal(n) is not signal.SIG_IGN}
    for number in previous:
        signal.signal(number, handler)
    try:
        yield handler
    finally:
        for number, before in previous.items():
            signal.signal(number, before or signal.SIG_DFL)
    handler.raise_pending()  # a signal that came during the clean-up of a block that ended by itself
