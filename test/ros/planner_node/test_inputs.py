"""Sensors that differ from the contract: what does no harm, and what stops the robot."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from wm_planner.ros import qos

from ..conftest import Peer, wait_for
from .conftest import Q, Scene, Sensors


def _smaller(sensors: Sensors) -> None:
    sensors.image = sensors.image[:64, :64]


def _grey(sensors: Sensors) -> None:
    sensors.encoding = "mono8"


def _renamed(sensors: Sensors) -> None:
    sensors.names = [name.replace("panda", "fr3") for name in sensors.names]


def _shortened(sensors: Sensors) -> None:
    sensors.names, sensors.positions = sensors.names[:-1], sensors.positions[:-1]


def _nan(sensors: Sensors) -> None:
    sensors.positions = [*Q[:2], float("nan"), *Q[3:]]


def _late_image(sensors: Sensors) -> None:
    sensors.image_delay = sensors.joint_delay = 7.0


def _frozen(sensors: Sensors) -> None:
    sensors.positions = [0.2, *Q[1:]]


def _other_clock(sensors: Sensors) -> None:
    sensors.joint_delay = 3.0


def _no_images(sensors: Sensors) -> None:
    sensors.send_images = False


def _no_joints(sensors: Sensors) -> None:
    sensors.send_joints = False


FAULTS = {
    "image size": (_smaller, "/camera/image_raw: image is 64x64, expected 128x128"),
    "encoding": (_grey, "/camera/image_raw: encoding is 'mono8', expected 'rgb8'"),
    "joint names": (_renamed, "no joint state on /joint_states for "),
    "missing joint": (_shortened, "/joint_states: joints ['panda_joint7'] are missing"),
    "NaN joint": (_nan, "/joint_states: positions of ['panda_joint3'] are not finite, expected radians"),
    "old stamps": (_late_image, "older than the node's clock, expected within 5 s"),
    "frozen camera": (_frozen, "/camera/image_raw: the picture has not changed in "),
    "other clock": (_other_clock, "stamps of /joint_states are "),
    "camera dies": (_no_images, "no image on /camera/image_raw for "),
    "joints die": (_no_joints, "no joint state on /joint_states for "),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_stops_the_robot_until_it_is_gone(moving: Callable[..., Scene], fault: str) -> None:
    break_, text = FAULTS[fault]
    dies = break_ in (_no_images, _no_joints, _other_clock, _renamed)
    scene = moving(**({"sensor_timeout": 0.5} if dies else {}))
    healthy = dict(vars(scene.sensors))
    break_(scene.sensors)
    status = scene.wait_for_status("stopped", text)
    assert status.level == DiagnosticStatus.ERROR
    scene.assert_zero_commands_flow()
    scene.wait_for_log(f"stopped: {text}" if text.startswith("/") or text.startswith("no ") else text)
    assert scene.value("goal") == "joints"
    for name, value in healthy.items():
        setattr(scene.sensors, name, value)
    scene.wait_for_log("input is back: going on")
    scene.wait_for_motion()


def test_joints_in_another_order_and_more_of_them_just_work(moving: Callable[..., Scene]) -> None:
    def prepare(sensors: Sensors) -> None:
        sensors.names = ["finger", *reversed(sensors.names)]
        sensors.positions = [0.02, *reversed(Q)]

    scene = moving(prepare=prepare)
    # The status comes less often than commands: one from before the first image may still be the newest.
    wait_for(lambda: scene.value("state") in ("planning", "reached"), "a status that says it plans")


def test_a_gripper_on_the_same_topic_changes_nothing(moving: Callable[..., Scene], peer: Peer) -> None:
    scene = moving()
    for _ in range(20):
        message = JointState(name=["finger"], position=[0.02])
        message.header.stamp = peer.node.get_clock().now().to_msg()
        peer.publish("/joint_states", message, qos.STATE)
    scene.settle()
    assert not any(status.level == DiagnosticStatus.ERROR for status in scene.statuses[-3:])
    scene.wait_for_motion()


def test_compressed_images(moving: Callable[..., Scene]) -> None:
    def prepare(sensors: Sensors) -> None:
        sensors.compressed = True

    moving(compressed=True, prepare=prepare)


def test_nothing_is_commanded_without_a_goal_and_missing_sensors_are_named(start: Callable[..., Scene]) -> None:
    scene = start(sensors=False)
    status = scene.wait_for_status("idle", "no image on /camera/image_raw yet")
    assert status.level == DiagnosticStatus.WARN
    answer = scene.peer.call("/planner/set_goal_from_camera", Trigger)
    assert not answer.success
    assert "goal rejected: no image on /camera/image_raw yet" in answer.message
    scene.wait_for_status("idle", "goal rejected")
    scene.settle()
    assert not scene.commands
