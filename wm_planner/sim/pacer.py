"""Keeps simulated time in step with the wall clock."""

from __future__ import annotations


class Pacer:
    """Counts the simulated steps that are due.

    Fractions of a step are carried over, so the pace does not drift. Steps overdue by more than
    `max_lag` seconds are dropped: simulated time then runs slower instead of catching up in a burst.
    """

    def __init__(self, max_lag: float) -> None:
        self._max_lag = max_lag
        self._owed = 0.0
        self._last: float | None = None

    def restart(self) -> None:
        """Owe nothing, and count from the next call of `due`."""
        self._owed, self._last = 0.0, None

    def due(self, now: float, rate: float) -> tuple[int, float]:
        """Steps due at wall time `now` (s) at `rate` steps per second, and the steps dropped."""
        if self._last is not None:
            self._owed += (now - self._last) * rate
        self._last = now
        dropped = max(self._owed - max(self._max_lag * rate, 1.0), 0.0)
        self._owed -= dropped
        return int(self._owed), dropped

    def done(self, steps: int) -> None:
        """Steps that were taken."""
        self._owed -= steps
