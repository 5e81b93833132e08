"""Messages to arrays and back."""

from __future__ import annotations

import numpy as np
import pytest
from sensor_msgs.msg import Image

from wm_planner.perception.image import PerceptionError
from wm_planner.ros.messages import image_array, image_message, seconds, stamp


def test_an_image_survives_the_round_trip(rng: np.random.Generator) -> None:
    rgb = rng.integers(0, 256, (5, 7, 3), np.uint8)
    message = image_message(rgb, 1.25, "camera")
    assert (message.height, message.width, message.step, message.encoding) == (5, 7, 21, "rgb8")
    assert (message.header.stamp.sec, message.header.stamp.nanosec, message.header.frame_id) == (
        1,
        250_000_000,
        "camera",
    )
    assert np.array_equal(image_array(message), rgb)


def test_a_view_that_is_not_contiguous_is_sent_as_seen(rng: np.random.Generator) -> None:
    rgb = rng.integers(0, 256, (8, 8, 3), np.uint8)
    assert np.array_equal(image_array(image_message(rgb[::2, ::-1], 0.0, "")), rgb[::2, ::-1])


def test_padded_rows_and_bgr_are_understood() -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    padded = np.zeros((2, 12), np.uint8)
    padded[:, :9] = pixels.reshape(2, 9)
    message = Image(height=2, width=3, step=12, encoding="bgr8", data=padded.tobytes())
    assert np.array_equal(image_array(message), pixels[..., ::-1])


def test_an_unreadable_image_is_refused_by_name() -> None:
    with pytest.raises(PerceptionError, match=r"/camera: encoding 'yuv422'.*expected one of"):
        image_array(Image(height=1, width=1, step=2, encoding="yuv422", data=b"ab"), "/camera")


@pytest.mark.parametrize("steps", [0, 1, 7, 239, 240, 24 * 12345, 240 * 86400 + 1])
def test_the_stamp_of_a_physics_step_survives_the_round_trip(steps: int) -> None:
    time = steps / 240.0
    assert stamp(seconds(stamp(time))) == stamp(time)
    assert seconds(stamp(time)) == pytest.approx(time, abs=1e-9)


def test_a_stamp_rounds_up_into_the_next_second() -> None:
    assert (stamp(0.9999999999).sec, stamp(0.9999999999).nanosec) == (1, 0)
