"""One command per image, stamped with it."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

from std_msgs.msg import Float64

from wm_planner.ros.messages import seconds

from ..conftest import Peer, wait_for
from .conftest import Q, Scene, Sensors, speed


def _by_hand(sensors: Sensors) -> None:
    sensors.close()
    sensors.sim_time = 10.0


def test_lockstep_gives_each_image_one_command_with_its_stamp(start: Callable[..., Scene], peer: Peer) -> None:
    scene = start(lockstep=True, use_sim_time=True, prepare=_by_hand)
    scene.sensors.publish()
    scene.set_goal()
    stamps = []
    for k in range(5):
        wait_for(lambda k=k: len(scene.commands) > k, f"command {k}")
        stamps.append(scene.sensors.sim_time)
        scene.settle()
        scene.sensors.publish()
    wait_for(lambda: len(scene.commands) == 6, "the last command")
    np.testing.assert_allclose([seconds(m.header.stamp) for m in scene.commands[:5]], stamps, atol=1e-6)
    assert any(map(speed, scene.commands))
    # The simulation is reset: time goes back, and the first image of the new run gets its command, too.
    scene.sensors.sim_time = 0.0

    def answered() -> bool:
        scene.sensors.publish()  # best effort: one of them may be lost
        time.sleep(0.2)
        return 0.0 < seconds(scene.commands[-1].header.stamp) < 10.0

    wait_for(answered, "a command after the reset")
    scene.wait_for_log("the clock went back")


def test_an_image_that_is_repeated_in_lockstep_gets_the_same_command_again(start: Callable[..., Scene]) -> None:
    scene = start(lockstep=True, use_sim_time=True, prepare=_by_hand)
    plans = scene.peer.record("/planner/goal_distance", Float64)
    scene.sensors.publish()
    scene.set_goal()
    wait_for(lambda: len(scene.commands) == 1 and len(plans) == 1, "a command and its plan")
    for k in range(2, 4):
        assert scene.sensors.sim_time is not None
        scene.sensors.sim_time -= 0.05
        scene.sensors.publish()
        wait_for(lambda k=k: len(scene.commands) == k, "an answer to the repeated image")
    scene.sensors.publish()
    wait_for(lambda: len(scene.commands) == 4 and len(plans) == 2, "a command for the next image")
    assert speed(scene.commands[0]) > 0
    assert scene.commands[1] == scene.commands[2] == scene.commands[0] != scene.commands[3]


def test_bad_input_in_lockstep_gets_a_zero_command_and_the_simulation_goes_on(
    start: Callable[..., Scene], peer: Peer
) -> None:
    scene = start(lockstep=True, use_sim_time=True, prepare=_by_hand)
    scene.sensors.publish()
    scene.set_goal()
    wait_for(lambda: len(scene.commands) == 1, "a command")
    scene.sensors.positions = [*Q[:2], float("nan"), *Q[3:]]
    scene.sensors.publish()
    scene.wait_for_status("stopped", "positions of ['panda_joint3'] are not finite")
    wait_for(lambda: len(scene.commands) == 2, "a zero command")
    assert speed(scene.commands[1]) == 0
    assert seconds(scene.commands[1].header.stamp) == pytest.approx(scene.sensors.sim_time)
    scene.sensors.positions = list(Q)
    scene.sensors.publish()
    wait_for(lambda: len(scene.commands) == 3, "a command for good input")
    scene.wait_for_status("", "joints goal: ")
