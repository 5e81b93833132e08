"""Robots that are not commanded by twists."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

from wm_planner.configurator.contract import Contract, parse_contract

from ..conftest import Peer
from .conftest import Scene, speed


def test_joint_velocity_and_trajectory_interfaces(
    moving: Callable[..., Scene], peer: Peer, joint_contract: Contract
) -> None:
    scene = moving(joint_contract)
    assert len(scene.commands[-1].data) == 6
    scene.sensors.send_joints = False
    scene.wait_for_status("stopped", "no joint state on /joint_states for ")
    scene.assert_zero_commands_flow()


def test_trajectories_hold_when_joint_states_die(moving: Callable[..., Scene], joint_contract: Contract) -> None:
    data = joint_contract.model_dump(mode="json")
    data["action"]["interface"] = "joint_trajectory"
    scene = moving(parse_contract(data), sensor_timeout=1.0)
    message = next(m for m in scene.commands if speed(m) > 0)
    assert list(message.joint_names) == list(scene.contract.action.names)
    assert len(message.points) == scene.contract.action_chunk and list(message.points[-1].velocities) == [0.0] * 6
    scene.sensors.send_joints = False
    scene.wait_for_status("stopped", "no joint state on /joint_states for ")
    scene.assert_zero_commands_flow()
    assert scene.commands[-1].points[0].positions == scene.commands[-2].points[0].positions
