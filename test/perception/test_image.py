"""Images: messages to RGB, RGB to the encoder's frame."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wm_planner.configurator.contract import Camera, Crop
from wm_planner.perception.image import PerceptionError, decode_compressed, decode_raw, middle, to_frame

CHANNELS = {"rgb8": [0, 1, 2], "bgr8": [2, 1, 0], "rgba8": [0, 1, 2], "bgra8": [2, 1, 0], "mono8": [0, 0, 0]}


def _camera(width: int = 8, height: int = 6, resize: int = 4, crop: Crop | None = None, margin: int = 0) -> Camera:
    return Camera(topic="/cam", width=width, height=height, resize=resize, crop=crop, margin=margin)


@given(
    st.sampled_from(sorted(CHANNELS)),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(0, 5),
    st.integers(0, 2**32 - 1),
)
def test_raw_becomes_rgb(encoding: str, height: int, width: int, padding: int, seed: int) -> None:
    depth = {"mono8": 1, "rgb8": 3, "bgr8": 3}.get(encoding, 4)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, depth), np.uint8)
    step = width * depth + padding
    rows = np.full((height, step), 99, np.uint8)
    rows[:, : width * depth] = pixels.reshape(height, -1)
    image = decode_raw(rows.tobytes(), height, width, step, encoding, "/cam")
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, pixels[..., CHANNELS[encoding]])


@pytest.mark.parametrize(
    ("size", "height", "width", "step", "encoding", "said"),
    [
        (48, 4, 4, 12, "32FC1", "encoding '32FC1'.*rgb8"),
        (48, 4, 4, 12, "", "encoding ''"),
        (47, 4, 4, 12, "rgb8", "47 bytes, expected 48"),
        (0, 4, 4, 12, "rgb8", "0 bytes, expected 48"),
        (48, 4, 4, 11, "rgb8", "step 11.*at least 12"),
        (48, 4, 4, 12, "rgba8", "step 12.*at least 16"),
        (48, 0, 4, 12, "rgb8", "4x0"),
        (48, 4, 0, 12, "rgb8", "0x4"),
    ],
)
def test_contradicting_raw_images(size: int, height: int, width: int, step: int, encoding: str, said: str) -> None:
    with pytest.raises(PerceptionError, match=f"/cam: .*{said}"):
        decode_raw(bytes(size), height, width, step, encoding, "/cam")


def test_raw_rgb_is_not_copied() -> None:
    data = bytearray(48)
    image = decode_raw(data, 4, 4, 12, "rgb8", "/cam")
    data[0] = 7
    assert image[0, 0, 0] == 7


def test_png_round_trip(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (6, 8, 3), np.uint8)
    png = cv2.imencode(".png", image[..., ::-1])[1].tobytes()
    np.testing.assert_array_equal(decode_compressed(png, "/cam"), image)


def test_jpeg_keeps_the_colours() -> None:
    image = np.full((16, 16, 3), (200, 30, 60), np.uint8)
    jpeg = cv2.imencode(".jpg", image[..., ::-1])[1].tobytes()
    np.testing.assert_allclose(decode_compressed(jpeg, "/cam").mean((0, 1)), (200, 30, 60), atol=3)


@pytest.mark.parametrize("data", [b"", b"not an image", b"\x89PNG\r\n\x1a\n", bytes(100)])
def test_unreadable_compressed(data: bytes) -> None:
    with pytest.raises(PerceptionError, match=f"/cam: {len(data)} bytes are no readable image"):
        decode_compressed(data, "/cam")


def test_frame_is_cropped_then_averaged() -> None:
    image = np.zeros((6, 8, 3), np.uint8)
    image[2:6, 3:7] = np.arange(16, dtype=np.uint8).reshape(4, 4, 1) * 4
    frame = to_frame(image, _camera(resize=2, crop=Crop(x=3, y=2, width=4, height=4)))
    # Means of the four 2x2 blocks.
    np.testing.assert_array_equal(frame[..., 0], [[10, 18], [42, 50]])
    assert frame.shape == (2, 2, 3) and frame.dtype == np.uint8


def test_frame_of_the_right_size_is_unchanged(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (5, 5, 3), np.uint8)
    np.testing.assert_array_equal(to_frame(image, _camera(5, 5, 5)), image)


def test_the_encoder_is_given_the_middle_of_what_is_seen(rng: np.random.Generator) -> None:
    """So a model may have learned from a camera that sees no more than that."""
    image = rng.integers(0, 256, (24, 24, 3), np.uint8)
    frame = to_frame(image, _camera(24, 24, resize=8, margin=2))
    assert frame.shape == (12, 12, 3)
    inner = to_frame(image[4:20, 4:20], _camera(16, 16, resize=8))
    np.testing.assert_array_equal(middle(frame, 8), inner)
    assert np.shares_memory(middle(frame, 8), frame)


@pytest.mark.parametrize("shape", [(8, 6, 3), (6, 9, 3), (12, 16, 3)])
def test_another_size_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(PerceptionError, match=f"/cam: image is {shape[1]}x{shape[0]}, expected 8x6"):
        to_frame(np.zeros(shape, np.uint8), _camera())
    with pytest.raises(PerceptionError, match=r"^goal: "):
        to_frame(np.zeros(shape, np.uint8), _camera(), "goal")
