"""What the simulated controllers refuse, and what they make of the rest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from geometry_msgs.msg import TwistStamped
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from wm_planner.configurator.contract import Contract
from wm_planner.ros.messages import stamp
from wm_planner.ros.sim_commands import CommandError, trajectory_points, twist_command, velocity_command


def twist(x: float = 0.0, y: float = 0.0, z: float = 0.0, frame: str = "panda_link0") -> TwistStamped:
    message = TwistStamped()
    message.header.frame_id = frame
    message.twist.linear.x, message.twist.linear.y, message.twist.linear.z = x, y, z
    return message


def test_a_twist_becomes_the_contracts_action(push_contract: Contract) -> None:
    assert twist_command(twist(0.1, -0.2), push_contract.action).tolist() == [0.1, -0.2]


def test_a_rover_is_turned_about_z_only(rover_contract: Contract) -> None:
    message = twist(0.2, frame="base_link")
    message.twist.angular.z = -1.5
    assert twist_command(message, rover_contract.action).tolist() == [0.2, -1.5]
    message.twist.angular.x = 0.1
    with pytest.raises(CommandError, match=r"moves \{'angular.x': 0.1\}, expected only \['linear.x', 'angular.z'\]"):
        twist_command(message, rover_contract.action)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (twist(0.1, frame=""), r"frame '', expected 'panda_link0'"),
        (twist(float("nan")), r"'linear.x': nan\} not finite"),
        (twist(0.1, z=0.05), r"moves \{'linear.z': 0.05\}, expected only \['linear.x', 'linear.y'\]"),
    ],
)
def test_a_bad_twist_is_refused(push_contract: Contract, message: TwistStamped, text: str) -> None:
    with pytest.raises(CommandError, match=text):
        twist_command(message, push_contract.action)


def test_joint_velocities_are_positional(joint_contract: Contract) -> None:
    values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert velocity_command(Float64MultiArray(data=values), joint_contract.action).tolist() == values


@pytest.mark.parametrize(
    ("values", "text"), [([0.1] * 7, "7 values, expected 6"), ([], "0 values"), ([float("inf")] * 6, "not finite")]
)
def test_bad_joint_velocities_are_refused(joint_contract: Contract, values: list[float], text: str) -> None:
    with pytest.raises(CommandError, match=text):
        velocity_command(Float64MultiArray(data=values), joint_contract.action)


def trajectory(contract: Contract, times: tuple[float, ...] = (1.0, 2.0)) -> JointTrajectory:
    """Joint j goes to j at the first point, j + 1 at the second, ..."""
    message = JointTrajectory(joint_names=list(contract.joints.names))
    for i, time in enumerate(times):
        point = JointTrajectoryPoint(positions=[float(j + i) for j in range(7)])
        point.time_from_start.sec, point.time_from_start.nanosec = stamp(time).sec, stamp(time).nanosec
        message.points.append(point)
    return message


def test_a_trajectory_is_reordered_and_starts_now(push_contract: Contract) -> None:
    message = trajectory(push_contract)
    message.joint_names = message.joint_names[::-1]
    (first, q), (second, _) = trajectory_points(message, push_contract.joints, now=5.0)
    assert (first, second) == (6.0, 7.0)
    assert q.tolist() == [6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]


def test_a_trajectory_starts_at_its_stamp(push_contract: Contract) -> None:
    message = trajectory(push_contract)
    message.header.stamp = stamp(4.5)
    assert [time for time, _ in trajectory_points(message, push_contract.joints, now=5.0)] == [5.5, 6.5]


def _rename(message: JointTrajectory) -> None:
    message.joint_names[2] = "elbow"


def _repeat(message: JointTrajectory) -> None:
    message.joint_names = [*message.joint_names, message.joint_names[0]]


def _shorten(message: JointTrajectory) -> None:
    message.points[1].positions = [0.0] * 6


def _stall(message: JointTrajectory) -> None:
    message.points[1].time_from_start = message.points[0].time_from_start


def _empty(message: JointTrajectory) -> None:
    message.points = []


def _spoil(message: JointTrajectory) -> None:
    message.points[0].positions[3] = float("nan")


def _age(message: JointTrajectory) -> None:
    message.header.stamp = stamp(1.0)


def _run_on(message: JointTrajectory) -> None:
    message.points[-1].velocities = [0.1] * 7


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (_rename, r"\['panda_joint3'\] are missing"),
        (_repeat, "names repeat or are unknown"),
        (_shorten, "point 1 has 6 positions, expected 7"),
        (_stall, "point 1: time_from_start is 1.0 s, expected more than point 0's 1.0 s"),
        (_empty, "no points"),
        (_spoil, r"point 0: \{'panda_joint4': nan\} not finite"),
        (_age, r"ends at 3.000 s, expected after now \(5.000 s\)"),
        (_run_on, "last point moves at .*expected velocities of 0"),
    ],
)
def test_a_malformed_trajectory_is_refused(
    push_contract: Contract, damage: Callable[[JointTrajectory], None], text: str
) -> None:
    message = trajectory(push_contract)
    damage(message)
    with pytest.raises(CommandError, match=text):
        trajectory_points(message, push_contract.joints, now=5.0)


def test_positions_may_be_any_finite_number(push_contract: Contract) -> None:
    """Limits are the servo's business: it clips, as the arm's own controller does."""
    message = trajectory(push_contract, times=(0.5,))
    message.points[0].positions = [100.0] * 7
    assert np.array_equal(trajectory_points(message, push_contract.joints, now=0.0)[0][1], [100.0] * 7)
