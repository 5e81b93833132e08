"""Commands as messages: what each controller takes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

from geometry_msgs.msg import TwistStamped
from std_msgs.msg import Float64MultiArray

from wm_planner.actor.limiter import Limiter, UnsafeCommand
from wm_planner.configurator.contract import Contract, parse_contract
from wm_planner.ros.commander import Commander
from wm_planner.ros.commands import Command, command_message, limited
from wm_planner.ros.messages import seconds

Q = np.array([0.1, -0.3, 0.2, -2.2, 0.3, 1.9, 0.5])


@pytest.fixture(scope="module")
def trajectory_contract(joint_contract: Contract) -> Contract:
    data = joint_contract.model_dump(mode="json")
    data["action"]["interface"] = "joint_trajectory"
    return parse_contract(data)


def test_a_twist_carries_frame_stamp_and_named_axes_only(push_contract: Contract) -> None:
    message = command_message(push_contract, np.array([[0.1, -0.2], [9.0, 9.0]]), Q, 12.25)
    assert isinstance(message, TwistStamped)
    assert message.header.frame_id == "panda_link0"
    assert seconds(message.header.stamp) == 12.25
    linear, angular = message.twist.linear, message.twist.angular
    assert (linear.x, linear.y, linear.z) == (0.1, -0.2, 0.0)
    assert (angular.x, angular.y, angular.z) == (0.0, 0.0, 0.0)


def test_a_rovers_twist_turns_about_z(rover_contract: Contract) -> None:
    message = command_message(rover_contract, np.array([[0.3, -1.5]]), np.zeros(2), 1.0)
    assert isinstance(message, TwistStamped)
    assert message.header.frame_id == "base_link"
    linear, angular = message.twist.linear, message.twist.angular
    assert (linear.x, linear.y, linear.z) == (0.3, 0.0, 0.0)
    assert (angular.x, angular.y, angular.z) == (0.0, 0.0, -1.5)


def test_joint_velocities_are_positional_and_only_the_first_command(joint_contract: Contract) -> None:
    message = command_message(joint_contract, np.arange(12.0).reshape(2, 6), Q, 1.0)
    assert isinstance(message, Float64MultiArray)
    assert list(message.data) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_trajectory_integrates_the_horizon_from_the_joints_now(
    trajectory_contract: Contract, rng: np.random.Generator
) -> None:
    commands = rng.uniform(-0.5, 0.5, (8, 6))
    message = command_message(trajectory_contract, commands, Q, 3.0)
    dt = trajectory_contract.dt
    assert list(message.joint_names) == list(trajectory_contract.action.names)
    times = [seconds(p.time_from_start) for p in message.points]
    assert times[0] > 0 and (np.diff(times) > 0).all()
    np.testing.assert_allclose(times, dt * np.arange(1, 9), atol=1e-9)
    positions = np.array([p.positions for p in message.points])
    np.testing.assert_allclose(positions, Q[:6] + dt * commands.cumsum(0))
    velocities = np.array([p.velocities for p in message.points])
    np.testing.assert_allclose(velocities[:-1], (commands[:-1] + commands[1:]) / 2)
    assert (velocities[-1] == 0).all(), "a controller rejects a trajectory that ends in motion"


def test_a_trajectory_stays_within_the_joint_limits(trajectory_contract: Contract) -> None:
    message = command_message(trajectory_contract, np.full((50, 6), 1.0), Q, 0.0)
    positions = np.array([p.positions for p in message.points])
    assert (positions <= np.array(trajectory_contract.joints.upper)[:6] + 1e-12).all()


def test_a_joint_beyond_its_limit_is_not_made_to_jump_back(trajectory_contract: Contract) -> None:
    """Somebody may have moved it there by hand."""
    sent: list = []
    beyond = Q.copy()
    beyond[0] = trajectory_contract.joints.upper[0] + 0.5
    commander = Commander(trajectory_contract, sent.append)
    commander.zero(beyond, 1.0)
    assert sent[0].points[0].positions[0] == pytest.approx(beyond[0])
    commander.send(np.tile([-1.0, 0, 0, 0, 0, 0], (8, 1)), beyond, 2.0, trajectory_contract.dt)
    positions = np.array([beyond[0], *(p.positions[0] for p in sent[1].points)])
    way_back = -np.diff(positions) / trajectory_contract.dt
    assert (way_back > 0.0).all() and (way_back <= trajectory_contract.action.limit[0] + 1e-9).all()


def test_limiting_a_sequence_respects_acceleration_between_its_steps(trajectory_contract: Contract) -> None:
    actions = np.tile([[1.0], [-1.0]], (3, 6))
    commands = limited(Limiter(trajectory_contract), trajectory_contract, actions, Q, np.zeros(6), 0.02)
    steps = np.diff(np.concatenate([np.zeros((1, 6)), commands]), axis=0)
    limit = np.array(trajectory_contract.action.acceleration)
    assert (np.abs(steps[0]) <= limit * 0.02 + 1e-12).all()
    assert (np.abs(steps[1:]) <= limit * trajectory_contract.dt + 1e-12).all()


def test_nothing_leaves_when_an_action_is_not_finite(push_contract: Contract) -> None:
    sent: list[Command] = []
    commander = Commander(push_contract, sent.append)
    with pytest.raises(UnsafeCommand, match="not finite"):
        commander.send(np.array([[np.nan, 0.0]]), Q, 1.0)
    assert not sent and not commander.drain()


def test_the_commander_remembers_what_left_not_what_was_planned(push_contract: Contract) -> None:
    sent: list = []
    commander = Commander(push_contract, sent.append)
    for time in (1.0, 1.01, 1.02):  # it gathers speed
        commander.send(np.array([[2.0, 0.5]]), Q, time)
    commander.send(np.array([[2.0, 0.5]]), Q, 2.0)  # and has it
    commander.zero(Q, 3.0)
    times, actions = zip(*commander.drain())
    assert times == (1.0, 1.01, 1.02, 2.0, 3.0)
    left = [[m.twist.linear.x, m.twist.linear.y] for m in sent]
    np.testing.assert_allclose(actions, np.array(left) / push_contract.action.limit)
    assert 0.0 < actions[0][0] < actions[1][0] < actions[2][0] < 0.5
    np.testing.assert_allclose(actions[3:], [[1.0, 0.5], [0.0, 0.0]])
    assert commander.drain() == []


def test_at_a_wall_the_commander_remembers_that_nothing_moved(push_contract: Contract) -> None:
    assert push_contract.workspace is not None
    at_the_wall = push_contract.workspace.model_copy(update={"upper": (-1.0, 1.0, 1.0)})
    commander = Commander(push_contract.model_copy(update={"workspace": at_the_wall}), lambda _: None)
    commander.send(np.array([[1.0, 0.0]]), Q, 1.0, push_contract.dt)
    ((_, action),) = commander.drain()
    assert action[0] <= 0.0


def test_of_a_trajectory_the_commander_remembers_the_step_that_acts(trajectory_contract: Contract) -> None:
    commander, dt = Commander(trajectory_contract, lambda _: None), trajectory_contract.dt
    planned = np.linspace(0.0, 0.2, 4)[:, None] * np.ones(6)
    commander.go_on(9.9)
    commander.send(planned, Q, 10.0, dt)
    for time in (10.0 + 0.5 * dt, 10.0 + 2.5 * dt, 10.0 + 4.5 * dt):
        commander.go_on(time)
    times, actions = zip(*commander.drain())
    np.testing.assert_allclose(times, [10.0, 10.0 + 0.5 * dt, 10.0 + 2.5 * dt, 10.0 + 4.5 * dt])
    np.testing.assert_allclose(actions, [planned[0], planned[0], planned[2], np.zeros(6)], atol=1e-9)


def test_a_new_trajectory_gathers_speed_from_the_step_that_acts(trajectory_contract: Contract) -> None:
    sent: list = []
    dt = trajectory_contract.dt
    slow = trajectory_contract.action.model_copy(update={"acceleration": (1.0,) * 6})
    commander = Commander(trajectory_contract.model_copy(update={"action": slow}), sent.append)
    commander.send(np.full((8, 6), 0.8), Q, 10.0, dt)
    commander.send(np.full((8, 6), 0.8), Q, 10.0 + 4.5 * dt, dt)
    (_, first), (_, second) = commander.drain()
    np.testing.assert_allclose(first, 0.1)
    np.testing.assert_allclose(second, 0.6)  # the fifth step of the first went by 0.5


def test_when_time_goes_back_the_robot_is_taken_to_stand_still_where_it_is_now(
    push_contract: Contract, trajectory_contract: Contract
) -> None:
    sent: list = []
    commander = Commander(push_contract, sent.append)
    for time in (0.0, 5.0, 0.0):
        for step in range(3):
            commander.send(np.array([[1.0, 1.0]]), Q, time + 0.1 * step, 0.001)
    first, second, again = sent[:3], sent[3:6], sent[6:]
    assert second[0].twist.linear.x > first[2].twist.linear.x > first[0].twist.linear.x, "it gathers speed"
    assert [m.twist for m in again] == [m.twist for m in first]

    sent.clear()
    commander = Commander(trajectory_contract, sent.append)
    commander.send(np.full((8, 6), 0.5), Q, 10.0, trajectory_contract.dt)
    commander.zero(Q - 0.1, 0.0)
    np.testing.assert_allclose(sent[1].points[0].positions, (Q - 0.1)[:6], atol=1e-12)


def test_what_is_sent_again_is_the_same_message(push_contract: Contract) -> None:
    sent: list = []
    commander = Commander(push_contract, sent.append)
    commander.send_again()
    assert not sent
    commander.send(np.array([[1.0, 1.0]]), Q, 1.0, 0.001)
    commander.send_again()
    assert len(sent) == 2 and sent[1] == sent[0]
    assert len(commander.drain()) == 1


def test_a_stopped_trajectory_holds_where_it_is_by_then(trajectory_contract: Contract) -> None:
    sent: list = []
    commander = Commander(trajectory_contract, sent.append)
    commander.zero(None, 0.0)
    assert not sent, "where to hold is not known before anything was sent"
    commander.send(np.full((8, 6), 0.5), Q, 10.0, trajectory_contract.dt)
    first, second = (np.array(p.positions) for p in sent[0].points[:2])
    commander.zero(None, 10.15)
    (hold,) = sent[1].points
    np.testing.assert_allclose(hold.positions, (first + second) / 2)
    assert list(hold.velocities) == [0.0] * 6
    commander.zero(None, 10.9)
    np.testing.assert_allclose(sent[2].points[0].positions, hold.positions)
