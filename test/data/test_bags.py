"""Bags to datasets: the same tensors that deployment makes of the same messages, and what broken bags are called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
_POINT = "trajectory_msgs/msg/JointTrajectoryPoint"


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
    return kind(
        _header(time, "panda_link0"), twist=twist(linear=vector(x=x, y=y, z=0.0), angular=vector(0.0, 0.0, 0.0))
    )


def _velocities(_: float, values: np.ndarray) -> Any:
    layout = STORE.types["std_msgs/msg/MultiArrayLayout"](dim=[], data_offset=0)
    return STORE.types["std_msgs/msg/Float64MultiArray"](layout=layout, data=values)


def _trajectory(time: float, names: Iterable[str], path: np.ndarray, dt: float) -> Any:
    """All joints go to the first value of a path (P,) within dt s, then to the next, and so on."""
    names, none = list(names), np.zeros(0)
    duration, point = STORE.types["builtin_interfaces/msg/Duration"], STORE.types[_POINT]
    points = []
    for k, value in enumerate(path, start=1):
        sec, nanosec = divmod(round(k * dt * 1e9), 10**9)
        positions = np.full(len(names), value)
        points.append(point(positions, none, none, none, duration(sec=sec, nanosec=nanosec)))
    return STORE.types["trajectory_msgs/msg/JointTrajectory"](_header(time), joint_names=names, points=points)


def _write(path: Path, messages: Iterable[tuple[str, Any]], times: Sequence[float] = ()) -> Path:
    """By default, one message per millisecond of log time, which nothing that has a stamp may rely on."""
    with Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        connections: dict[str, Any] = {}
        for index, (topic, message) in enumerate(messages):
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            logged = round(times[index] * 1e9) if times else index * 1_000_000
            writer.write(connections[topic], logged, STORE.serialize_cdr(message, kind))
    return path


def _timed(
    contract: Contract, images: np.ndarray, commands: Iterable[Any], **changes: Any
) -> list[tuple[float, str, Any]]:
    """Images at some times, grey as their number; joints at 100 Hz, worth the time since START; twists (time, x, y)."""
    camera, make, command = contract.cameras[0].topic, changes.get("image", _image), changes.get("command", _twist)
    place = changes.get("place", lambda time: time - START)
    timed = [(time, camera + changes.get("suffix", ""), make(time, grey)) for grey, time in enumerate(images)]
    for time in np.arange(images[0] - 0.1, images[-1] + 0.1, 0.01):
        timed.append((time, contract.joints.topic, _joints(time, reversed(contract.joints.names), place(time))))
    timed += [(row[0], contract.action.topic, command(*row)) for row in commands]
    return sorted(timed, key=lambda item: item[0])


def _play(contract: Contract, images: np.ndarray, commands: Iterable[Any], **changes: Any) -> list[tuple[str, Any]]:
    """The same without the times."""
    return [(topic, message) for _, topic, message in _timed(contract, images, commands, **changes)]


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


def test_runs_that_a_recorder_on_simulated_time_mixed_are_named(tmp_path: Path, push_contract: Contract) -> None:
    images = START + np.arange(12) / 10.0
    one = _timed(push_contract, images, _standing(images))
    other = _timed(push_contract, images, _standing(images), image=lambda time, grey: _image(time, 100 + grey))
    mixed = sorted([*one, *other], key=lambda item: item[0])  # as a reader brings them
    with pytest.raises(BagError, match=r"12 images on /camera/image_raw .* first at 100\.000 s; .*one bag per run"):
        read_bags([_write(tmp_path / "mixed", [message[1:] for message in mixed])], push_contract, 10, DELAY)


def test_messages_that_came_twice_are_no_other_run(tmp_path: Path, push_contract: Contract) -> None:
    images = START + np.arange(12) / 10.0
    messages = _play(push_contract, images, _standing(images))
    bags = [_write(tmp_path / str(n), [message for message in messages for _ in range(n)]) for n in (1, 2)]
    once, twice = read_bags(bags, push_contract, 10, DELAY).frames
    np.testing.assert_array_equal(once, twice)


def test_commands_without_a_stamp_act_when_they_arrive(tmp_path: Path, joint_contract: Contract) -> None:
    images, speed = START + np.arange(12) / 10.0, np.full(6, 0.5)
    timed = _timed(joint_contract, images, [(START + 0.2, speed)], command=_velocities)
    times, messages = [time for time, *_ in timed], [message for _, *message in timed]
    episodes = read_bags([_write(tmp_path / "bag", messages, times)], joint_contract, 10, 0.0)
    expected = np.array([0.0] * 2 + [0.5] * 5 + [0.0] * 3)
    np.testing.assert_allclose(episodes.actions[0], np.tile(expected[:, None], 6), atol=1e-6)


def test_commands_on_another_clock_than_the_images_are_named(tmp_path: Path, joint_contract: Contract) -> None:
    images = START + np.arange(12) / 10.0
    messages = _play(joint_contract, images, [(time, np.zeros(6)) for time in images], command=_velocities)
    said = r"commands on /velocity_controller/commands are from 0\.0 to .* s, those of images from 100\.0 to 101\.1 s"
    with pytest.raises(BagError, match=rf"bag: times of {said}.*record with --use-sim-time"):
        read_bags([_write(tmp_path / "bag", messages)], joint_contract, 10, 0.0)


@pytest.mark.parametrize(
    ("sent", "acted"),
    [
        # Eight points, from the third on replaced by three others halfway.
        (
            [(0.0, np.arange(1, 9) / 10, 0.1), (0.25, np.array([-0.2, -0.4, 0.6]), 0.1)],
            [0.1, 0.2, 0.05, -0.3, 0.1, 0.3, *[0.0] * 14],
        ),
        # One point, further ahead than a command without an end would act.
        ([(0.3, np.array([0.5]), 1.2)], [0.0] * 3 + [0.5] * 12 + [0.0] * 5),
    ],
)
def test_a_trajectory_acts_point_by_point_until_the_next_one(
    tmp_path: Path, joint_contract: Contract, sent: list[tuple[float, np.ndarray, float]], acted: list[float]
) -> None:
    data = joint_contract.model_dump(mode="json")
    data["action"] |= {"interface": "joint_trajectory", "topic": "/arm/joint_trajectory"}
    contract, images = parse_contract(data), START + np.arange(22) / 10.0
    names = contract.action.names
    messages = _play(
        contract,
        images,
        [(START + time, names, speeds.cumsum() * dt, dt) for time, speeds, dt in sent],
        command=_trajectory,
        place=lambda _: 0.0,
    )
    episodes = read_bags([_write(tmp_path / "bag", messages)], contract, 20, 0.0)
    np.testing.assert_allclose(episodes.actions[0], np.tile(np.array(acted)[:, None], 6), atol=1e-5)


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
