"""What an evaluation says, the same for lockstep and real time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wm_planner.evaluation.wilson import wilson


class Trial(NamedTuple):
    """One start and goal. distance: final, m; seconds: to the first of the held steps (robot time)."""

    scene_seed: int
    success: bool
    seconds: float
    distance: float
    plan_ms: list[float]


def percentiles(values: list[float]) -> dict[str, float]:
    """Median and 95th percentile of what is finite, rounded to two decimals; zeros when there is nothing."""
    finite = [value for value in values if np.isfinite(value)]
    p50, p95 = np.percentile(finite, (50, 95)) if finite else (0.0, 0.0)
    return {"p50": round(float(p50), 2), "p95": round(float(p95), 2)}


def report(task: str, trials: list[Trial], seed: int, checkpoint: str, policy: str) -> dict:
    """The JSON of an evaluation."""
    successes = sum(t.success for t in trials)
    low, high = wilson(successes, len(trials))
    return {
        "task": task,
        "n": len(trials),
        "successes": successes,
        "success_rate": round(successes / max(len(trials), 1), 4),
        "wilson_low": round(low, 4),
        "wilson_high": round(high, 4),
        "plan_ms": percentiles([ms for t in trials for ms in t.plan_ms]),
        "seconds_to_goal": percentiles([t.seconds for t in trials if t.success]),
        "final_distance_cm": percentiles([100 * t.distance for t in trials]),
        "failed_scene_seeds": [t.scene_seed for t in trials if not t.success],
        "seed": seed,
        "checkpoint": checkpoint,
        "policy": policy,
    }
