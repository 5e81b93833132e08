"""The simulated robot and the planner, each in its process, with the shipped model: one dies, or time goes back.

Times are simulated seconds, so that a busy machine changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

from diagnostic_msgs.msg import DiagnosticStatus

from wm_planner.ros.messages import seconds

from ..conftest import wait_for
from .conftest import Robot, position, speed

COMMAND_TIMEOUT = 0.3  # the simulated robot's, s
SLOWING_DOWN = 0.5  # s the joints may take to come to rest


def test_the_robot_comes_to_rest_when_the_planner_is_killed(robot: Callable[..., Robot]) -> None:
    it = robot()
    it.start("sim", "planner", sim={"command_timeout": COMMAND_TIMEOUT})
    it.set_goal()
    it.wait_for_approach(0.8 * it.distance_at_start)
    wait_for(lambda: speed(it.commands[-1]) > 0.2, "a fast command")  # a busy machine makes it pause and start slowly
    it.kill("planner")
    it.wait_for_time(seconds(it.joints[-1].header.stamp) + COMMAND_TIMEOUT + SLOWING_DOWN + 1.0)
    last = it.commands[-1]
    killed = seconds(last.header.stamp)
    assert speed(last) > 0.1, "it was killed too late: the robot had slowed down"
    assert it.fastest(killed - 0.1, killed + 0.1) > 0.2
    rest = killed + COMMAND_TIMEOUT + SLOWING_DOWN
    assert it.fastest(rest, np.inf) < 0.05  # the elbow still settles where the tool stands
    stood = [m for m in it.tools if seconds(m.header.stamp) >= rest]
    np.testing.assert_allclose(position(stood[-1]), position(stood[0]), atol=0.005)
    assert it.distance() > 0.05, "it has stopped on its way"


def test_a_simulation_that_is_reset_is_planned_for_anew(robot: Callable[..., Robot]) -> None:
    it = robot()
    it.start("sim", "planner")
    it.set_goal()
    it.wait_for_approach(0.5 * it.distance_at_start)
    before = seconds(it.commands[-1].header.stamp)
    count = len(it.commands)
    it.call("sim/reset")
    wait_for(lambda: seconds(it.commands[-1].header.stamp) < before, "commands in the new time")
    first = next(m for m in it.commands[count:] if seconds(m.header.stamp) < before)
    assert speed(first) == 0, "the old plan must not be executed in the new time"
    wait_for(lambda: "the clock went back to" in it.log("planner"), lambda: it.log("planner"))
    it.wait_for_approach(0.25 * it.distance_at_start)
    assert it.wait_for_status("", "image goal").level == DiagnosticStatus.OK


def test_the_planner_stops_when_the_simulator_is_killed_and_goes_on_with_the_next(robot: Callable[..., Robot]) -> None:
    it = robot()
    it.start("sim", "planner")
    it.set_goal()
    it.wait_for_approach(0.8 * it.distance_at_start)
    it.kill("sim")
    status = it.wait_for_status("stopped", "/clock has stood still for ")
    assert status.level == DiagnosticStatus.ERROR
    wait_for(lambda: speed(it.commands[-1]) == 0, "a zero command")
    count = len(it.statuses)
    wait_for(lambda: len(it.statuses) >= count + 3, "more statuses")
    assert speed(it.commands[-1]) == 0 and it.state() == "stopped"
    it.start("sim")
    it.wait_for_approach(0.25 * it.distance_at_start)


def test_in_lockstep_the_same_goal_gives_the_same_motion(robot: Callable[..., Robot]) -> None:
    it = robot()
    it.start("sim", "planner", sim={"lockstep": True}, planner={"lockstep": True})
    runs = []
    for _ in range(2):
        # The simulator repeats the start scene until it is answered.
        wait_for(lambda: it.joints and seconds(it.joints[-1].header.stamp) == 0.0, "the start scene")
        del it.joints[:]
        wait_for(lambda: it.joints, "the start scene again")
        it.set_goal()
        it.wait_for_time(2.0)
        it.call("planner/cancel")
        runs.append({seconds(m.header.stamp): list(m.position) for m in it.joints})
        it.call("sim/reset")
    times = [time for time in sorted(runs[0]) if time <= 2.0]
    assert len(times) == 121, "a joint state at 60 Hz"
    first, second = (np.array([run[time] for time in times]) for run in runs)
    np.testing.assert_allclose(second, first, rtol=0, atol=1e-9)
    assert np.abs(first[-1] - first[0]).max() > 0.1, "it moved"


def test_nodes_in_a_namespace_work_together(robot: Callable[..., Robot]) -> None:
    it = robot(namespace="left/arm")
    it.start("sim", "planner")
    assert it.statuses[-1].name == "/left/arm/planner"
    it.set_goal()
    it.wait_for_approach(0.25 * it.distance_at_start)
    it.call("planner/cancel")
    it.wait_for_status("idle")
