"""The simulator in a process of its own, over DDS."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from geometry_msgs.msg import PointStamped, PoseStamped, TwistStamped
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from wm_planner.configurator.contract import Contract
from wm_planner.ros import qos
from wm_planner.ros.messages import image_array, seconds, stamp

COMMANDS = "/servo_node/delta_twist_cmds"
TRAJECTORIES = "/joint_trajectory_controller/joint_trajectory"


class Sim:
    """The simulator's process and everything it published, newest last."""

    def __init__(self, start: Callable[..., Any], peer: Any, wait: Callable[..., Any], **parameters: object) -> None:
        self.peer, self.wait = peer, wait
        self.clock: list[Clock] = peer.record("/clock", Clock)
        self.images: list[Image] = peer.record("/camera/image_raw", Image, qos.SENSOR)
        self.info: list[CameraInfo] = peer.record("/camera/camera_info", CameraInfo, qos.SENSOR)
        self.joints: list[JointState] = peer.record("/joint_states", JointState, qos.STATE)
        self.tool: list[PointStamped] = peer.record("/sim/ground_truth/tool", PointStamped)
        self.object: list[PoseStamped] = peer.record("/sim/ground_truth/object", PoseStamped)
        parameters = {"task": "panda_push", **parameters}
        arguments = [a for name, value in parameters.items() for a in ("-p", f"{name.replace('__', '.')}:={value}")]
        self.process = start("wm_planner.ros.sim_node", "--ros-args", *arguments)

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        return self.wait(condition, lambda: f"{what}; the simulator said:\n{self.process.output}")

    def at(self, messages: list, time: float) -> Any:
        """The message stamped `time`."""
        return self.until(
            lambda: next((m for m in reversed(messages) if m.header.stamp == stamp(time)), None), f"stamp {time}"
        )

    def views(self, count: int) -> list[Image]:
        """`count` images from when every topic was heard: each is discovered by itself, what it sent before is lost."""
        topics = (self.info, self.joints, self.tool)
        self.until(lambda: all(topics), "every topic")
        since = max(seconds(messages[0].header.stamp) for messages in topics)

        def enough() -> list[Image] | None:
            found = [message for message in self.images if seconds(message.header.stamp) >= since]
            return found if len(found) >= count else None

        return self.until(enough, f"{count} images")

    def reset(self, seed: int) -> None:
        """A new scene; messages of the old one are forgotten."""
        assert self.peer.set_parameter("sim", "seed", seed).successful
        assert self.peer.call("/sim/reset", Trigger).success
        self.forget()

    def forget(self) -> None:
        for messages in (self.clock, self.images, self.info, self.joints, self.tool, self.object):
            messages.clear()

    def answer(self, time: float, x: float, y: float) -> None:
        """Command a tool velocity for the observation at `time`."""
        message = TwistStamped()
        message.header.stamp, message.header.frame_id = stamp(time), "panda_link0"
        message.twist.linear.x, message.twist.linear.y = x, y
        self.peer.publish_matched(COMMANDS, message)

    def play(self, commands: np.ndarray) -> list[list[float]]:
        """Answer one observation after another from time 0 on; joint positions at each."""
        path = []
        for k, (x, y) in enumerate(commands.tolist()):
            self.at(self.images, k / 10)
            path.append(list(self.at(self.joints, k / 10).position))
            self.answer(k / 10, x, y)
        self.at(self.images, len(commands) / 10)
        return [*path, list(self.at(self.joints, len(commands) / 10).position)]


@pytest.fixture
def start(start_process: Callable[..., Any], peer: Any, wait: Callable[..., Any]) -> Callable[..., Sim]:
    return lambda **parameters: Sim(start_process, peer, wait, **parameters)


def tool_position(message: PointStamped) -> np.ndarray:
    return np.array([message.point.x, message.point.y, message.point.z])


def arm(message: JointState, contract: Contract) -> np.ndarray:
    return np.array([dict(zip(message.name, message.position))[name] for name in contract.joints.names])


def contract_file(directory: Path, contract: Contract, **action: object) -> Path:
    data = contract.model_dump(mode="json")
    data["action"] |= action
    path = directory / "contract.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


# What it publishes


