"""Commands of the contract as the messages the robot's controller takes."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from geometry_msgs.msg import TwistStamped
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from wm_planner.actor.limiter import Limiter
from wm_planner.configurator.contract import Contract, Interface
from wm_planner.ros.messages import stamp

Command: TypeAlias = TwistStamped | JointTrajectory | Float64MultiArray

MESSAGE: dict[Interface, type] = {
    Interface.TWIST: TwistStamped,
    Interface.JOINT_TRAJECTORY: JointTrajectory,
    Interface.JOINT_VELOCITY: Float64MultiArray,
}


def command_message(contract: Contract, commands: np.ndarray, q: np.ndarray, now: float) -> Command:
    """The message that carries commands out.

    Args:
        commands: (H, A) in the contract's units, `contract.dt` seconds each, the first one acting now. A
            trajectory holds all of them; the others the first.
        q: (J,) joint positions now, radians: where a trajectory begins.
        now: stamp, seconds.
    """
    commands = np.atleast_2d(np.asarray(commands, np.float64))
    interface = contract.action.interface
    if interface is Interface.TWIST:
        twist = TwistStamped()
        twist.header.stamp, twist.header.frame_id = stamp(now), contract.action.frame_id
        for name, value in zip(contract.action.names, commands[0]):
            part, axis = name.split(".")
            setattr(getattr(twist.twist, part), axis, float(value))
        return twist
    if interface is Interface.JOINT_VELOCITY:
        return Float64MultiArray(data=commands[0].tolist())
    return _trajectory(contract, commands, q, now)


def limited(
    limiter: Limiter, contract: Contract, actions: np.ndarray, q: np.ndarray, previous: np.ndarray, dt: float
) -> np.ndarray:
    """Limit a sequence of normalised actions, (H, A), each from where the one before leaves the joints.

    Args:
        previous: the command in effect, (A,), contract units; dt: seconds since it was given.

    Raises:
        UnsafeCommand: see Limiter.
    """
    commands = []
    q = np.array(q, np.float64)
    for action in actions:
        previous = limiter(action, q, previous, dt)
        commands.append(previous)
        dt = contract.dt
        if contract.action.interface is Interface.JOINT_TRAJECTORY:
            q[_indices(contract)] += previous * dt
    return np.stack(commands)


def _indices(contract: Contract) -> list[int]:
    return [contract.joints.names.index(name) for name in contract.action.names]


def _trajectory(contract: Contract, commands: np.ndarray, q: np.ndarray, now: float) -> JointTrajectory:
    """Positions integrated from q, velocities by central differences, at rest in the end.

    joint_trajectory_controller rejects a trajectory that ends in motion, and one that starts at time 0
    leaves it no time to get there: the first point is one step ahead.
    """
    index, dt = _indices(contract), contract.dt
    lower, upper = np.asarray(contract.joints.lower)[index], np.asarray(contract.joints.upper)[index]
    start = np.asarray(q, np.float64)[index]
    # A joint that is beyond its limits stays or comes back at the commanded speed; clipped, it would jump.
    positions = np.clip(start + np.cumsum(commands * dt, axis=0), np.minimum(lower, start), np.maximum(upper, start))
    path = np.concatenate([start[None], positions])
    velocities = np.zeros_like(positions)
    velocities[:-1] = (path[2:] - path[:-2]) / (2 * dt)
    message = JointTrajectory(joint_names=list(contract.action.names))
    message.header.stamp = stamp(now)
    for k, (position, velocity) in enumerate(zip(positions, velocities), start=1):
        point = JointTrajectoryPoint(positions=position.tolist(), velocities=velocity.tolist())
        time = stamp(k * dt)
        point.time_from_start.sec, point.time_from_start.nanosec = time.sec, time.nanosec
        message.points.append(point)
    return message
