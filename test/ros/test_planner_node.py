"""The planner over real DDS: every test asserts what it says and what the robot is told to do."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from typing import Any

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Path
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Float64, Float64MultiArray
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from wm_planner.actor.agent import AgentConfig
from wm_planner.configurator.contract import Contract, parse_contract
from wm_planner.ros import qos
from wm_planner.ros.messages import image_message, seconds, stamp
from wm_planner.ros.planner_node import PlannerNode

from .conftest import Peer, Process, Spinner, wait_for

COMMAND = "/servo_node/delta_twist_cmds"
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

    def wait_for_log(self, text: str) -> None:
        def found() -> bool:
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
    write_checkpoint: Callable[[Contract], FilePath],
    tmp_path: FilePath,
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
        return scene

    return make


def test_lifecycle_through_services(start: Callable[..., Scene], peer: Peer) -> None:
    scene = start(active=False)
    assert peer.state("planner") == "unconfigured"
    scene.wait_for_status("unconfigured")
    for _ in range(2):
        assert peer.change_state("planner", "configure")
        assert peer.state("planner") == "inactive"
        scene.wait_for_status("inactive")
        assert peer.change_state("planner", "activate")
        assert peer.state("planner") == "active"
        scene.wait_for_status("idle", "no goal")
        scene.set_goal()
        scene.wait_for_motion()
        assert peer.change_state("planner", "deactivate")
        scene.assert_last_command_is_zero()
        assert peer.change_state("planner", "cleanup")
        assert peer.state("planner") == "unconfigured"
    scene.wait_for_status("unconfigured")


def test_a_moving_robot_is_described(moving: Callable[..., Scene], peer: Peer) -> None:
    scene = moving(reached_distance=0.0)
    distances = peer.record("/planner/goal_distance", Float64)
    paths = peer.record("/planner/predicted_trajectory", Path)
    imagined = peer.record("/planner/imagined", Image)
    diagnostics = peer.record("/diagnostics", DiagnosticArray)
    status = scene.wait_for_status("planning", "joints goal: ")
    assert status.level == DiagnosticStatus.OK and status.name == "/planner"
    assert scene.value("goal") == "joints"
    for key in ("plan_ms", "command_age_ms", "image_to_command_ms", "distance"):
        assert np.isfinite(float(scene.value(key))), key
    wait_for(lambda: distances and paths and imagined and diagnostics, "every output")
    path, image = paths[-1], imagined[-1]
    assert path.header.frame_id == "panda_link0"
    steps = len(path.poses)
    assert steps >= 9, "the horizon and the actions under way"
    times = [seconds(p.header.stamp) for p in path.poses]
    np.testing.assert_allclose(np.diff(times), 0.1, atol=1e-6)
    first = path.poses[0].pose.position
    assert 0.0 < np.linalg.norm([first.x, first.y, first.z - 0.333]) < 1.3, "within the arm's reach of its shoulder"
    assert (image.height, image.encoding) == (64, "rgb8") and image.width % 64 == 0
    assert diagnostics[-1].status[0].name == "/planner"


def _smaller(sensors: Sensors) -> None:
    sensors.image = sensors.image[:64, :64]


def _grey(sensors: Sensors) -> None:
    sensors.encoding = "mono8"


def _renamed(sensors: Sensors) -> None:
    sensors.names = [name.replace("panda", "fr3") for name in sensors.names]


def _nan(sensors: Sensors) -> None:
    sensors.positions = [*Q[:2], float("nan"), *Q[3:]]


def _late_image(sensors: Sensors) -> None:
    sensors.image_delay = sensors.joint_delay = 7.0


def _other_clock(sensors: Sensors) -> None:
    sensors.joint_delay = 3.0


def _no_images(sensors: Sensors) -> None:
    sensors.send_images = False


def _no_joints(sensors: Sensors) -> None:
    sensors.send_joints = False


FAULTS = {
    "image size": (_smaller, "/camera/image_raw: image is 64x64, expected 128x128"),
    "encoding": (_grey, "/camera/image_raw: encoding is 'mono8', expected 'rgb8'"),
    "joint names": (_renamed, "/joint_states: joints ['panda_joint1', "),
    "NaN joint": (_nan, "/joint_states: positions of ['panda_joint3'] are not finite, expected radians"),
    "old stamps": (_late_image, "older than the node's clock, expected within 5 s"),
    "other clock": (_other_clock, "stamps of /joint_states are "),
    "camera dies": (_no_images, "no image on /camera/image_raw for "),
    "joints die": (_no_joints, "no joint state on /joint_states for "),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_stops_the_robot_until_it_is_gone(moving: Callable[..., Scene], fault: str) -> None:
    break_, text = FAULTS[fault]
    dies = break_ in (_no_images, _no_joints, _other_clock)
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
    assert scene.value("state") in ("planning", "reached")


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


def test_deactivate_stops_and_forgets_the_goal(moving: Callable[..., Scene], peer: Peer) -> None:
    scene = moving()
    assert peer.change_state("planner", "deactivate")
    scene.assert_last_command_is_zero()
    count = len(scene.commands)
    answer = peer.call("/planner/set_goal_from_camera", Trigger)
    assert not answer.success and "not active" in answer.message
    assert not peer.call("/planner/cancel", Trigger).success
    assert peer.change_state("planner", "activate")
    scene.wait_for_status("idle")
    scene.settle()
    assert len(scene.commands) == count, "an activated robot stands until it is given a goal"


def _truncated(good: FilePath, path: FilePath) -> None:
    path.write_bytes(good.read_bytes()[:-1000])


def _pickle(good: FilePath, path: FilePath) -> None:
    torch.save({"weights": torch.zeros(3)}, path)


def _copy(good: FilePath, path: FilePath) -> None:
    path.write_bytes(good.read_bytes())


def _nothing(good: FilePath, path: FilePath) -> None:
    pass


CHECKPOINTS = {
    "truncated": (_truncated, "is truncated or no safetensors file"),
    "pickle": (_pickle, "is a Python pickle (torch.save), expected safetensors"),
    "missing": (_nothing, "no checkpoint at "),
    "other contract": (_copy, "control_rate: 20.0 != 10.0"),
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_a_checkpoint_that_does_not_fit_is_refused(
    start: Callable[..., Scene],
    peer: Peer,
    push_contract: Contract,
    write_checkpoint: Callable[[Contract], FilePath],
    tmp_path: FilePath,
    kind: str,
) -> None:
    write, text = CHECKPOINTS[kind]
    contract = push_contract.model_copy(update={"control_rate": 20.0}) if kind == "other contract" else push_contract
    path = tmp_path / "model.safetensors"
    write(write_checkpoint(push_contract), path)
    scene = start(contract, active=False, checkpoint=str(path))
    assert not peer.change_state("planner", "configure")
    assert peer.state("planner") == "unconfigured"
    status = scene.wait_for_status("unconfigured", text)
    assert "cannot configure: " in status.message and status.level == DiagnosticStatus.WARN
    scene.wait_for_log(text)
    assert not peer.change_state("planner", "activate")
    assert not scene.commands


def test_an_unknown_contract_is_refused(start: Callable[..., Scene], peer: Peer) -> None:
    scene = start(active=False, contract_file="panda_juggle")
    assert not peer.change_state("planner", "configure")
    scene.wait_for_status("unconfigured", "panda_juggle.yaml; give a path, or one of ['panda_push', 'panda_reach']")
    assert not scene.commands


def test_parameters_are_validated_and_changed_while_running(moving: Callable[..., Scene], peer: Peer) -> None:
    scene = moving(lockstep=True)
    paths = peer.record("/planner/predicted_trajectory", Path)
    wait_for(lambda: paths and len(paths[-1].poses) == AgentConfig().horizon, "paths of the default horizon")
    for name, value, text in (
        ("horizon", 0, ""),
        ("sensor_timeout", -1.0, ""),
        ("elites", 17, "elites: found 17, expected at most samples (16)"),
        ("solver", "annealing", "solver: Input should be 'cem', 'icem', 'mppi' or 'gradient'; found 'annealing'"),
        ("mode", "dream", "mode: Input should be 'plan' or 'policy'; found 'dream'"),
        ("lockstep", False, ""),
    ):
        result = peer.set_parameter("planner", name, value)
        assert not result.successful, name
        assert text in result.reason and result.reason
    assert peer.set_parameter("planner", "horizon", 5).successful
    wait_for(lambda: len(paths[-1].poses) == 5, "paths of the new horizon")
    for solver in ("cem", "mppi", "gradient"):
        assert peer.set_parameter("planner", "solver", solver).successful
        scene.wait_for_motion()
    assert peer.set_parameter("planner", "mode", "policy").successful
    scene.wait_for_motion()
    assert scene.value("goal") == "joints"


def test_a_clock_that_jumps_back_starts_afresh_towards_the_same_goal(moving: Callable[..., Scene]) -> None:
    def prepare(sensors: Sensors) -> None:
        sensors.sim_time = 50.0

    scene = moving(use_sim_time=True, prepare=prepare)
    assert seconds(scene.commands[-1].header.stamp) > 50.0
    scene.sensors.sim_time = 1.0
    scene.wait_for_log("the clock went back to 1.")
    wait_for(lambda: seconds(scene.commands[-1].header.stamp) < 40.0, "commands in the new time")
    first = next(m for m in scene.commands if seconds(m.header.stamp) < 40.0)
    assert speed(first) == 0, "the old plan must not be executed in the new time"
    scene.wait_for_motion()
    assert scene.value("goal") == "joints"


def test_a_clock_that_stands_still_stops_the_robot(moving: Callable[..., Scene]) -> None:
    def prepare(sensors: Sensors) -> None:
        sensors.sim_time = 50.0

    scene = moving(use_sim_time=True, prepare=prepare, sensor_timeout=1.0)
    scene.sensors.close()
    scene.wait_for_status("stopped", "/clock has stood still for ")
    scene.assert_last_command_is_zero()


def test_lockstep_gives_each_image_one_command_with_its_stamp(start: Callable[..., Scene], peer: Peer) -> None:
    def manual(sensors: Sensors) -> None:
        sensors.close()
        sensors.sim_time = 10.0

    scene = start(lockstep=True, use_sim_time=True, prepare=manual)
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
    def manual(sensors: Sensors) -> None:
        sensors.close()
        sensors.sim_time = 10.0

    scene = start(lockstep=True, use_sim_time=True, prepare=manual)
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
    def manual(sensors: Sensors) -> None:
        sensors.close()
        sensors.sim_time = 10.0

    scene = start(lockstep=True, use_sim_time=True, prepare=manual)
    scene.sensors.publish()
    scene.set_goal()
    wait_for(lambda: len(scene.commands) == 1, "a command")
    _nan(scene.sensors)
    scene.sensors.publish()
    scene.wait_for_status("stopped", "positions of ['panda_joint3'] are not finite")
    wait_for(lambda: len(scene.commands) == 2, "a zero command")
    assert speed(scene.commands[1]) == 0
    assert seconds(scene.commands[1].header.stamp) == pytest.approx(scene.sensors.sim_time)
    scene.sensors.positions = list(Q)
    scene.sensors.publish()
    wait_for(lambda: len(scene.commands) == 3, "a command for good input")
    scene.wait_for_status("", "joints goal: ")


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
    assert len(message.points) >= 8 and list(message.points[-1].velocities) == [0.0] * 6
    _no_joints(scene.sensors)
    scene.wait_for_status("stopped", "no joint state on /joint_states for ")
    scene.assert_zero_commands_flow()
    assert scene.commands[-1].points[0].positions == scene.commands[-2].points[0].positions


def test_goal_images_of_two_cameras(start: Callable[..., Scene], peer: Peer, push_contract: Contract) -> None:
    data = push_contract.model_dump(mode="json")
    data["name"] = "two_cameras"
    data["cameras"].append({**data["cameras"][0], "topic": "/wrist/image_raw"})
    scene = start(parse_contract(data))
    goal = image_message(scene.sensors.image, 0.0, "goal")
    peer.publish_matched("/planner/goal_image", goal)
    scene.settle()
    assert scene.value("goal") == "none", "half a goal is none"
    peer.publish_matched("/planner/goal_image_1", goal)
    scene.wait_for_status("", "image goal: ")
    wait_for(lambda: scene.commands, "commands")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sends_a_zero_command_and_ends_the_process(
    peer: Peer,
    push_contract: Contract,
    write_checkpoint: Callable[[Contract], FilePath],
    start_process: Callable[..., Process],
    number: int,
) -> None:
    sensors = Sensors(peer, push_contract)
    try:
        values = {
            "contract": "panda_push",
            "checkpoint": write_checkpoint(push_contract),
            "device": "cpu",
            "autostart": "true",
            **SEARCH,
            **PATIENT,
        }
        arguments = [part for name, value in values.items() for part in ("-p", f"{name}:={value}")]
        process = start_process("wm_planner.ros.planner_node", "--ros-args", *arguments)
        scene = Scene(peer, push_contract, sensors, lambda: "")
        scene.wait_for_status("idle")
        scene.set_goal()
        scene.wait_for_motion()
        assert process.signal(number) == 0, process.output
        wait_for(lambda: speed(scene.commands[-1]) == 0, lambda: f"a zero command; log: {process.output}")
        assert "shut down: goal dropped, zero command sent" in process.output
    finally:
        sensors.close()


def test_a_parameter_out_of_range_ends_the_process_with_its_name(start_process: Callable[..., Process]) -> None:
    process = start_process("wm_planner.ros.planner_node", "--ros-args", "-p", "horizon:=0")
    assert process.popen.wait(60) == 1
    assert "horizon" in process.output