def test_topics_carry_what_a_real_robot_sends(start: Callable[..., Sim], push_contract: Contract) -> None:
    sim = start()
    images = sim.views(5)
    sim.until(lambda: len(sim.clock) >= 50 and sim.object, "observations")
    image, info = images[-1], sim.info[-1]
    assert (image.width, image.height, image.step, image.encoding) == (128, 128, 384, "rgb8")
    assert image.header.frame_id == info.header.frame_id == "camera_optical_frame"
    assert image_array(image).std() > 10

    for message in images[:5]:  # control steps of simulated time, to the nanosecond
        assert message.header.stamp == stamp(round(seconds(message.header.stamp) * 10) / 10)
        state = sim.at(sim.joints, seconds(message.header.stamp))
        assert state.name[:7] == list(push_contract.joints.names)
        assert state.name[7:] == ["panda_finger_joint1", "panda_finger_joint2"]
        assert len(state.position) == len(state.velocity) == 9
        assert sim.at(sim.tool, seconds(message.header.stamp)).header.frame_id == "panda_link0"

    times = [seconds(message.clock) for message in sim.clock]
    assert times == sorted(times)
    assert np.median(np.diff(times)) <= 0.01
    stamps = [seconds(message.header.stamp) for message in sim.joints]
    assert np.median(np.diff(stamps)) == pytest.approx(1 / 60, abs=1e-6)


def test_a_camera_may_be_faster_than_control(start: Callable[..., Sim]) -> None:
    sim = start(camera__rate=30.0)
    images = sim.views(9)
    stamps = [round(seconds(message.header.stamp) * 30) for message in images]
    assert min(np.diff(stamps)) == 1  # those that arrived; a busy machine may lose some
    for message in images[:3]:
        sim.at(sim.joints, seconds(message.header.stamp))


def test_camera_info_tells_where_the_cube_appears(start: Callable[..., Sim]) -> None:
    eye, target = np.array([1.0, 0.3, 0.7]), np.array([0.5, 0.0, 0.0])
    camera = {"camera__eye": eye.tolist(), "camera__target": target.tolist(), "camera__fov": 50.0}
    sim = start(lockstep=True, camera__width=320, camera__height=240, **camera)
    image = sim.until(lambda: sim.images, "an image")[0]
    info, cube = sim.at(sim.info, 0.0), sim.at(sim.object, 0.0).pose.position
    assert (image.width, image.height, info.width, info.height) == (320, 240, 320, 240)

    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    optical = np.stack([right, np.cross(forward, right), forward])  # REP-103: x right, y down, z ahead
    u, v, w = np.reshape(info.k, (3, 3)) @ optical @ (np.array([cube.x, cube.y, cube.z]) - eye)
    rgb = image_array(image).astype(int)
    red = np.argwhere((rgb[..., 0] > 90) & (rgb[..., 0] > 2 * rgb[..., 1]) & (rgb[..., 0] > 2 * rgb[..., 2]))
    assert len(red) > 50
    row, column = red.mean(axis=0)
    assert np.hypot(u / w - column, v / w - row) < 4.0  # the cube's middle lies a little behind its visible sides


def test_the_object_lies_where_it_is_placed(start: Callable[..., Sim]) -> None:
    sim = start()
    place = PoseStamped()
    place.header.frame_id = "panda_link0"
    place.pose.position.x, place.pose.position.y = 0.58, -0.14
    place.pose.orientation.z, place.pose.orientation.w = np.sin(0.2), np.cos(0.2)

    def placed() -> bool:
        pose = sim.object[-1].pose
        found = [pose.position.x, pose.position.y, pose.orientation.z]
        return bool(np.allclose(found, [0.58, -0.14, np.sin(0.2)], atol=0.002))

    sim.until(lambda: sim.object, "an object")
    assert not placed()
    sim.peer.publish_matched("/sim/place_object", place)
    sim.until(placed, "the object where it was placed")
    place.pose.position.x, place.header.frame_id = 0.4, "camera"
    sim.peer.publish_matched("/sim/place_object", place)
    sim.until(lambda: "expected numbers in 'panda_link0'" in sim.process.output, "an error")
    assert placed()


def test_without_a_cube_or_a_clock(start: Callable[..., Sim], peer: Any) -> None:
    sim = start(task="panda_reach", publish_clock=False, use_sim_time=True)
    sim.until(lambda: len(sim.images) >= 3, "images")
    assert not sim.clock
    assert peer.node.count_publishers("/sim/ground_truth/object") == 0


# What it obeys


def test_a_twist_moves_the_tool_and_ends_with_its_timeout(start: Callable[..., Sim]) -> None:
    sim = start()
    sim.until(lambda: sim.tool, "the tool")
    before = tool_position(sim.tool[-1])

    def moved() -> bool:
        sim.answer(seconds(sim.clock[-1].clock), 0.1 if before[0] < 0.5 else -0.1, 0.0)
        return abs(tool_position(sim.tool[-1]) - before)[0] > 0.02

    sim.until(moved, "the tool to move")
    sim.until(
        lambda: len(sim.tool) > 5 and np.ptp([tool_position(m) for m in sim.tool[-5:]], axis=0).max() < 1e-4,
        "the tool to stand still when commands cease",
    )


