"""A planner over real DDS, its sensors, and everything it says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from wm_planner.configurator.contract import Contract
from wm_planner.ros import qos
from wm_planner.ros.messages import image_message, stamp
from wm_planner.ros.planner_node import PlannerNode

from ..conftest import Peer, Spinner, wait_for

# Small searches: these tests ask whether commands flow, not where to.
SEARCH = {"samples": 16, "iterations": 1, "elites": 4, "policy_proposals": 4}
# Longer than a busy machine holds a thread up, so that only the fault under test occurs.
PATIENT = {"sensor_timeout": 5.0}
Q = [0.0, 0.083, 0.0, -2.387, 0.0, 2.469, 0.785]  # the tool in the middle of the workspace


class Planner(Spinner):
    """A planner in this process, with an executor and an rclpy context of its own."""

    node: PlannerNode

    def __init__(self, **parameters: Any) -> None:
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        super().__init__(lambda context: PlannerNode(context=context, parameter_overrides=overrides))

    def close(self) -> None:
        self.halt()
        self.node.close()
        super().close()


class Sensors:
    """Camera and joints of a robot that stands still, at 20 Hz; every attribute can be made wrong meanwhile."""

    def __init__(self, peer: Peer, contract: Contract) -> None:
        self._peer, self._contract = peer, contract
        camera = contract.cameras[0]
        self.image = np.random.default_rng(0).integers(0, 256, (camera.height, camera.width, 3), np.uint8)
        self.encoding = "rgb8"
        self.names = list(contract.joints.names)
        self.positions = list(Q)
        self.send_images = self.send_joints = True
        self.image_delay = self.joint_delay = 0.0
        self.compressed = False
        self.sim_time: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            self.publish()

    def publish(self) -> None:
        if self.sim_time is None:
            now = self._peer.node.get_clock().now().nanoseconds * 1e-9
        else:
            now = self.sim_time = self.sim_time + 0.05
            self._peer.publish("/clock", Clock(clock=stamp(now)), qos.CLOCK)
        if self.send_joints:
            message = JointState(name=self.names, position=self.positions)
            message.header.stamp = stamp(now - self.joint_delay)
            self._peer.publish(self._contract.joints.topic, message, qos.STATE)
        if self.send_images:
            for camera in self._contract.cameras:
                self._publish_image(camera.topic, now - self.image_delay)

    def _publish_image(self, topic: str, now: float) -> None:
        if self.compressed:
            message: Any = CompressedImage(format="png", data=cv2.imencode(".png", self.image)[1].tobytes())
            message.header.stamp = stamp(now)
            topic += "/compressed"
        else:
            message = image_message(self.image, now, "camera")
            message.encoding = self.encoding
        self._peer.publish(topic, message, qos.STATE)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


class Scene:
    """A planner, its sensors, and everything it says."""

    def __init__(self, peer: Peer, contract: Contract, sensors: Sensors | None, read_log: Callable[[], str]) -> None:
        self.peer, self.contract = peer, contract
        self._sensors = sensors
        self._read_log = read_log
        self._log = ""
        kinds = {"twist": TwistStamped, "joint_velocity": Float64MultiArray, "joint_trajectory": JointTrajectory}
        self.statuses = peer.record("/planner/status", DiagnosticStatus)
        self.commands = peer.record(contract.action.topic, kinds[contract.action.interface.value], 1000)

    @property
    def sensors(self) -> Sensors:
        assert self._sensors is not None
        return self._sensors

    def value(self, key: str) -> str:
        return {v.key: v.value for v in self.statuses[-1].values}[key]

    def wait_for_status(self, state: str = "", text: str = "") -> DiagnosticStatus:
        """The newest status, once it has this state and contains this text."""

        def found() -> bool:
            return bool(self.statuses) and state in ("", self.value("state")) and text in self.statuses[-1].message

        wait_for(found, lambda: f"status {state!r} with {text!r}; last: {self.statuses[-1:]}")
        return self.statuses[-1]

    def wait_for_log(self, text: str, meanwhile: Callable[[], object] = lambda: None) -> None:
        def found() -> bool:
            meanwhile()
            self._log += self._read_log()
            return text in self._log

        wait_for(found, lambda: f"{text!r} in the log:\n{self._log}")

    def wait_for_motion(self) -> None:
        """Wait until commands that are not zero flow, from now on."""
        start = len(self.commands)
        wait_for(lambda: any(speed(m) > 0 for m in self.commands[start:]), "a command that is not zero")

    def assert_zero_commands_flow(self) -> None:
        """Commands still flow, all of them zero once those under way have arrived."""
        wait_for(lambda: len(self.commands) >= 5 and not any(map(speed, self.commands[-5:])), "five zero commands")
        start = len(self.commands)
        wait_for(lambda: len(self.commands) >= start + 5, "more commands")
        assert not any(map(speed, self.commands[start:]))

    def assert_last_command_is_zero(self) -> None:
        wait_for(lambda: self.commands and speed(self.commands[-1]) == 0, "a zero command")
        self.settle()
        assert speed(self.commands[-1]) == 0

    def settle(self) -> None:
        """Wait for two further statuses: what was published before them has arrived, or will not."""
        start = len(self.statuses)
        wait_for(lambda: len(self.statuses) >= start + 2, "more statuses")

    def set_goal(self) -> None:
        """Joints far from where the robot stands: it has to move."""
        goal = JointState(name=list(self.contract.joints.names), position=[1.0, *Q[1:]])
        self.peer.publish_matched("/planner/goal_joint_state", goal)
        self.wait_for_status("", "joints goal: ")

    def set_goal_from_camera(self) -> None:
        def accepted() -> bool:
            return self.peer.call("/planner/set_goal_from_camera", Trigger).success

        wait_for(accepted, "a goal from the camera")  # images may be still to come


def speed(message: Any) -> float:
    if isinstance(message, TwistStamped):
        twist = message.twist
        parts = [twist.linear.x, twist.linear.y, twist.linear.z, twist.angular.x, twist.angular.y, twist.angular.z]
    elif isinstance(message, Float64MultiArray):
        parts = list(message.data)
    else:
        parts = [v for point in message.points for v in point.velocities]
    return float(np.abs(parts).max())


@pytest.fixture
def start(
    peer: Peer,
    push_contract: Contract,
    write_checkpoint: Callable[[Contract], Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Callable[..., Scene]]:
    """Start an active planner that sees healthy sensors; parameters by name."""
    open_: list[Planner | Sensors] = []

    def make(
        contract: Contract = push_contract,
        active: bool = True,
        sensors: bool = True,
        prepare: Callable[[Sensors], None] = lambda _: None,
        contract_file: str = "",
        **parameters: Any,
    ) -> Scene:
        path = tmp_path / f"{contract.name}.yaml"
        path.write_text(contract.model_dump_json())  # JSON is YAML
        checkpoint = str(write_checkpoint(contract))
        values = {
            "contract": contract_file or str(path),
            "checkpoint": checkpoint,
            "device": "cpu",
            **SEARCH,
            **PATIENT,
            **parameters,
        }
        planner = Planner(**values)
        open_.append(planner)
        source = None
        if sensors:
            source = Sensors(peer, contract)
            prepare(source)
            open_.append(source)
        scene = Scene(peer, contract, source, lambda: capfd.readouterr().err)
        if active:
            assert peer.change_state("planner", "configure")
            assert peer.change_state("planner", "activate")
        return scene

    yield make
    for item in reversed(open_):
        item.close()


@pytest.fixture
def moving(start: Callable[..., Scene]) -> Callable[..., Scene]:
    """Start a planner that moves the robot towards a goal."""

    def make(*args: Any, **kwargs: Any) -> Scene:
        scene = start(*args, **kwargs)
        scene.set_goal()
        scene.wait_for_motion()
        scene.settle()  # every status read from now on is of a robot that moves
        return scene

    return make
