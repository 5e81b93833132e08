"""Commands back to actions: the inverse of what the planner sends."""

from __future__ import annotations

from types import SimpleNamespace as Message
from typing import Any

import numpy as np
import pytest

from wm_planner.configurator.contract import Contract, parse_contract
from wm_planner.perception.image import PerceptionError
from wm_planner.perception.messages import decode_actions

Q = np.array([0.1, -0.2, 0.3, -1.8, 0.0, 1.7, 0.8])


def _twist(x: float, y: float, frame: str = "panda_link0") -> Any:
    linear = Message(x=x, y=y, z=0.0)
    return Message(header=Message(frame_id=frame), twist=Message(linear=linear, angular=Message(x=0.0, y=0.0, z=0.0)))


def _trajectory(names: list[str], *points: tuple[float, list[float]]) -> Any:
    """Points: when they are due, s, and the positions there."""
    due = [Message(sec=0, nanosec=round(after * 1e9)) for after, _ in points]
    places = [Message(positions=where, time_from_start=time) for (_, where), time in zip(points, due)]
    return Message(joint_names=names, points=places)


@pytest.fixture(scope="module")
def trajectory_contract(joint_contract: Contract) -> Contract:
    data = joint_contract.model_dump(mode="json")
    data["action"] |= {"interface": "joint_trajectory", "topic": "/arm/joint_trajectory"}
    return parse_contract(data)


def test_a_twist(push_contract: Contract) -> None:
    limit = np.array(push_contract.action.limit)
    after, actions = decode_actions(_twist(0.5 * limit[0], -limit[1]), push_contract, Q)
    np.testing.assert_allclose(after, [0.0])
    np.testing.assert_allclose(actions, [[0.5, -1.0]])


def test_joint_velocities(joint_contract: Contract) -> None:
    after, actions = decode_actions(Message(data=[0.1, 0.2, 0.3, -0.4, 0.5, -1.0]), joint_contract, Q)
    np.testing.assert_allclose(after, [0.0])
    np.testing.assert_allclose(actions, [[0.1, 0.2, 0.3, -0.4, 0.5, -1.0]])


def test_a_trajectory_in_any_order(trajectory_contract: Contract) -> None:
    names = list(trajectory_contract.action.names)
    speeds = np.array([[0.1, 0.2, 0.3, -0.4, 0.5, -1.0], [-0.3] * 6])
    first = Q[:6] + 0.1 * speeds[0]
    second = first + 0.2 * speeds[1]
    there = _trajectory(names, (0.1, [*first]), (0.3, [*second]))
    back = _trajectory(names[::-1], (0.1, [*first[::-1]]), (0.3, [*second[::-1]]))
    for message in (there, back):
        after, actions = decode_actions(message, trajectory_contract, Q)
        np.testing.assert_allclose(after, [0.0, 0.1, 0.3])
        np.testing.assert_allclose(actions, [*speeds, [0.0] * 6], atol=1e-12)


def test_a_trajectory_is_taken_as_the_planner_takes_those_it_sends(trajectory_contract: Contract) -> None:
    pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")
    from wm_planner.ros.commander import Commander

    sent: list[Any] = []
    commander, dt = Commander(trajectory_contract, sent.append), trajectory_contract.dt
    commander.send(np.linspace(0.0, 0.2, 4)[:, None] * np.ones(6), Q, 10.0, dt)
    after, actions = decode_actions(sent[0], trajectory_contract, Q)
    for time in 10.0 + after + dt / 2:
        commander.go_on(time)
    remembered = [action for _, action in commander.drain()[1:]]
    np.testing.assert_allclose(actions, remembered, atol=1e-6)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (_twist(0.0, 0.0, "tool"), "frame_id is 'tool', expected 'panda_link0'"),
        (_twist(9.0, 0.0), r"linear.x is 9 m/s, expected at most .*raise action.limit in the contract"),
        (_twist(np.nan, 0.0), "not finite"),
    ],
)
def test_twists_that_are_refused(push_contract: Contract, message: Any, said: str) -> None:
    with pytest.raises(PerceptionError, match=f"^{push_contract.action.topic}: .*{said}"):
        decode_actions(message, push_contract, Q)


def test_other_commands_that_are_refused(joint_contract: Contract, trajectory_contract: Contract) -> None:
    names = list(trajectory_contract.action.names)
    with pytest.raises(PerceptionError, match="2 values, expected 6"):
        decode_actions(Message(data=[0.1, 0.2]), joint_contract, Q)
    with pytest.raises(PerceptionError, match="no points"):
        decode_actions(_trajectory(names), trajectory_contract, Q)
    with pytest.raises(PerceptionError, match=rf"joints \['{names[5]}'\] are missing"):
        decode_actions(_trajectory(names[:5], (0.1, [0.0] * 5)), trajectory_contract, Q)
    with pytest.raises(PerceptionError, match="point 1 is due after 0 s, expected later than 0"):
        decode_actions(_trajectory(names, (0.0, [*Q[:6]])), trajectory_contract, Q)
    with pytest.raises(PerceptionError, match=r"point 2 is due after 0\.1 s, expected later than 0\.1"):
        decode_actions(_trajectory(names, (0.1, [*Q[:6]]), (0.1, [*Q[:6]])), trajectory_contract, Q)
    too_fast = [*(Q[:6] + 0.2 * np.eye(6)[2])]
    with pytest.raises(PerceptionError, match=f"{names[2]} is 2 rad/s, expected at most 1"):
        decode_actions(_trajectory(names, (0.1, [*Q[:6]]), (0.2, too_fast)), trajectory_contract, Q)
