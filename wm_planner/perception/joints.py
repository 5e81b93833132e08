"""Joint messages to the model's joint vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wm_planner.configurator.contract import Joints
from wm_planner.perception.image import PerceptionError

_WHAT = {"position": ("positions", "radians"), "velocity": ("velocities", "rad/s")}


def order_joints(names: Sequence[str], values: Sequence[float], joints: Joints) -> np.ndarray:
    """Pick the contract's joints, whatever order and extra joints the message has.

    Args:
        values: the message's field `joints.field`.

    Returns:
        (J,) float64 radians (or rad/s), in the contract's order.

    Raises:
        PerceptionError: joints are missing, lengths differ, or a value is not finite.
    """
    what, unit = _WHAT[joints.field]
    if len(names) != len(values):
        raise PerceptionError(f"{joints.topic}: {len(names)} names but {len(values)} {what}")
    found = dict(zip(names, values))
    missing = [n for n in joints.names if n not in found]
    if missing:
        raise PerceptionError(
            f"{joints.topic}: joints {missing} are missing, expected {list(joints.names)}, found {list(names)}"
        )
    q = np.array([found[n] for n in joints.names], np.float64)
    bad = [n for n, value in zip(joints.names, q) if not np.isfinite(value)]
    if bad:
        raise PerceptionError(f"{joints.topic}: {what} of {bad} are not finite, expected {unit}")
    return q
