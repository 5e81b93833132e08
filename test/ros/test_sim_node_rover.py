"""The simulated rover behind the topics of a diff_drive_controller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

from geometry_msgs.msg import PoseStamped, TwistStamped
from sensor_msgs.msg import Image, JointState
from std_srvs.srv import SetBool, Trigger

from wm_planner.configurator.contract import Contract
from wm_planner.perception.image import middle
from wm_planner.perception.messages import decode_frame, decode_joints
from wm_planner.ros import qos
from wm_planner.ros.messages import image_array, seconds, stamp
from wm_planner.sim.environment import Environment


class Rover:
    """The simulator's process and what it published."""

    def __init__(
        self, start: Callable[..., Any], peer: Any, wait: Callable[..., Any], contract: Contract, lockstep: bool
    ) -> None:
        self.peer, self._wait, self._topic = peer, wait, contract.action.topic
        self.images: list[Image] = peer.record(contract.cameras[0].topic, Image, qos.SENSOR)
        self.joints: list[JointState] = peer.record(contract.joints.topic, JointState, qos.STATE)
        self.base: list[PoseStamped] = peer.record("/sim/ground_truth/base", PoseStamped)
        arguments = ("-p", "task:=rover_rooms", "-p", f"lockstep:={lockstep}", "-p", "seed:=1")
        self.process = start("wm_planner.ros.sim_node", "--ros-args", *arguments)

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        return self._wait(condition, lambda: f"{what}; the simulator said:\n{self.process.output}")

    def at(self, messages: list, time: float) -> Any:
        """The message stamped `time`."""
        return self.until(
            lambda: next((m for m in reversed(messages) if m.header.stamp == stamp(time)), None), f"stamp {time}"
        )

    def drive(self, time: float, ahead: float, turn: float, frame: str = "base_link") -> None:
        message = TwistStamped()
        message.header.stamp, message.header.frame_id = stamp(time), frame
        message.twist.linear.x, message.twist.angular.z = ahead, turn
        self.peer.publish_matched(self._topic, message)

    def play(self, commands: np.ndarray) -> list[np.ndarray]:
        """Answer observations from time 0 on; the pose at each."""
        poses = []
        for k, (ahead, turn) in enumerate(commands.tolist()):
            self.at(self.images, k / 10)
            poses.append(pose(self.at(self.base, k / 10)))
            self.drive(k / 10, ahead, turn)
        self.at(self.images, len(commands) / 10)
        return [*poses, pose(self.at(self.base, len(commands) / 10))]

    def forget(self) -> None:
        for messages in (self.images, self.joints, self.base):
            messages.clear()


def pose(message: PoseStamped) -> np.ndarray:
    """(x, y, yaw)."""
    p, q = message.pose.position, message.pose.orientation
    return np.array([p.x, p.y, 2 * np.arctan2(q.z, q.w)])


@pytest.fixture
def start(
    start_process: Callable[..., Any], peer: Any, wait: Callable[..., Any], rover_contract: Contract
) -> Callable[..., Rover]:
    return lambda lockstep=True: Rover(start_process, peer, wait, rover_contract, lockstep)


def test_the_camera_is_the_one_models_are_trained_with(
    start: Callable[..., Rover], environment: Callable[[str], Environment]
) -> None:
    rover, env = start(), environment("rover_rooms")
    env.reset(env.task.start_and_goal(1)[0])
    np.testing.assert_array_equal(image_array(rover.at(rover.images, 0.0)), env.image())


def test_observations_fit_the_contract(start: Callable[..., Rover], rover_contract: Contract) -> None:
    rover = start()
    image, joints = rover.at(rover.images, 0.0), rover.at(rover.joints, 0.0)
    frame = decode_frame(image, rover_contract.cameras[0])
    assert frame.shape == (80, 80, 3) and middle(frame, rover_contract.image_size).shape == (64, 64, 3)
    np.testing.assert_array_equal(decode_joints(joints, rover_contract.joints), [0.0, 0.0])
    assert rover.at(rover.base, 0.0).header.frame_id == "map"
    topics = {name for name, _ in rover.peer.node.get_topic_names_and_types()}
    assert not {t for t in topics if "trajectory" in t or "tool" in t or "object" in t}


def test_twists_drive_it_and_wheels_tell_their_velocity(start: Callable[..., Rover], rover_contract: Contract) -> None:
    rover = start()
    poses = rover.play(np.array([[0.0, 1.0]] * 5))
    assert poses[5][2] - poses[1][2] == pytest.approx(0.4, abs=0.02)
    np.testing.assert_allclose(poses[5][:2], poses[0][:2], atol=0.01)
    left, right = decode_joints(rover.at(rover.joints, 0.5), rover_contract.joints)
    assert left == pytest.approx(-right, abs=0.05) and right > 1.0


def test_lockstep_is_the_same_bit_for_bit(start: Callable[..., Rover], rng: np.random.Generator) -> None:
    commands = rng.uniform(-1.0, 1.0, (15, 2)) * [0.4, 2.0]
    rover = start()
    first = rover.play(commands)
    assert rover.peer.call("/sim/reset", Trigger).success
    rover.forget()
    np.testing.assert_array_equal(rover.play(commands), first)


def test_one_command_acts_for_exactly_its_timeout(start: Callable[..., Rover]) -> None:
    rover = start()
    rover.at(rover.images, 0.0)
    rover.drive(0.0, 0.0, 1.0)
    rover.at(rover.images, 0.1)
    assert rover.peer.call("/sim/pause", SetBool, SetBool.Request(data=True)).success
    for _ in range(7):
        assert rover.peer.call("/sim/step", Trigger).success
    yaws = [pose(rover.at(rover.base, k / 10))[2] for k in range(9)]
    assert yaws[3] - yaws[0] == pytest.approx(0.3, abs=0.03)
    np.testing.assert_allclose(np.array(yaws[4:]) - yaws[0], 0.3, atol=0.03)


def test_in_real_time_it_drives_and_stops_when_commands_cease(start: Callable[..., Rover]) -> None:
    rover = start(lockstep=False)
    began = pose(rover.until(lambda: rover.base, "the base")[-1])

    def turned() -> bool:
        rover.drive(seconds(rover.base[-1].header.stamp), 0.0, 1.0)
        return abs(pose(rover.base[-1])[2] - began[2]) > 0.2

    rover.until(turned, "the rover to turn")
    rover.until(
        lambda: len(rover.base) > 5 and np.ptp([pose(m) for m in rover.base[-5:]], axis=0).max() < 1e-3,
        "the rover to stand still",
    )


def test_a_twist_it_cannot_follow_is_refused(start: Callable[..., Rover]) -> None:
    rover = start(lockstep=False)
    rover.until(lambda: rover.base, "the base")
    rover.drive(0.0, 0.1, 0.0, frame="panda_link0")
    rover.until(lambda: "twist in frame 'panda_link0', expected 'base_link'" in rover.process.output, "a refusal")
