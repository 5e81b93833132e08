"""Bags to datasets: the same tensors that deployment makes of the same messages, and what broken bags are called."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from wm_planner.configurator.contract import Contract, parse_contract
from wm_planner.data.bags import BagError, read_bags

STORE = get_typestore(Stores.ROS2_JAZZY)
START = 100.0  # s, the first stamp
DELAY = 0.05


def _stamp(time: float) -> Any:
    sec, nanosec = divmod(round(time * 1e9), 10**9)
    return STORE.types["builtin_interfaces/msg/Time"](sec=sec, nanosec=nanosec)


def _header(time: float, frame: str = "") -> Any:
    return STORE.types["std_msgs/msg/Header"](stamp=_stamp(time), frame_id=frame)


def _image(time: float, grey: int, encoding: str = "rgb8") -> Any:
    data = np.full(128 * 128 * 3, grey, np.uint8)
    kind = STORE.types["sensor_msgs/msg/Image"]
    return kind(_header(time), height=128, width=128, encoding=encoding, is_bigendian=0, step=384, data=data)


def _compressed(time: float, grey: int) -> Any:
    data = cv2.imencode(".png", np.full((128, 128, 3), grey, np.uint8))[1].ravel()
    return STORE.types["sensor_msgs/msg/CompressedImage"](_header(time), format="png", data=data)


def _joints(time: float, names: Iterable[str], value: float) -> Any:
    names, none = list(names), np.zeros(0)
    kind = STORE.types["sensor_msgs/msg/JointState"]
    return kind(_header(time), name=names, position=np.full(len(names), value), velocity=none, effort=none)


def _twist(time: float, x: float, y: float) -> Any:
    vector, twist = STORE.types["geometry_msgs/msg/Vector3"], STORE.types["geometry_msgs/msg/Twist"]
    kind = STORE.types["geometry_msgs/msg/TwistStamped"]
    return kind(_header(time, "panda_link0"), twist=twist(linear=vector(x=x, y=y, z=0.0), angular=vector(0.0, 0.0, 0.0)))


def _write(path: Path, messages: Iterable[tuple[str, Any]]) -> Path:
    """One message per millisecond of log time, which nothing may rely on."""
    with Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        connections: dict[str, Any] = {}
        for index, (topic, message) in enumerate(messages):
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(connections[topic], index * 1_000_000, STORE.serialize_cdr(message, kind))
    return path


def _play(contract: Contract, images: np.ndarray, commands: np.ndarray, **changes: Any) -> list[tuple[str, Any]]:
    """Images at some times, grey as their number; joints at 100 Hz, worth the time since START; twists (time, x, y)."""
    camera, make = contract.cameras[0].topic, changes.get("image", _image)
    timed = [(time, camera + changes.get("suffix", ""), make(time, grey)) for grey, time in enumerate(images)]
    for time in np.arange(images[0] - 0.1, images[-1] + 0.1, 0.01):
        timed.append((time, contract.joints.topic, _joints(time, reversed(contract.joints.names), time - START)))
    timed += [(row[0], contract.action.topic, _twist(*row)) for row in commands]
    return [(topic, message) for _, topic, message in sorted(timed, key=lambda item: item[0])]


def _standing(images: np.ndarray) -> np.ndarray:
    return np.array([[images[0], 0.0, 0.0]])


def test_everything_on_the_models_grid(tmp_path: Path, push_contract: Contract) -> None:
    images = START + np.arange(64) / 30.0  # three times the control rate
    limit = np.array(push_contract.action.limit)
    # Half speed along x from the second control step on; 40 ms into the third, full speed along y.
    commands = [[START + 0.1 - DELAY + 0.02 * k, 0.5 * limit[0], 0.0] for k in range(7)]
    commands += [[START + 0.24 - DELAY + 0.02 * k, 0.0, limit[1]] for k in range(100)]
    bag = _write(tmp_path / "bag", _play(push_contract, images, np.array(commands)))
    episodes = read_bags([bag], push_contract, steps=10, command_delay=DELAY)
    assert episodes.frames.shape == (2, 11, 64, 64, 3) and episodes.frames.dtype == np.uint8
    np.testing.assert_array_equal(episodes.frames[:, :, 5, 5, 0], [np.arange(0, 31, 3), np.arange(30, 61, 3)])
    np.testing.assert_allclose(episodes.joints[0, :, 0], np.arange(11) / 10, atol=0.006)
    expected = np.array([[0.0, 0.0], [0.5, 0.0], [0.2, 0.6], *[[0.0, 1.0]] * 7])
    np.testing.assert_allclose(episodes.actions[0], expected, atol=1e-3)
    assert episodes.state.shape == (2, 11, 0) and (episodes.attempts == 0).all()


def test_compressed_images_and_several_bags(tmp_path: Path, push_contract: Contract) -> None:
    images = START + np.arange(12) / 10.0
    messages = _play(push_contract, images, _standing(images), image=_compressed, suffix="/compressed")
    bags = [_write(tmp_path / name, messages) for name in "ab"]
    done: list[int] = []
    episodes = read_bags(bags, push_contract, 10, DELAY, done.append)
    assert len(episodes.actions) == 2 and done == [1, 2]
    np.testing.assert_array_equal(episodes.frames[1, :, 0, 0, 0], np.arange(11))


def test_a_command_does_not_last_for_ever(tmp_path: Path, push_contract: Contract) -> None:
    images = START + np.arange(22) / 10.0
    commands = np.array([[START - DELAY, push_contract.action.limit[0], 0.0]])
    episodes = read_bags([_write(tmp_path / "bag", _play(push_contract, images, commands))], push_contract, 20, DELAY)
    np.testing.assert_allclose(episodes.actions[0, :, 0], [1.0] * 5 + [0.0] * 15, atol=1e-6)


def test_rest_where_nothing_was_commanded_since_time_went_back(tmp_path: Path, push_contract: Contract) -> None:
    early, late = START + np.arange(12) / 10.0, START - 50.0 + np.arange(12) / 10.0
    commands = np.array([[early[5], push_contract.action.limit[0], 0.0]])
    messages = _play(push_contract, early, commands) + _play(push_contract, late, np.zeros((0, 3)))
    episodes = read_bags([_write(tmp_path / "bag", messages)], push_contract, 10, DELAY)
    assert episodes.actions[0].max() > 0.9
    np.testing.assert_array_equal(episodes.actions[1], 0.0)


def test_a_command_before_the_first_joint_state_is_left_out(tmp_path: Path, push_contract: Contract) -> None:
    images = START + np.arange(12) / 10.0
    first = [(push_contract.action.topic, _twist(START - 1.0, 0.0, 0.0))]
    bag = _write(tmp_path / "bag", first + _play(push_contract, images, _standing(images)))
    assert len(read_bags([bag], push_contract, 10, DELAY).actions) == 1


@pytest.mark.parametrize("jump", [0.35, -40.0])
def test_gaps_and_time_that_goes_back_end_an_episode(tmp_path: Path, push_contract: Contract, jump: float) -> None:
    early = START + np.arange(15) / 10.0
    late = early[-1] + jump + np.arange(15) / 10.0
    messages = [m for images in (early, late) for m in _play(push_contract, images, _standing(images))]
    if jump > 0:
        messages.sort(key=lambda item: item[1].header.stamp.sec + 1e-9 * item[1].header.stamp.nanosec)
    episodes = read_bags([_write(tmp_path / "bag", messages)], push_contract, 12, DELAY)
    assert len(episodes.actions) == 2
    times = episodes.joints[:, :, 0] + START
    np.testing.assert_allclose(np.diff(times), 0.1, atol=0.02)
    np.testing.assert_allclose(times[:, 0], [early[0], late[0]], atol=0.006)


def test_joints_that_are_missing_end_an_episode(tmp_path: Path, push_contract: Contract) -> None:
    images = START + np.arange(30) / 10.0
    messages = [
        (topic, message)
        for topic, message in _play(push_contract, images, _standing(images))
        if not (topic == "/joint_states" and message.header.stamp.sec == int(START) + 1)
    ]
    episodes = read_bags([_write(tmp_path / "bag", messages)], push_contract, 8, DELAY)
    assert len(episodes.actions) == 2
    assert (np.diff(episodes.joints[:, :, 0]) > 0.05).all()


def test_two_cameras(tmp_path: Path, push_contract: Contract) -> None:
    data = push_contract.model_dump(mode="json")
    data["cameras"].append(data["cameras"][0] | {"topic": "/wrist/image_raw"})
    contract = parse_contract(data)
    images = START + np.arange(12) / 10.0
    wrist = [("/wrist/image_raw", _image(time + 0.01, 100 + k)) for k, time in enumerate(images)]
    messages = _play(contract, images, _standing(images))
    bag = _write(tmp_path / "bag", [*messages, *wrist])  # whatever the order across topics
    episodes = read_bags([bag], contract, 11, DELAY)
    np.testing.assert_array_equal(episodes.frames[0, :, 3, 3], [[k] * 3 + [100 + k] * 3 for k in range(12)])


def test_bad_bags_are_named(tmp_path: Path, push_contract: Contract) -> None:
    images = START + np.arange(12) / 10.0
    good = _play(push_contract, images, _standing(images))

    def said(path: Path, steps: int = 10) -> str:
        with pytest.raises(BagError) as error:
            read_bags([path], push_contract, steps, DELAY)
        return str(error.value)

    assert "no bag at" in said(tmp_path / "absent")
    silent = _write(tmp_path / "silent", [m for m in good if m[0] != "/joint_states"])
    assert "no messages on ['/joint_states']" in said(silent)
    wrong = [(topic, _image(START, 0, "bgr8") if topic.startswith("/camera") else m) for topic, m in good]
    assert "encoding is 'bgr8', expected 'rgb8'" in said(_write(tmp_path / "bgr", wrong))
    fast = [*good, (push_contract.action.topic, _twist(START + 0.5, 9.0, 0.0))]
    assert "linear.x is 9 m/s, expected at most" in said(_write(tmp_path / "fast", fast))
    assert "no stretch of 30 control steps at 10 Hz without a gap, the longest is 11" in said(
        _write(tmp_path / "short", good), 30
    )
    slow = START + np.arange(12) / 15.0
    assert "a multiple of the control rate" in said(
        _write(tmp_path / "slow", _play(push_contract, slow, _standing(slow)))
    )


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_truncated_bags_are_named(tmp_path: Path, push_contract: Contract, keep: float) -> None:
    images = START + np.arange(12) / 10.0
    bag = _write(tmp_path / "bag", _play(push_contract, images, _standing(images)))
    (file,) = bag.glob("*.mcap")
    data = file.read_bytes()
    file.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(BagError, match=r"is not a whole bag .*record again"):
        read_bags([bag], push_contract, 10, DELAY)
