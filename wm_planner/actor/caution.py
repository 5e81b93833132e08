"""How fast the robot may go, by how surprising the world is: full speed, slowly, or not at all."""

from __future__ import annotations

import threading
from typing import NamedTuple

HOLD = 0.5  # s without surprise before the robot goes on ...
SEEN = 3  # ... and observations in them
PROBATION = 1.0  # s of motion as predicted before a robot that was stopped may go fast again
LONGEST = 8.0  # s: each stop on probation doubles the wait, up to this
_MOVING = 0.1  # share of the action limits that counts as motion
_GAP = 0.5  # s: between observations further apart, nothing is known


class Limits(NamedTuple):
    """Surprise at which the robot slows, and at which it stops; share of the planned speed when slow."""

    slow: float
    stop: float
    speed: float


class Caution:
    """Judges each observation. Times are stamps in seconds; safe to call from any thread.

    A robot that stands still learns little: a frozen camera and a world at rest look the same. So calm while
    standing only allows to try again, slowly; full speed needs motion that went as predicted, and a robot that is
    surprised again before that waits longer each time.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Start afresh, as in a world that has made sense so far."""
        with self._lock:
            self._reason = ""
            self._slow = self._probation = False
            self._wait = HOLD
            self._proven = 0.0
            self._calm: tuple[float, int] | None = None  # since when, in how many observations
            self._last: float | None = None

    @property
    def reason(self) -> str:
        """Why the robot must stand still; '' where it need not."""
        return self._reason

    @property
    def speed(self) -> float:
        """Share of the planned speed, from 0 to 1."""
        if self._reason:
            return 0.0
        return self.limits.speed if self._slow or self._probation else 1.0

    def observe(self, surprise: float, action: float, now: float) -> None:
        """One observation.

        Args:
            surprise: of what is seen; what is not a number counts as the largest.
            action: largest component of the mean action that led to it, share of its limit.
        """
        with self._lock:
            since = now - self._last if self._last is not None else 0.0
            self._last = now
            if surprise < self.limits.slow:
                self._judge_calm(now, since if abs(action) > _MOVING and 0.0 < since <= _GAP else 0.0)
                return
            self._calm, self._slow = None, True
            if not surprise < self.limits.stop:
                self._stop(surprise)

    def _stop(self, surprise: float) -> None:
        if not self._reason:
            self._wait = min(2.0 * self._wait, LONGEST) if self._probation else HOLD
            self._reason = (
                f"surprise is {surprise:.3g}, expected below {self.limits.stop:.3g}: what is seen is not what was "
                f"predicted; tries again, slowly, after {self._wait:g} s below {self.limits.slow:.3g}"
            )
        self._probation, self._proven = True, 0.0

    def _judge_calm(self, now: float, moved: float) -> None:
        since, seen = self._calm or (now, 0)
        self._calm = since, seen + 1
        if self._reason:
            if now - since >= self._wait and seen + 1 >= SEEN:
                self._reason, self._slow = "", False
            return
        if now - since >= HOLD:
            self._slow = False
        if self._probation:
            self._proven += moved
            if self._proven >= PROBATION:
                self._probation = False
