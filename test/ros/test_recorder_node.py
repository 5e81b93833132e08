"""The recorder in a process of its own, over DDS: the bag is read back."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import Image, JointState

from wm_planner.configurator.contract import Contract
from wm_planner.data.bags import read_bags
from wm_planner.ros import qos
from wm_planner.ros.messages import image_message, seconds

highlevel = pytest.importorskip("rosbags.highlevel", reason="rosbags is not installed")

RECORDER = "wm_planner.ros.recorder_node"


def arguments(**parameters: object) -> list[str]:
    return ["--ros-args", *(a for name, value in parameters.items() for a in ("-p", f"{name}:={value}"))]


def read(path: Path) -> dict[str, list[tuple[int, Any]]]:
    """(time [ns], message) by topic; topics without messages are there, too."""
    with highlevel.AnyReader([path]) as reader:
        found: dict[str, list[tuple[int, Any]]] = {connection.topic: [] for connection in reader.connections}
        for connection, time, data in reader.messages():
            found[connection.topic].append((time, reader.deserialize(data, connection.msgtype)))
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_bag_holds_the_contracts_topics(
    start_process: Callable[..., Any],
    peer: Any,
    wait: Callable[..., Any],
    tmp_path: Path,
    number: int,
    push_contract: Contract,
) -> None:
    bag = tmp_path / "bags" / "first"
    sim = start_process("wm_planner.ros.sim_node", *arguments(task="panda_push"))
    recorder = start_process(RECORDER, *arguments(contract="panda_push", output=bag, use_sim_time=True))
    images = peer.record("/camera/image_raw", Image, qos.SENSOR)
    goal = np.full((128, 128, 3), 7, np.uint8)
    wait(lambda: peer.node.count_subscribers("/camera/image_raw") == 2, lambda: recorder.output + sim.output)
    peer.publish_matched("/planner/goal_image", image_message(goal, 0.0, "camera"))
    peer.publish_matched("/planner/goal_joint_state", JointState(name=["a"], position=[1.0]))
    at_rest = len(images) + 12
    wait(lambda: len(images) >= at_rest, lambda: recorder.output + sim.output)
    count = len(images)

    def a_second_later() -> bool:
        twist = TwistStamped()
        # As a planner stamps: without, a recorder that is late takes the command for later than the motion.
        twist.header.stamp = images[-1].header.stamp
        twist.header.frame_id = "panda_link0"
        twist.twist.linear.y = 0.02
        # Two subscribers: the simulator and the recorder.
        if peer.node.count_subscribers("/servo_node/delta_twist_cmds") == 2:
            peer.publish("/servo_node/delta_twist_cmds", twist)
        return len(images) >= count + 12

    wait(a_second_later, lambda: recorder.output + sim.output)
    assert recorder.signal(number) == 0, recorder.output
    assert "wrote" in recorder.output
    assert "Traceback" not in recorder.output

    topics = read(bag)
    assert set(topics) == {
        "/camera/image_raw",
        "/joint_states",
        "/servo_node/delta_twist_cmds",
        "/planner/goal_image",
        "/planner/goal_joint_state",
        "/clock",
    }
    assert all(topics.values()), {topic: len(messages) for topic, messages in topics.items()}
    assert np.array_equal(topics["/planner/goal_image"][0][1].data.reshape(128, 128, 3), goal)
    recorded = {(m.header.stamp.sec, m.header.stamp.nanosec): m for _, m in topics["/camera/image_raw"]}
    common = [m for m in images if (m.header.stamp.sec, m.header.stamp.nanosec) in recorded]
    assert len(common) >= 5
    stamp = common[-1].header.stamp
    assert recorded[stamp.sec, stamp.nanosec].data.tobytes() == bytes(common[-1].data)
    for time, message in topics["/joint_states"]:  # arrival in simulated time
        assert abs(time * 1e-9 - seconds(message.header.stamp)) < 60.0

    episodes = read_bags([bag], push_contract, steps=8, command_delay=0.0)
    actions, sideways = episodes.actions[..., 1], 0.02 / push_contract.action.limit[1]
    assert np.isclose(actions.max(), sideways, atol=1e-3)
    turned = np.abs(np.diff(episodes.joints[..., 0], axis=1))  # the first joint turns the arm sideways
    assert turned[actions > 0.9 * sideways].max() > 5 * turned[actions == 0.0].max(initial=1e-5)


def test_it_never_writes_into_an_existing_directory(start_process: Callable[..., Any], tmp_path: Path) -> None:
    recorder = start_process(RECORDER, *arguments(contract="panda_push", output=tmp_path))
    assert recorder.popen.wait(60) == 1
    assert f"output {tmp_path} exists, expected a new directory" in recorder.output
    assert "Traceback" not in recorder.output


def test_a_contract_that_is_missing_ends_it(start_process: Callable[..., Any], tmp_path: Path) -> None:
    recorder = start_process(RECORDER, *arguments(contract="panda_fly", output=tmp_path / "bag"))
    assert recorder.popen.wait(60) == 1
    assert "no contract file at" in recorder.output
    assert not (tmp_path / "bag").exists()


def test_it_ends_by_itself_and_knows_the_contracts_command(
    start_process: Callable[..., Any], tmp_path: Path, joint_contract: Contract
) -> None:
    path = tmp_path / "contract.yaml"
    path.write_text(joint_contract.model_dump_json())  # JSON is YAML
    recorder = start_process(RECORDER, *arguments(contract=path, output=tmp_path / "bag", max_seconds=0.5))
    assert recorder.popen.wait(60) == 0, recorder.output
    with highlevel.AnyReader([tmp_path / "bag"]) as reader:
        types = {connection.topic: connection.msgtype for connection in reader.connections}
    assert types["/velocity_controller/commands"] == "std_msgs/msg/Float64MultiArray"
