"""Messages to arrays, as the contract says. Takes rclpy's messages and a bag reader's alike."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import numpy as np

from wm_planner.configurator.contract import Camera, Contract, Interface, Joints
from wm_planner.perception.image import PerceptionError, decode_compressed, decode_raw, to_frame
from wm_planner.perception.joints import order_joints

_OVER = 1e-3  # of a limit, beyond it: rounding


def decode_frame(message: Any, camera: Camera, source: str | None = None) -> np.ndarray:
    """One camera's Image or CompressedImage to a frame with its margin, (S, S, 3) uint8 RGB; see `to_frame`.

    Raises:
        PerceptionError: encoding or size differ from the contract's; names `source` (default: the topic).
    """
    source = source or camera.topic
    if hasattr(message, "format"):  # a CompressedImage
        return to_frame(decode_compressed(message.data, source), camera, source)
    if message.encoding != camera.encoding:
        raise PerceptionError(
            f"{source}: encoding is {message.encoding!r}, expected {camera.encoding!r}; "
            "set the camera driver's encoding, or change the contract"
        )
    m = message
    return to_frame(decode_raw(m.data, m.height, m.width, m.step, m.encoding, source), camera, source)


def decode_joints(message: Any, joints: Joints) -> np.ndarray:
    """A JointState to (J,) radians, or rad/s, in the contract's order.

    Raises:
        PerceptionError: joints are missing or not finite.
    """
    return order_joints(message.name, getattr(message, joints.field), joints)


def decode_actions(message: Any, contract: Contract, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The normalised actions that a command asks for, each until the next.

    Args:
        q: (J,) joint positions when it was sent, radians: where a trajectory begins.

    Returns:
        When they begin, (N,) s after its stamp, the first at 0; and what they are, (N, A) in [-1, 1]. Of a trajectory
        one on the way to each point, as the planner takes those it sends, and rest after the last; of others one.

    Raises:
        PerceptionError: another frame, other joints, values that are not finite or beyond the contract's limits, or
            points that are not due one after another.
    """
    action, topic = contract.action, contract.action.topic
    after, values = _commands(message, contract, q)
    if values.shape[1:] != (contract.action_dim,):
        raise PerceptionError(
            f"{topic}: {values.shape[1]} values, expected {contract.action_dim} ({list(action.names)})"
        )
    if not np.isfinite(values).all():
        bad = values[~np.isfinite(values).all(1)][0]
        raise PerceptionError(f"{topic}: a command of {bad.tolist()} is not finite")
    for name, column, unit, limit in zip(action.names, values.T, action.unit, action.limit):
        value = column[np.abs(column).argmax()]
        if abs(value) > (1.0 + _OVER) * limit:
            raise PerceptionError(
                f"{topic}: {name} is {value:.3g} {unit}, expected at most {limit:g}; "
                "drive more slowly, or raise action.limit in the contract"
            )
    return after, contract.normalised(values).clip(-1.0, 1.0)


def _commands(message: Any, contract: Contract, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """When they begin, (N,) s after the stamp, and what they are in the contract's units and order, (N, A)."""
    action = contract.action
    if action.interface is Interface.TWIST:
        if message.header.frame_id != action.frame_id:
            raise PerceptionError(
                f"{action.topic}: frame_id is {message.header.frame_id!r}, expected {action.frame_id!r}"
            )
        return np.zeros(1), np.array([[attrgetter(name)(message.twist) for name in action.names]])
    if action.interface is Interface.JOINT_VELOCITY:
        return np.zeros(1), np.asarray(message.data, np.float64)[None]
    if not message.points:
        raise PerceptionError(f"{action.topic}: the trajectory has no points, expected at least one")
    start = dict(zip(contract.joints.names, q))
    times, path = [0.0], [[start[name] for name in action.names]]
    for number, point in enumerate(message.points, start=1):
        places = dict(zip(message.joint_names, point.positions))
        if missing := [name for name in action.names if name not in places]:
            raise PerceptionError(
                f"{action.topic}: joints {missing} are missing, expected {list(action.names)}, found {list(places)}"
            )
        due = point.time_from_start.sec + 1e-9 * point.time_from_start.nanosec
        if due <= times[-1]:
            raise PerceptionError(
                f"{action.topic}: point {number} is due after {due:g} s, expected later than {times[-1]:g}"
            )
        times.append(due)
        path.append([places[name] for name in action.names])
    velocities = np.diff(path, axis=0) / np.diff(times)[:, None]
    return np.array(times), np.concatenate([velocities, np.zeros((1, contract.action_dim))])
