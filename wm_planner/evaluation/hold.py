"""When a goal counts as reached: within tolerance, and staying there."""

from __future__ import annotations

import math

from wm_planner.sim.tasks import Task

_ROUNDING = 0.1  # control steps: stamps are rounded, and so are control steps to steps of the physics


class Hold:
    """Times how long the goal has been held; `since` is when that began, s, and NaN while it is not.

    dt: s of a control step. The task's `hold` steps span one less of them, however many images come in a second.
    """

    def __init__(self, task: Task, dt: float) -> None:
        self._tolerance = task.tolerance
        self._seconds = (task.hold - 1 - _ROUNDING) * dt
        self.since = math.nan

    def update(self, distance: float, now: float) -> bool:
        """Whether the goal has been reached and held; distance in metres, now in s of the robot's time."""
        if distance > self._tolerance:
            self.since = math.nan
            return False
        if math.isnan(self.since):
            self.since = now
        return now - self.since >= self._seconds
