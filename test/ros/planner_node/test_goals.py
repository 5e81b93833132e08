"""Goals: where they come from, which are refused, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import Image, JointState
from std_srvs.srv import Trigger

from wm_planner.actor.agent import Agent
from wm_planner.configurator.contract import Contract, parse_contract
from wm_planner.ros.messages import image_message

from ..conftest import Peer, wait_for
from .conftest import Q, Scene


def test_goals_from_image_camera_and_joints(start: Callable[..., Scene], peer: Peer) -> None:
    scene = start()
    goal = image_message(scene.sensors.image[::-1], 0.0, "goal")
    peer.publish_matched("/planner/goal_image", goal)
    scene.wait_for_status("", "image goal: ")
    wait_for(lambda: scene.commands, "commands")
    scene.set_goal_from_camera()
    scene.wait_for_status("", "camera goal: ")
    names = scene.sensors.names[::-1]
    peer.publish_matched("/planner/goal_joint_state", JointState(name=names, position=[0.3, *Q[1:]][::-1]))
    scene.wait_for_status("planning", "joints goal: ")
    # One joint of seven is 0.3 rad away.
    wait_for(lambda: abs(float(scene.value("distance")) - 0.3 / 7**0.5) < 1e-3, "the distance in joint space")
    scene.wait_for_motion()


def test_goal_images_of_two_cameras(start: Callable[..., Scene], peer: Peer, push_contract: Contract) -> None:
    data = push_contract.model_dump(mode="json")
    data["name"] = "two_cameras"
    data["cameras"].append({**data["cameras"][0], "topic": "/wrist/image_raw"})
    scene = start(parse_contract(data))
    goal = image_message(scene.sensors.image, 0.0, "goal")
    for again in (False, True):
        peer.publish_matched("/planner/goal_image", goal)
        scene.settle()
        assert scene.value("goal") == "none", "half a goal is none"
        if not again:
            assert peer.call("/planner/cancel", Trigger).success, "half a goal is dropped, too"
            peer.publish_matched("/planner/goal_image_1", goal)
            scene.settle()
            assert scene.value("goal") == "none"
            assert peer.call("/planner/cancel", Trigger).success
    peer.publish_matched("/planner/goal_image_1", goal)
    scene.wait_for_status("", "image goal: ")
    wait_for(lambda: scene.commands, "commands")


def test_a_goal_that_could_not_be_encoded_is_tried_again(
    moving: Callable[..., Scene], peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody plans towards the goal before it meanwhile."""
    scene, set_goal, tries = moving(), Agent.set_goal, []

    def fails_at_first(agent: Agent, frame: np.ndarray) -> None:
        tries.append(frame)
        if len(tries) == 1:
            raise RuntimeError("out of memory")
        set_goal(agent, frame)

    monkeypatch.setattr(Agent, "set_goal", fails_at_first)
    peer.publish_matched("/planner/goal_image", image_message(scene.sensors.image[::-1], 0.0, "goal"))
    scene.wait_for_log("stopped: planning failed: RuntimeError: out of memory")
    scene.wait_for_log("input is back: going on")
    scene.wait_for_status("", "image goal: ")
    assert len(tries) == 2


@pytest.mark.parametrize("wrong", ["size", "encoding", "joint names", "joint limits"])
def test_a_goal_that_does_not_fit_leaves_the_old_one(moving: Callable[..., Scene], peer: Peer, wrong: str) -> None:
    scene = moving()
    message: Any = image_message(scene.sensors.image, 0.0, "goal")
    if wrong == "size":
        message = image_message(scene.sensors.image[:64, :64], 0.0, "goal")
        text = "goal rejected: goal_image: image is 64x64, expected 128x128"
    elif wrong == "encoding":
        message.encoding = "32FC1"
        text = "goal rejected: goal_image: encoding is '32FC1', expected 'rgb8'"
    elif wrong == "joint names":
        message = JointState(name=["elbow"], position=[1.0])
        text = "goal rejected: goal_joint_state: joints ['panda_joint1', "
    else:
        message = JointState(name=scene.sensors.names, position=[9.0, *Q[1:]])
        text = "goal rejected: goal_joint_state: panda_joint1 is 9.000, expected within [-2.8973, 2.8973]"
    kind = "goal_image" if isinstance(message, Image) else "goal_joint_state"
    peer.publish_matched(f"/planner/{kind}", message)
    status = scene.wait_for_status("", text)
    assert status.level == DiagnosticStatus.WARN
    assert scene.value("goal") == "joints"
    scene.wait_for_motion()


def test_cancel_drops_the_goal_and_stops(moving: Callable[..., Scene], peer: Peer) -> None:
    scene = moving()
    answer = peer.call("/planner/cancel", Trigger)
    assert answer.success and answer.message == "goal dropped, zero command sent"
    scene.assert_last_command_is_zero()
    scene.wait_for_status("idle", "no goal")
    assert scene.value("goal") == "none"