def test_one_command_acts_for_exactly_its_timeout(start: Callable[..., Sim]) -> None:
    sim = start(lockstep=True, command_timeout=0.3)
    sim.at(sim.images, 0.0)
    before = tool_position(sim.at(sim.tool, 0.0))
    sim.answer(0.0, 0.0, 0.1 if before[1] < 0 else -0.1)
    sim.at(sim.images, 0.1)
    sim.peer.call("/sim/pause", SetBool, SetBool.Request(data=True))
    for _ in range(9):
        assert sim.peer.call("/sim/step", Trigger).success
    ys = [abs(tool_position(sim.at(sim.tool, k / 10)) - before)[1] for k in range(11)]
    assert ys[3] > 0.02
    assert ys[6:] == pytest.approx([0.03] * 5, abs=0.002)


@pytest.mark.parametrize("interface", ["twist", "joint_trajectory"])
def test_a_trajectory_is_followed_with_names_in_any_order(
    start: Callable[..., Sim], push_contract: Contract, tmp_path: Path, interface: str
) -> None:
    names = push_contract.joints.names
    action = {"interface": interface, "topic": TRAJECTORIES, "names": names} | dict.fromkeys(
        ("unit", "limit", "acceleration"), [1.0] * 7
    )
    action["unit"] = ["rad/s"] * 7
    contract = contract_file(tmp_path, push_contract, **action) if interface == "joint_trajectory" else ""
    sim = start(real_time_factor=3.0, **({"contract": contract} if contract else {}))
    goal = arm(sim.until(lambda: sim.joints, "joint states")[-1], push_contract)
    goal[0] += 0.3
    goal[3] += 0.2
    order = [3, 0, 6, 1, 5, 2, 4]
    message = JointTrajectory(joint_names=[names[i] for i in order])
    message.points = [JointTrajectoryPoint(positions=goal[order].tolist(), velocities=[0.0] * 7)]
    message.points[0].time_from_start.sec = 1
    sim.peer.publish_matched(TRAJECTORIES, message)
    sim.until(lambda: abs(arm(sim.joints[-1], push_contract) - goal).max() < 0.01, f"the arm at {goal}")


def test_a_malformed_trajectory_is_refused_and_the_robot_holds(
    start: Callable[..., Sim], push_contract: Contract
) -> None:
    sim = start()
    before = arm(sim.until(lambda: sim.joints, "joint states")[-1], push_contract)
    message = JointTrajectory(joint_names=list(push_contract.joints.names[:6]))
    message.points = [JointTrajectoryPoint(positions=[0.0] * 6)]
    message.points[0].time_from_start.sec = 1
    sim.peer.publish_matched(TRAJECTORIES, message)
    sim.until(lambda: "['panda_joint7'] are missing" in sim.process.output, "a refusal")
    assert f"{TRAJECTORIES}: command refused, the robot holds" in sim.process.output
    sim.forget()
    sim.until(lambda: len(sim.images) >= 5, "time to pass")
    assert abs(arm(sim.joints[-1], push_contract) - before).max() < 1e-3


def test_joint_velocities_are_obeyed_and_a_wrong_number_is_refused(
    start: Callable[..., Sim], joint_contract: Contract, tmp_path: Path
) -> None:
    sim = start(contract=contract_file(tmp_path, joint_contract))
    before = arm(sim.until(lambda: sim.joints, "joint states")[-1], joint_contract)

    def turned() -> bool:
        sim.peer.publish_matched(joint_contract.action.topic, Float64MultiArray(data=[0.0, 0.0, 0.0, 0.0, 0.0, -0.5]))
        return arm(sim.joints[-1], joint_contract)[5] - before[5] < -0.1

    sim.until(turned, "joint 6 to turn")
    assert abs(arm(sim.joints[-1], joint_contract) - before)[[0, 1, 2, 3, 4, 6]].max() < 0.02
    sim.peer.publish_matched(joint_contract.action.topic, Float64MultiArray(data=[0.1] * 7))
    sim.until(lambda: "7 values, expected 6" in sim.process.output, "a refusal")


# Time


def test_lockstep_is_the_same_bit_for_bit(start: Callable[..., Sim], rng: np.random.Generator) -> None:
    commands = rng.uniform(-0.25, 0.25, (15, 2))
    sim = start(lockstep=True, seed=5)
    first, image = sim.play(commands), sim.images[-1]
    sim.reset(6)
    assert sim.play(commands) != first
    sim.reset(5)
    assert sim.play(commands) == first
    assert np.array_equal(image_array(sim.images[-1]), image_array(image))


