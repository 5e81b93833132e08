"""A ROS clock that jumps back or stands still."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger

from wm_planner.ros import qos
from wm_planner.ros.messages import seconds, stamp

from ..conftest import Peer, wait_for
from .conftest import Scene, Sensors, speed


def _on_simulated_time(sensors: Sensors) -> None:
    sensors.sim_time = 50.0


def test_a_clock_that_jumps_back_starts_afresh_towards_the_same_goal(moving: Callable[..., Scene]) -> None:
    scene = moving(use_sim_time=True, prepare=_on_simulated_time)
    assert seconds(scene.commands[-1].header.stamp) > 50.0
    scene.sensors.sim_time = 1.0
    scene.wait_for_log("the clock went back to 1.")
    wait_for(lambda: seconds(scene.commands[-1].header.stamp) < 40.0, "commands in the new time")
    first = next(m for m in scene.commands if seconds(m.header.stamp) < 40.0)
    assert speed(first) == 0, "the old plan must not be executed in the new time"
    scene.wait_for_motion()
    assert scene.value("goal") == "joints"


def test_right_after_a_jump_there_is_no_picture_to_make_a_goal_of(moving: Callable[..., Scene], peer: Peer) -> None:
    scene = moving(use_sim_time=True, prepare=_on_simulated_time)
    scene.sensors.close()
    # Nodes subscribe to /clock as best effort: one message may be lost.
    scene.wait_for_log("the clock went back to 1.", lambda: peer.publish("/clock", Clock(clock=stamp(1.0)), qos.CLOCK))
    answer = peer.call("/planner/set_goal_from_camera", Trigger)
    assert not answer.success and "no image on /camera/image_raw since the clock went back" in answer.message
    scene.settle()
    assert scene.value("goal") == "joints"


def test_a_clock_that_has_not_begun_is_waited_for(start: Callable[..., Scene]) -> None:
    scene = start(use_sim_time=True, sensors=False, sensor_timeout=1.0)
    scene.set_goal()
    scene.wait_for_status("stopped", "/clock has not begun")
    scene.assert_last_command_is_zero()


def test_a_clock_that_stands_still_stops_the_robot(moving: Callable[..., Scene]) -> None:
    scene = moving(use_sim_time=True, prepare=_on_simulated_time, sensor_timeout=1.0)
    scene.sensors.close()
    scene.wait_for_status("stopped", "/clock has stood still for ")
    scene.assert_last_command_is_zero()
