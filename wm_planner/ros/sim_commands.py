"""Command messages as the simulated controllers understand them, with the checks real ones make."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import TwistStamped
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from wm_planner.configurator.contract import TWIST_AXES, Action, Joints
from wm_planner.ros.messages import seconds


class CommandError(ValueError):
    """A command a controller must refuse; the text says what was found and what was expected."""


def twist_command(message: TwistStamped, action: Action) -> np.ndarray:
    """The contract's components of a twist, shape (A,), m/s and rad/s.

    Raises:
        CommandError: another frame, a value that is not finite, or motion the contract does not command.
    """
    if message.header.frame_id != action.frame_id:
        raise CommandError(f"twist in frame {message.header.frame_id!r}, expected {action.frame_id!r}")
    parts = {"linear": message.twist.linear, "angular": message.twist.angular}
    values = {axis: getattr(parts[axis[:-2]], axis[-1]) for axis in TWIST_AXES}
    _finite("twist", values)
    extra = {axis: value for axis, value in values.items() if value and axis not in action.names}
    if extra:
        raise CommandError(f"twist moves {extra}, expected only {list(action.names)}")
    return np.array([values[name] for name in action.names])


def velocity_command(message: Float64MultiArray, action: Action) -> np.ndarray:
    """Joint velocities in the contract's order, shape (A,), rad/s.

    Raises:
        CommandError: a wrong number of values, or a value that is not finite.
    """
    if len(message.data) != len(action.names):
        raise CommandError(f"{len(message.data)} values, expected {len(action.names)}: {list(action.names)}")
    _finite("velocities", dict(zip(action.names, message.data)))
    return np.array(message.data, np.float64)


def trajectory_points(message: JointTrajectory, joints: Joints, now: float) -> list[tuple[float, np.ndarray]]:
    """Points of a trajectory as (time [s], positions (J,) [rad] in the contract's order).

    A zero stamp means: starts now.

    Raises:
        CommandError: names are missing, unknown or repeated; a point has another length or a value that
            is not finite; times do not increase; it ends in the past, or still moving.
    """
    names = list(message.joint_names)
    if sorted(names) != sorted(joints.names):
        missing = [n for n in joints.names if n not in names]
        raise CommandError(
            f"trajectory for joints {names}: {f'{missing} are missing' if missing else 'names repeat or are unknown'}, "
            f"expected each of {list(joints.names)} once, in any order"
        )
    if not message.points:
        raise CommandError("trajectory has no points, expected at least 1")
    start = seconds(message.header.stamp) or now
    order = [names.index(n) for n in joints.names]
    points: list[tuple[float, np.ndarray]] = []
    for i, point in enumerate(message.points):
        if len(point.positions) != len(names):
            raise CommandError(f"point {i} has {len(point.positions)} positions, expected {len(names)}")
        _finite(f"point {i}", dict(zip(names, point.positions)))
        time = start + seconds(point.time_from_start)
        if points and time <= points[-1][0]:
            raise CommandError(
                f"point {i}: time_from_start is {seconds(point.time_from_start)} s, "
                f"expected more than point {i - 1}'s {points[-1][0] - start} s"
            )
        points.append((time, np.array(point.positions)[order]))
    if points[-1][0] < now:
        raise CommandError(f"trajectory ends at {points[-1][0]:.3f} s, expected after now ({now:.3f} s)")
    if any(message.points[-1].velocities):
        raise CommandError(f"last point moves at {list(message.points[-1].velocities)}, expected velocities of 0")
    return points


def _finite(what: str, values: dict[str, float]) -> None:
    bad = {name: value for name, value in values.items() if not np.isfinite(value)}
    if bad:
        raise CommandError(f"{what}: {bad} not finite, expected numbers")
