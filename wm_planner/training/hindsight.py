"""Goals in hindsight: what an attempt led to is what it was for."""

from __future__ import annotations

import numpy as np

_LAST = 4  # frames at the end of an attempt that show what it was for


def attempt_ends(attempts: np.ndarray) -> np.ndarray:
    """The frame each action's attempt ended with: attempts (N, T) -> (N, T), at most T."""
    n, steps = attempts.shape
    ends = np.full((n, steps), steps)
    for t in range(steps - 2, -1, -1):
        ends[:, t] = np.where(attempts[:, t] == attempts[:, t + 1], ends[:, t + 1], t + 1)
    return ends


class Attempts:
    """Draws moments and goals within their attempt; attempts (N, T), negative where actions were made to no end.

    Raises:
        ValueError: there is no attempt at all.
    """

    def __init__(self, attempts: np.ndarray) -> None:
        self._ends = attempt_ends(attempts)
        self._moments = np.argwhere(attempts >= 0)
        if not len(self._moments):
            raise ValueError("no action of the dataset belongs to an attempt (attempts are all negative)")

    def draw(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Episodes, moments and frames after them to call goals (count,): half of them what attempts led to at last."""
        episode, now = self._moments[rng.integers(len(self._moments), size=count)].T
        end = self._ends[episode, now]
        last = np.maximum(end - rng.integers(_LAST, size=count), now + 1)
        return episode, now, np.where(rng.random(count) < 0.5, last, rng.integers(now + 1, end + 1))
