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


def hindsight(rng: np.random.Generator, now: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Frames after `now` (B,), until `end` (B,), to call goals: half of them what the attempt led to at last."""
    last = np.maximum(end - rng.integers(_LAST, size=len(now)), now + 1)
    return np.where(rng.random(len(now)) < 0.5, last, rng.integers(now + 1, end + 1))
