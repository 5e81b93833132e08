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
        self._attempts, self._ends = attempts, attempt_ends(attempts)
        self._moments = np.argwhere(attempts >= 0)
        if not len(self._moments):
            raise ValueError("no action of the dataset belongs to an attempt (attempts are all negative)")

    def draw(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Episodes, moments and frames after them to call goals (count,)."""
        episode, now = self._moments[rng.integers(len(self._moments), size=count)].T
        return episode, now, self.goals(rng, episode, now)

    def goals(self, rng: np.random.Generator, episode: np.ndarray, now: np.ndarray) -> np.ndarray:
        """Frames after moments (N,), of their attempt: half of them what it led to at last."""
        end = self._ends[episode, now]
        last = np.maximum(end - rng.integers(_LAST, size=len(now)), now + 1)
        return np.where(rng.random(len(now)) < 0.5, last, rng.integers(now + 1, end + 1))

    def joined(self, episode: np.ndarray, moments: np.ndarray, now: np.ndarray) -> np.ndarray:
        """Whether moments, just before others, are of the same attempt as those, if they are of one at all."""
        mine = self._attempts[episode, now]
        return (mine >= 0) & (self._attempts[episode, moments] == mine)
