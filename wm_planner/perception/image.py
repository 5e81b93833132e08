"""Camera messages to the encoder's frames, without ROS and without copies where none is needed."""

from __future__ import annotations

import cv2
import numpy as np

from wm_planner.configurator.contract import Camera


class PerceptionError(ValueError):
    """Input that does not fit the contract; names the expected and the found value."""


_TO_RGB = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
}


def decode_raw(data: bytes, height: int, width: int, step: int, encoding: str, source: str) -> np.ndarray:
    """Pixels of a sensor_msgs/Image as RGB.

    Args:
        data: anything with the buffer protocol holding height * step bytes.
        step: bytes per row; rows may be padded.
        source: topic named in errors.

    Returns:
        (height, width, 3) uint8 RGB.

    Raises:
        PerceptionError: unknown encoding, or sizes that contradict each other.
    """
    if encoding not in _TO_RGB:
        raise PerceptionError(f"{source}: encoding {encoding!r} is not supported, expected one of {sorted(_TO_RGB)}")
    channels, conversion = _TO_RGB[encoding]
    if height <= 0 or width <= 0 or step < width * channels:
        raise PerceptionError(
            f"{source}: step {step} for a {width}x{height} {encoding} image, expected at least {width * channels}"
        )
    pixels = np.frombuffer(data, np.uint8)
    if pixels.size < height * step:
        raise PerceptionError(f"{source}: {pixels.size} bytes, expected {height * step} (height * step)")
    image = pixels[: height * step].reshape(height, step)[:, : width * channels].reshape(height, width, channels)
    return image if conversion is None else cv2.cvtColor(image, conversion)


def decode_compressed(data: bytes, source: str) -> np.ndarray:
    """A JPEG or PNG as (height, width, 3) uint8 RGB.

    Raises:
        PerceptionError: the bytes are no image OpenCV can read.
    """
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if len(data) else None
    if image is None:
        raise PerceptionError(f"{source}: {len(data)} bytes are no readable image, expected JPEG or PNG")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def to_frame(image: np.ndarray, camera: Camera, source: str | None = None) -> np.ndarray:
    """Crop and resize one camera image as the contract says.

    Args:
        image: (camera.height, camera.width, 3) uint8 RGB.

    Returns:
        (S, S, 3) uint8 RGB; S: resize + 2 margin, so that `middle` is what the encoder is given.

    Raises:
        PerceptionError: the image has another size.
    """
    height, width = image.shape[:2]
    if (width, height) != (camera.width, camera.height):
        raise PerceptionError(
            f"{source or camera.topic}: image is {width}x{height}, expected {camera.width}x{camera.height}; "
            "set the camera driver's size, or change the contract and retrain"
        )
    if camera.crop:
        c = camera.crop
        image = image[c.y : c.y + c.height, c.x : c.x + c.width]
    side = camera.resize + 2 * camera.margin
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)


def middle(frame: np.ndarray, side: int) -> np.ndarray:
    """What the encoder is given, (side, side, C), of a frame (S, S, C) with a margin: a view of it, not a copy."""
    margin = (len(frame) - side) // 2
    return frame[margin : margin + side, margin : margin + side]
