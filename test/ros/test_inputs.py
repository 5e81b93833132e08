"""Sensor messages to synchronised observations."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

from sensor_msgs.msg import CompressedImage, Image, JointState

from wm_planner.configurator.contract import Contract, parse_contract
from wm_planner.perception.image import PerceptionError
from wm_planner.perception.messages import decode_frame
from wm_planner.ros.inputs import Inputs, decode
from wm_planner.ros.messages import image_message, stamp


def image(time: float, value: int = 100, size: int = 128) -> Image:
    return image_message(np.full((size, size, 3), value, np.uint8), time, "camera")


def joint_state(contract: Contract, time: float, value: float = 0.1) -> JointState:
    message = JointState(name=list(contract.joints.names), position=[value] * len(contract.joints.names))
    message.header.stamp = stamp(time)
    return message


@pytest.fixture
def two_cameras(push_contract: Contract) -> Contract:
    data = push_contract.model_dump(mode="json")
    data["cameras"].append({**data["cameras"][0], "topic": "/wrist/image_raw"})
    return parse_contract(data)


def test_the_joint_state_nearest_to_the_image_is_taken_once(push_contract: Contract) -> None:
    inputs = Inputs(push_contract)
    for k in range(10):
        inputs.put_joints(joint_state(push_contract, 1.0 + 0.01 * k, value=0.01 * k), 1.0)
    inputs.put_image(0, image(1.052), 1.1)
    raw = inputs.take(0.05, 1.1)
    assert raw is not None and raw.stamp == pytest.approx(1.052)
    observation = decode(raw, push_contract)
    np.testing.assert_allclose(observation.joints, 0.05)
    assert observation.frame.shape == (64, 64, 3)
    assert inputs.take(0.05, 1.1) is None


def test_only_the_newest_image_counts(push_contract: Contract) -> None:
    inputs = Inputs(push_contract)
    inputs.put_joints(joint_state(push_contract, 1.0), 1.0)
    inputs.put_image(0, image(0.99, 1), 1.0)
    inputs.put_image(0, image(1.0, 2), 1.0)
    raw = inputs.take(0.05, 1.0)
    assert raw is not None
    assert (decode(raw, push_contract).frame == 2).all()


def test_an_image_waits_for_its_joint_state(push_contract: Contract) -> None:
    inputs = Inputs(push_contract)
    assert not inputs.put_joints(joint_state(push_contract, 1.0), 1.0)
    inputs.put_image(0, image(2.0), 2.0)
    assert inputs.take(0.05, 2.0) is None
    assert inputs.put_joints(joint_state(push_contract, 2.0), 2.01), "the worker should be woken"
    assert inputs.take(0.05, 2.01) is not None


def test_images_that_were_replaced_before_they_were_taken_can_be_had_later(push_contract: Contract) -> None:
    inputs = Inputs(push_contract)
    for k in range(5):
        now = 1.0 + 0.1 * k
        if k != 1:  # one image has no joint state near it
            inputs.put_joints(joint_state(push_contract, now, value=0.1 * k), now)
        inputs.put_image(0, image(now, k), now)
    newest = inputs.take(0.05, 1.4)
    assert newest is not None and newest.stamp == pytest.approx(1.4)
    missed = [decode(raw, push_contract) for raw in inputs.missed(0.05, 1.25)]
    assert [m.stamp for m in missed] == pytest.approx([1.0, 1.2])
    assert [m.joints[0] for m in missed] == pytest.approx([0.0, 0.2])
    assert [int(m.frame[0, 0, 0]) for m in missed] == [0, 2]
    assert [raw.stamp for raw in inputs.missed(0.05, 9.0)] == pytest.approx([1.3])
    inputs.put_image(0, image(1.5), 1.5)
    inputs.put_image(0, image(1.6), 1.6)
    inputs.rewind(0.0)
    assert inputs.missed(1.0, 9.0) == []


def test_stamps_that_never_meet_are_named(push_contract: Contract) -> None:
    inputs = Inputs(push_contract)
    for now in (10.0, 10.3, 10.6):
        inputs.put_joints(joint_state(push_contract, now - 3.0), now)
        inputs.put_image(0, image(now), now)
        assert inputs.take(0.05, now) is None
    fault = inputs.fault(0.5, 10.6)
    assert fault == (
        "stamps of /joint_states are 3.00 s from those of /camera/image_raw, expected within 0.05 s; "
        "synchronise their clocks"
    )


def test_missing_and_silent_sources_are_named(push_contract: Contract) -> None:
    inputs = Inputs(push_contract)
    assert "no image on /camera/image_raw yet" in str(inputs.fault(0.5, 0.0))
    inputs.put_image(0, image(1.0), 1.0)
    assert "no joint state on /joint_states yet" in str(inputs.fault(0.5, 1.0))
    inputs.put_joints(joint_state(push_contract, 1.0), 1.0)
    assert inputs.fault(0.5, 1.4) is None
    inputs.put_joints(joint_state(push_contract, 1.6), 1.6)
    assert inputs.fault(0.5, 1.7) == "no image on /camera/image_raw for 0.7 s, expected one within 0.5 s"


def test_joint_states_of_other_joints_alone_are_left_out(push_contract: Contract) -> None:
    inputs = Inputs(push_contract)
    inputs.put_image(0, image(1.0), 1.0)
    assert not inputs.put_joints(JointState(name=["finger"], position=[0.02]), 1.0)
    assert inputs.newest_joints() is None
    fault = str(inputs.fault(0.5, 1.0))
    assert "no joint state on /joint_states yet" in fault and "['finger']" in fault
    inputs.put_joints(joint_state(push_contract, 1.0), 1.0)
    assert inputs.take(0.05, 1.0) is not None
    inputs.put_image(0, image(2.0), 2.0)
    inputs.put_joints(JointState(name=["finger"], position=[0.02]), 2.0)
    assert inputs.fault(0.5, 2.0) == (
        "no joint state on /joint_states for 1.0 s, expected one within 0.5 s; ['finger'] came alone"
    )


def test_a_rewound_clock_drops_the_future_and_offers_the_newest_image_again(push_contract: Contract) -> None:
    inputs = Inputs(push_contract)
    inputs.put_joints(joint_state(push_contract, 50.0), 50.0)
    inputs.put_image(0, image(50.0), 50.0)
    inputs.rewind(0.0)
    assert inputs.images() == [None] and inputs.newest_joints() is None
    inputs.put_joints(joint_state(push_contract, 0.0), 0.0)
    inputs.put_image(0, image(0.0), 0.0)
    assert inputs.take(1e-4, 0.0) is not None
    inputs.rewind(0.0)
    assert inputs.take(1e-4, 0.0) is not None


@pytest.mark.parametrize("clock_first", [True, False])
def test_joint_states_of_the_run_before_a_reset_are_not_taken(push_contract: Contract, clock_first: bool) -> None:
    inputs = Inputs(push_contract)
    for k in range(10):
        inputs.put_joints(joint_state(push_contract, 0.05 * k, value=0.9), 0.05 * k)
    if clock_first:
        inputs.rewind(0.0)
    inputs.put_image(0, image(0.0), 0.0)
    if clock_first:
        assert inputs.take(1e-4, 0.0) is None, "the joint state of the new run is still to come"
    inputs.put_joints(joint_state(push_contract, 0.0, value=0.1), 0.0)
    if not clock_first:
        inputs.rewind(0.0)
    raw = inputs.take(1e-4, 0.0)
    assert raw is not None
    np.testing.assert_allclose(decode(raw, push_contract).joints, 0.1)


def test_cameras_are_stacked_in_the_contracts_order_and_synchronised(two_cameras: Contract) -> None:
    inputs = Inputs(two_cameras)
    inputs.put_joints(joint_state(two_cameras, 1.0), 1.0)
    inputs.put_image(0, image(1.0, 10), 1.0)
    assert inputs.take(0.05, 1.0) is None
    inputs.put_image(1, image(0.8, 20), 1.0)
    assert inputs.take(0.05, 1.0) is None
    inputs.put_image(1, image(1.01, 20), 1.0)
    raw = inputs.take(0.05, 1.0)
    assert raw is not None
    frame = decode(raw, two_cameras).frame
    assert frame.shape == (64, 64, 6)
    assert (frame[..., :3] == 10).all() and (frame[..., 3:] == 20).all()


def test_a_compressed_image_decodes_like_the_raw_one(push_contract: Contract, rng: np.random.Generator) -> None:
    rgb = rng.integers(0, 256, (128, 128, 3), np.uint8)
    data = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()
    camera = push_contract.cameras[0]
    raw = decode_frame(image_message(rgb, 0.0, ""), camera)
    np.testing.assert_array_equal(decode_frame(CompressedImage(format="png", data=data), camera), raw)


def test_errors_name_source_found_and_expected(push_contract: Contract) -> None:
    camera = push_contract.cameras[0]
    with pytest.raises(PerceptionError, match=r"goal_image: image is 64x64, expected 128x128"):
        decode_frame(image(0.0, size=64), camera, "goal_image")
    wrong = image(0.0)
    wrong.encoding = "bgr8"
    with pytest.raises(PerceptionError, match=r"/camera/image_raw: encoding is 'bgr8', expected 'rgb8'"):
        decode_frame(wrong, camera)
    with pytest.raises(PerceptionError, match="3 bytes are no readable image"):
        decode_frame(CompressedImage(data=b"abc"), camera)
