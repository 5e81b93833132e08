"""When a goal counts as reached: within tolerance, and staying there."""

from __future__ import annotations

from wm_planner.sim.tasks import Task


class Hold:
    """Counts consecutive control steps within tolerance; `since` is when the current run of them began, s."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._count = 0
        self.since = float("nan")

    def update(self, distance: float, now: float) -> bool:
        """Whether the goal has been reached and held."""
        if distance > self._task.tolerance:
            self._count = 0
            return False
        if self._count == 0:
            self.since = now
        self._count += 1
        return self._count >= self._task.hold
