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


def decode_action(message: Any, contract: Contract, q: np.ndarray) -> np.ndarray:
    """The normalised action, (A,) in [-1, 1], that a command asks for.

    Args:
        q: (J,) joint positions when it was sent, radians: where a trajectory begins.

    Raises:
        PerceptionError: another frame, other joints, values that are not finite or beyond the contract's limits.
    """
    action, topic = contract.action, contract.action.topic
    values = _command(message, contract, q)
    if values.shape != (contract.action_dim,):
        raise PerceptionError(f"{topic}: {values.size} values, expected {contract.action_dim} ({list(action.names)})")
    if not np.isfinite(values).all():
        raise PerceptionError(f"{topic}: a command of {values.tolist()} is not finite")
    normalised = contract.normalised(values)
    for name, value, unit, limit, share in zip(action.names, values, action.unit, action.limit, normalised):
        if abs(share) > 1.0 + _OVER:
            raise PerceptionError(
                f"{topic}: {name} is {value:.3g} {unit}, expected at most {limit:g}; "
                "drive more slowly, or raise action.limit in the contract"
            )
    return normalised.clip(-1.0, 1.0)


def _command(message: Any, contract: Contract, q: np.ndarray) -> np.ndarray:
    """In the contract's units and order, (A,)."""
    action = contract.action
    if action.interface is Interface.TWIST:
        if message.header.frame_id != action.frame_id:
            raise PerceptionError(
                f"{action.topic}: frame_id is {message.header.frame_id!r}, expected {action.frame_id!r}"
            )
        return np.array([attrgetter(name)(message.twist) for name in action.names])
    if action.interface is Interface.JOINT_VELOCITY:
        return np.asarray(message.data, np.float64)
    if not message.points:
        raise PerceptionError(f"{action.topic}: the trajectory has no points, expected at least one")
    point = message.points[0]
    places = dict(zip(message.joint_names, point.positions))
    if missing := [name for name in action.names if name not in places]:
        raise PerceptionError(
            f"{action.topic}: joints {missing} are missing, expected {list(action.names)}, found {list(places)}"
        )
    duration = point.time_from_start.sec + 1e-9 * point.time_from_start.nanosec
    if duration <= 0.0:
        raise PerceptionError(f"{action.topic}: the first point is due after {duration:g} s, expected later than 0")
    start = dict(zip(contract.joints.names, q))
    return np.array([(places[name] - start[name]) / duration for name in action.names])
