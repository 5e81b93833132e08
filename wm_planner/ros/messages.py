"""Between ROS messages and numpy arrays or seconds."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image

from wm_planner.perception.image import decode_raw

_NANOSECONDS = 1_000_000_000


def seconds(time: Time) -> float:
    """A stamp (or any message with sec and nanosec) in seconds."""
    return time.sec + time.nanosec / _NANOSECONDS


def stamp(time: float) -> Time:
    """Seconds, at least 0, as a stamp rounded to the nanosecond."""
    sec, nanosec = divmod(round(time * _NANOSECONDS), _NANOSECONDS)
    return Time(sec=sec, nanosec=nanosec)


def image_message(rgb: np.ndarray, stamp_seconds: float, frame_id: str) -> Image:
    """An rgb8 image message from (height, width, 3) uint8 RGB."""
    height, width, channels = rgb.shape
    message = Image(height=height, width=width, encoding="rgb8", step=width * channels)
    message.header.stamp = stamp(stamp_seconds)
    message.header.frame_id = frame_id
    # bytes take the generated setter's fast path; an array would be checked element by element.
    message.data = np.asarray(rgb, np.uint8).tobytes()
    return message


def image_array(message: Image, source: str = "image") -> np.ndarray:
    """Pixels of an image message as (height, width, 3) uint8 RGB, without a copy for rgb8.

    Raises:
        PerceptionError: names `source`, what was found and what was expected.
    """
    return decode_raw(message.data, message.height, message.width, message.step, message.encoding, source)
