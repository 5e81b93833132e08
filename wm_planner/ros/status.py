"""What the planner is doing, and why it has stopped."""

from __future__ import annotations

import threading
from collections import deque
from enum import Enum

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue


class State(str, Enum):
    """The lifecycle states before activation, then what an active planner does."""

    UNCONFIGURED = "unconfigured"
    INACTIVE = "inactive"
    IDLE = "idle"
    PLANNING = "planning"
    REACHED = "reached"
    STOPPED = "stopped"


class Latch:
    """Why the robot is stopped. The first reason stands until no fault has occurred for `hold` seconds."""

    def __init__(self, hold: float) -> None:
        self._hold = hold
        self._lock = threading.Lock()
        self._reason = ""
        self._last = 0.0

    @property
    def reason(self) -> str:
        """'' where nothing is wrong."""
        return self._reason

    def trip(self, reason: str, now: float) -> bool:
        """A fault occurred at `now` (s); True where it is the first."""
        with self._lock:
            self._last = now
            first = not self._reason
            if first:
                self._reason = reason
            return first

    def release(self, now: float) -> bool:
        """Let go of a reason whose fault has been gone for long enough; True where it did."""
        with self._lock:
            if not self._reason or now - self._last < self._hold:
                return False
            self._reason = ""
            return True

    def clear(self) -> None:
        with self._lock:
            self._reason = ""


class Rate:
    """Plans per second over the last few, by the stamps of the images planned on: an image left out lowers it."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=20)

    def tick(self, stamp: float) -> None:
        """A stamp that is no later than the last begins a new run."""
        if self._times and stamp <= self._times[-1]:
            self._times.clear()
        self._times.append(stamp)

    def hertz(self, now: float) -> float:
        """0 where nothing has happened for a second."""
        times = list(self._times)
        if len(times) < 2 or now - times[-1] > 1.0:
            return 0.0
        return (len(times) - 1) / (times[-1] - times[0])


def status_message(name: str, state: State, text: str, warning: bool, values: dict[str, str]) -> DiagnosticStatus:
    """`~/status`: ERROR when stopped, WARN with a warning, else OK; the state is also the first value."""
    level = DiagnosticStatus.ERROR if state is State.STOPPED else DiagnosticStatus.OK
    if level == DiagnosticStatus.OK and warning:
        level = DiagnosticStatus.WARN
    pairs = {"state": state.value, **values}
    return DiagnosticStatus(
        level=level,
        name=name,
        message=text or state.value,
        hardware_id="",
        values=[KeyValue(key=key, value=value) for key, value in pairs.items()],
    )
