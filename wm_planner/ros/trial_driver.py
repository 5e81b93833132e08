"""Runs trials through the ROS 2 nodes: reset the simulator, publish a goal image, watch the ground truth."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PointStamped, PoseStamped
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from wm_planner.configurator.contract import load_contract
from wm_planner.evaluation.hold import Hold
from wm_planner.evaluation.report import Trial
from wm_planner.ros import qos
from wm_planner.ros.messages import image_array, image_message, seconds
from wm_planner.sim.tasks import Task

_START_TIMEOUT = 120.0  # wall seconds for nodes to come up and load the model
_SILENCE = 20.0  # wall seconds without ground truth that end a trial with an error
_ATTEMPTS, _PATIENCE = 6, 4.0  # requests to a service, and wall seconds to wait for the answer to each


class Tick(NamedTuple):
    """One image of a trial. now: s since the goal was taken; distance: m; images: uint8 RGB."""

    now: float
    distance: float
    status: dict[str, str]
    camera: np.ndarray | None
    imagined: np.ndarray | None


class TrialDriver(Node):
    """Single-threaded: every wait spins this node. `pictures` also subscribes camera and imagination."""

    def __init__(self, task: Task, pictures: bool = False) -> None:
        super().__init__("trial_driver")
        self._task, self._contract = task, load_contract(task.contract)
        self._status: dict[str, str] = {}
        self._well = False
        self._truth: tuple[float, np.ndarray] | None = None
        self._camera: np.ndarray | None = None
        self._imagined: np.ndarray | None = None
        self._goal = self.create_publisher(Image, "planner/goal_image", qos.COMMAND)
        self.create_subscription(DiagnosticStatus, "planner/status", self._on_status, qos.STATE)
        kind, callback = (PointStamped, self._on_point) if task.truth == "tool" else (PoseStamped, self._on_pose)
        self.create_subscription(kind, f"sim/ground_truth/{task.truth}", callback, qos.STATE)
        if pictures:
            camera = self._contract.cameras[0].topic
            self.create_subscription(Image, camera, self._on_camera, qos.SENSOR)
            self.create_subscription(Image, "planner/imagined", self._on_imagined, qos.SENSOR)

    def wait_until_ready(self) -> None:
        """Wait for simulator and planner, and until the one hears the other: DDS may take seconds to introduce them.

        Raises:
            TimeoutError: says what is missing.
            RuntimeError: the planner cannot configure; says why.
        """
        self._wait(lambda: self._truth is not None, _START_TIMEOUT, "ground truth from the simulator")
        self._wait(
            lambda: self._well and self._status["state"] in ("idle", "planning", "reached"),
            _START_TIMEOUT,
            "an active planner on planner/status that receives camera and joints",
        )

    def run(
        self,
        scene_seed: int,
        goal_image: np.ndarray,
        target: np.ndarray,
        tick: Callable[[Tick], None] = lambda tick: None,
    ) -> tuple[Trial, list[dict[str, str]], float]:
        """One trial. goal_image: (height, width, 3) uint8 RGB; target: ground-truth goal position, metres.

        Returns:
            The trial, the planner's status with each image, and how long it lasted, s of the robot's time.
        """
        self._call(Trigger, "planner/cancel", Trigger.Request())
        self._set_seed(scene_seed)
        self._truth = None
        self._call(Trigger, "sim/reset", Trigger.Request())
        self._take_goal(goal_image)

        hold, statuses, plan_ms = Hold(self._task, self._contract.dt), [], []
        began = last = self._truth_after(-1.0)[0]
        success, distance = False, float("inf")
        while last - began < self._task.max_steps * self._contract.dt and not success:
            last, position = self._truth_after(last)
            distance = float(np.linalg.norm(position - target))
            success = hold.update(distance, last - began)
            statuses.append(dict(self._status))
            if "plan_ms" in self._status:
                plan_ms.append(float(self._status["plan_ms"]))
            tick(Tick(last - began, distance, self._status, self._camera, self._imagined))
        trial = Trial(scene_seed, success, hold.since if success else float("nan"), distance, plan_ms)
        return trial, statuses, last - began

    def _truth_after(self, time: float) -> tuple[float, np.ndarray]:
        """The newest ground truth, (stamp in s, position), once it is later than `time`."""
        self._wait(lambda: self._truth is not None and self._truth[0] > time, _SILENCE, "ground truth")
        assert self._truth is not None
        return self._truth

    def _take_goal(self, image: np.ndarray) -> None:
        """Publish the goal until the planner works towards it."""
        for _ in range(20):
            self._goal.publish(image_message(image, 0.0, ""))
            deadline = time.monotonic() + 1.0
            while time.monotonic() < deadline:
                rclpy.spin_once(self, timeout_sec=0.05)
                if self._status.get("state") in ("planning", "reached"):
                    return
        raise TimeoutError(f"the planner does not take the goal image; its status is {self._status}")

    def _set_seed(self, seed: int) -> None:
        value = ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=seed)
        request = SetParameters.Request(parameters=[ParameterMessage(name="seed", value=value)])
        result = self._call(SetParameters, "sim/set_parameters", request).results[0]
        if not result.successful:
            raise RuntimeError(f"the simulator refuses seed {seed}: {result.reason}")

    def _call(self, kind: Any, name: str, request: Any) -> Any:
        """Ask until there is an answer: requests and answers are lost while endpoints have not met yet.

        Every service called here may be asked twice: it does the same again.
        """
        client: Any = self.create_client(kind, name)
        futures: list[Any] = []
        for _ in range(_ATTEMPTS):
            client.wait_for_service(_PATIENCE)  # what the graph does not list may answer all the same
            futures.append(client.call_async(request))
            deadline = time.monotonic() + _PATIENCE
            while time.monotonic() < deadline:
                rclpy.spin_once(self, timeout_sec=0.05)
                if answered := [future for future in futures if future.done()]:
                    self.destroy_client(client)
                    return answered[0].result()
        listed = client.service_is_ready()
        self.destroy_client(client)
        raise TimeoutError(
            f"service {name} has not answered {_ATTEMPTS} requests; "
            + ("its node is there, but hangs" if listed else "nobody offers it: is its node running?")
        )

    def _wait(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {what} for {timeout:.0f} s; planner status: {self._status}")
            if "cannot configure" in self._status.get("message", ""):
                raise RuntimeError(f"the planner {self._status['message']}")
            rclpy.spin_once(self, timeout_sec=0.1)

    def _on_status(self, message: DiagnosticStatus) -> None:
        self._well = message.level == DiagnosticStatus.OK
        self._status = {"message": message.message, **{pair.key: pair.value for pair in message.values}}

    def _on_point(self, message: PointStamped) -> None:
        p = message.point
        self._truth = (seconds(message.header.stamp), np.array([p.x, p.y, p.z]))

    def _on_pose(self, message: PoseStamped) -> None:
        p = message.pose.position
        self._truth = (seconds(message.header.stamp), np.array([p.x, p.y]))

    def _on_camera(self, message: Image) -> None:
        self._camera = image_array(message)

    def _on_imagined(self, message: Image) -> None:
        self._imagined = image_array(message)
