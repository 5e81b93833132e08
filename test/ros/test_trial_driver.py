"""What the trial driver waits for: a simulator late or never there, a planner that does not see yet, a goal held."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PointStamped
from rclpy.node import Node
from std_srvs.srv import Trigger

from wm_planner.ros import qos, trial_driver
from wm_planner.ros.messages import stamp
from wm_planner.ros.status import State, status_message
from wm_planner.ros.trial_driver import TrialDriver
from wm_planner.sim.tasks import get_task

from .conftest import Spinner


class Sim(Node):
    """Only ~/reset of the simulator."""

    def __init__(self, context: Any) -> None:
        super().__init__("sim", context=context)
        self.create_service(Trigger, "~/reset", self._answer)

    def _answer(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = True, "at last"
        return response


class Blind(Node):
    """A planner that gets no images for half a second, and ground truth."""

    def __init__(self, context: Any) -> None:
        super().__init__("planner", context=context)
        self._status = self.create_publisher(DiagnosticStatus, "~/status", 10)
        self._truth = self.create_publisher(PointStamped, "sim/ground_truth/tool", qos.STATE)
        self.statuses = 0
        self.create_timer(0.05, self._tell)

    def _tell(self) -> None:
        self.statuses += 1
        self._truth.publish(PointStamped())
        self._status.publish(status_message("planner", State.IDLE, "no goal", self.statuses < 10, {}))


class Standing(Node):
    """Simulator and planner in one: the robot stands at its goal, seen `rate` times in a second of its time."""

    def __init__(self, context: Any, rate: int) -> None:
        super().__init__("sim", context=context)
        self.declare_parameter("seed", 0)
        for service in ("planner/cancel", "sim/reset"):
            self.create_service(Trigger, service, self._answer)
        self._status = self.create_publisher(DiagnosticStatus, "planner/status", qos.STATE)
        self._truth = self.create_publisher(PointStamped, "sim/ground_truth/tool", qos.STATE)
        self._rate, self._images = rate, 0
        self.create_timer(0.02, self._show)

    def _answer(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = True
        return response

    def _show(self) -> None:
        self._images += 1
        truth = PointStamped()
        truth.header.stamp = stamp(self._images / self._rate)
        self._truth.publish(truth)
        self._status.publish(status_message("planner", State.PLANNING, "at work", False, {}))


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[TrialDriver]:
    monkeypatch.setattr(trial_driver, "_PATIENCE", 0.5)
    rclpy.init()
    node = TrialDriver(get_task("panda_reach"))
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


def test_a_request_nobody_heard_is_made_again(driver: TrialDriver) -> None:
    began: list[Spinner] = []
    timer = threading.Timer(3 * trial_driver._PATIENCE, lambda: began.append(Spinner(Sim)))  # after the first request
    timer.start()
    try:
        assert driver._call(Trigger, "sim/reset", Trigger.Request()).message == "at last"
    finally:
        timer.join()
        began[0].close()


def test_a_planner_that_does_not_see_yet_is_waited_for(driver: TrialDriver) -> None:
    planner = Spinner(Blind)
    try:
        driver.wait_until_ready()
        assert planner.node.statuses >= 10
    finally:
        planner.close()


def test_a_service_that_is_not_there_is_named(driver: TrialDriver) -> None:
    with pytest.raises(TimeoutError, match=r"service sim/reset has not answered 6 requests; nobody offers it"):
        driver._call(Trigger, "sim/reset", Trigger.Request())


@pytest.mark.parametrize("rate", [10, 30])
def test_a_goal_is_held_for_as_long_whatever_the_cameras_rate(driver: TrialDriver, rate: int) -> None:
    robot = Spinner(lambda context: Standing(context, rate))
    try:
        driver.wait_until_ready()
        trial, statuses, lasted = driver.run(1, np.zeros((8, 8, 3), np.uint8), np.zeros(3))
    finally:
        robot.close()
    assert trial.success and trial.distance == 0.0
    # Ten images at the control rate, of which the first begins it; an image may have been lost.
    assert 0.89 < lasted - trial.seconds < 0.91 + 2 / rate
    assert 0.8 * rate < len(statuses) <= 1 + round((0.9 + 2 / rate) * rate)