def test_lockstep_waits_for_the_answer_to_its_newest_observation(start: Callable[..., Sim]) -> None:
    sim = start(lockstep=True)
    sim.at(sim.images, 0.0)
    sim.answer(0.0, 0.0, 0.1)
    sim.at(sim.images, 0.1)
    sim.answer(0.0, 0.0, 0.1)  # an old answer, once more
    sim.forget()
    sim.until(lambda: len(sim.images) >= 2, "the observation again, for whoever comes late")
    assert {seconds(m.header.stamp) for m in sim.images} == {0.1}
    sim.answer(0.1, 0.0, 0.1)
    sim.at(sim.images, 0.2)


def test_lockstep_takes_any_joint_velocities_as_the_answer(
    start: Callable[..., Sim], joint_contract: Contract, tmp_path: Path
) -> None:
    sim = start(lockstep=True, contract=contract_file(tmp_path, joint_contract))
    for k in range(3):
        sim.at(sim.images, k / 10)
        sim.peer.publish_matched(joint_contract.action.topic, Float64MultiArray(data=[0.1] * 6))
    sim.at(sim.images, 0.3)


def test_reset_puts_the_clock_back_and_the_seed_makes_the_scene(start: Callable[..., Sim]) -> None:
    def cube() -> tuple[float, float]:
        position = sim.at(sim.object, 0.0).pose.position
        return position.x, position.y

    sim = start(seed=1)
    sim.until(lambda: sim.clock and seconds(sim.clock[-1].clock) > 0.5, "time to pass")
    times = sim.clock
    assert sim.peer.call("/sim/reset", Trigger).success
    sim.until(lambda: any(b.clock.sec + b.clock.nanosec == 0 for b in times), "the clock at 0")
    first = cube()
    assert sim.peer.set_parameter("sim", "seed", 2).successful
    sim.object.clear()
    assert "seed 2" in sim.peer.call("/sim/reset", Trigger).message
    assert cube() != first
    assert sim.peer.set_parameter("sim", "seed", 1).successful
    sim.object.clear()
    sim.peer.call("/sim/reset", Trigger)
    assert cube() == first


def test_pause_stops_time_and_step_takes_one_control_step(start: Callable[..., Sim]) -> None:
    sim = start()
    sim.until(lambda: sim.clock, "the clock")
    refusal = sim.peer.call("/sim/step", Trigger)
    assert not refusal.success
    assert "expected it paused" in refusal.message
    assert sim.peer.call("/sim/pause", SetBool, SetBool.Request(data=True)).success
    before = float(sim.peer.call("/sim/step", Trigger).message.split()[2])
    for k in range(1, 4):
        now = float(sim.peer.call("/sim/step", Trigger).message.split()[2])
        assert now == pytest.approx(before + k / 10, abs=1e-5)
    assert sim.peer.call("/sim/pause", SetBool, SetBool.Request(data=False)).success
    sim.until(lambda: seconds(sim.clock[-1].clock) > now + 0.2, "time to go on")


# Parameters and the end


def test_parameters_are_guarded(start: Callable[..., Sim]) -> None:
    sim = start()
    sim.until(lambda: sim.clock, "the clock")
    assert not sim.peer.set_parameter("sim", "real_time_factor", 0.0).successful
    assert not sim.peer.set_parameter("sim", "seed", -1).successful
    assert not sim.peer.set_parameter("sim", "task", "panda_reach").successful
    assert sim.peer.set_parameter("sim", "real_time_factor", 2.0).successful


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"task": "panda_fly"}, "no task 'panda_fly', expected one of ['panda_push', 'panda_reach', 'rover_rooms']"),
        ({"contract": "/nowhere/c.yaml"}, "no contract file at /nowhere/c.yaml"),
        ({"camera__eye": [1.0, 2.0]}, "parameter camera.eye has 2 values, expected 3"),
        ({"real_time_factor": -1.0}, "real_time_factor"),
        ({"joint_rate": "fast"}, "joint_rate"),
    ],
)
def test_a_wrong_parameter_ends_it_with_a_message(
    start: Callable[..., Sim], parameters: dict[str, object], text: str
) -> None:
    sim = start(**parameters)
    assert sim.process.popen.wait(60) == 1
    assert text in sim.process.output
    assert "Traceback" not in sim.process.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("lockstep", [False, True])
def test_it_ends_cleanly(start: Callable[..., Sim], number: int, lockstep: bool) -> None:
    sim = start(lockstep=lockstep)
    sim.until(lambda: sim.images, "an image")
    assert sim.process.signal(number) == 0, sim.process.output
    assert "Traceback" not in sim.process.output, sim.process.output
