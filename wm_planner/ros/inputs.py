"""Sensor messages to observations: the newest image, and the joint state nearest to it in time."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import NamedTuple

import numpy as np
from sensor_msgs.msg import CompressedImage, Image, JointState

from wm_planner.configurator.contract import Contract
from wm_planner.perception.messages import decode_frame, decode_joints
from wm_planner.ros.messages import seconds

_JOINT_STATES = 512  # half a second at 1 kHz
_MISSED = 32  # images kept for a worker that is busy


class Raw(NamedTuple):
    """Messages that belong together: one image per camera and a joint state; stamp: the first image's, s."""

    images: tuple[Image | CompressedImage, ...]
    joints: JointState
    stamp: float
    received: float


class Observation(NamedTuple):
    """frame: with its margin, (W, W, 3 * cameras) uint8; joints: (J,) rad; stamp: s; received: time.monotonic, s."""

    frame: np.ndarray
    joints: np.ndarray
    stamp: float
    received: float


def decode(raw: Raw, contract: Contract) -> Observation:
    """Decode what `Inputs.take` returned.

    Raises:
        PerceptionError: a message does not fit the contract.
    """
    frames = [decode_frame(m, c) for m, c in zip(raw.images, contract.cameras)]
    return Observation(
        np.concatenate(frames, axis=2), decode_joints(raw.joints, contract.joints), raw.stamp, raw.received
    )


class Inputs:
    """Newest messages by source. Callbacks put, which only stores; the worker takes.

    Stamps and `now` are seconds of the node's clock, so that a slowed-down simulation is not taken for a dead one.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._lock = threading.Lock()
        self._images: list[Image | CompressedImage | None] = [None] * len(contract.cameras)
        self._joints: deque[tuple[float, JointState]] = deque(maxlen=_JOINT_STATES)
        self._names = frozenset(contract.joints.names)
        self._others: list[str] = []  # the joints of a message that holds none of the contract's
        self._received: dict[str, float] = {}
        self._image_received = 0.0
        self._taken = True
        self._missed: deque[tuple[tuple[Image | CompressedImage, ...], float]] = deque(maxlen=_MISSED)
        self._unmatched: tuple[float, str] | None = None

    def put_image(self, camera: int, message: Image | CompressedImage, now: float) -> None:
        with self._lock:
            if camera == 0 and not self._taken and (images := self._complete()):
                self._missed.append((images, self._image_received))
            self._images[camera] = message
            self._received[self._contract.cameras[camera].topic] = now
            if camera == 0:
                self._image_received = time.monotonic()
            self._taken = False

    def put_joints(self, message: JointState, now: float) -> bool:
        """Store, but for messages of other joints alone, a gripper's; True where an image has been waiting for it."""
        stamp = seconds(message.header.stamp)
        with self._lock:
            if self._names.isdisjoint(message.name):
                self._others = list(message.name)
                return False
            if self._joints and stamp < self._joints[-1][0] - self._contract.dt:
                self._joints.clear()  # time went back: those are of another run
            self._joints.append((stamp, message))
            self._received[self._contract.joints.topic] = now
            return not self._taken

    def take(self, tolerance: float, now: float) -> Raw | None:
        """Messages not taken before whose stamps lie within `tolerance` of the first camera's; else None."""
        with self._lock:
            images = self._complete()
            if self._taken or not self._joints or not images:
                return None
            raw, topic, gap = self._match(images, self._image_received)
            if gap > tolerance:
                since = self._unmatched[0] if self._unmatched else now
                text = f"stamps of {topic} are {gap:.2f} s from those of {self._contract.cameras[0].topic}"
                self._unmatched = since, f"{text}, expected within {tolerance:g} s; synchronise their clocks"
                return None
            self._taken, self._unmatched = True, None
            return raw

    def missed(self, tolerance: float, before: float) -> list[Raw]:
        """What was replaced before it was taken and is stamped earlier than this, oldest first; then forgotten."""
        with self._lock:
            if not self._joints:
                return []
            matches = [self._match(*entry) for entry in self._missed]
            self._missed = deque([e for e, m in zip(self._missed, matches) if m[0].stamp >= before], _MISSED)
            return [raw for raw, _, gap in matches if raw.stamp < before and gap <= tolerance]

    def _complete(self) -> tuple[Image | CompressedImage, ...]:
        """The newest image of each camera; none where one is still to come."""
        images = tuple(m for m in self._images if m is not None)
        return images if len(images) == len(self._images) else ()

    def _match(self, images: tuple[Image | CompressedImage, ...], received: float) -> tuple[Raw, str, float]:
        """Images with the joint state nearest to the first; the source whose stamp is furthest from it, and how far."""
        stamp = seconds(images[0].header.stamp)
        # Of equal stamps the newest: before a reset, others may have had the same.
        nearest, joints = min(reversed(self._joints), key=lambda entry: abs(entry[0] - stamp))
        gaps = {self._contract.joints.topic: abs(nearest - stamp)}
        for camera, image in zip(self._contract.cameras[1:], images[1:]):
            gaps[camera.topic] = abs(seconds(image.header.stamp) - stamp)
        topic, gap = max(gaps.items(), key=lambda item: item[1])
        return Raw(images, joints, stamp, received), topic, gap

    def images(self) -> list[Image | CompressedImage | None]:
        """The newest image of each camera."""
        with self._lock:
            return list(self._images)

    def newest_joints(self) -> JointState | None:
        with self._lock:
            return self._joints[-1][1] if self._joints else None

    def rewind(self, now: float) -> None:
        """The clock went back to `now`: drop what is stamped later, and offer the newest image again."""
        with self._lock:
            limit = now + self._contract.dt
            self._images = [m if m and seconds(m.header.stamp) <= limit else None for m in self._images]
            if self._joints and self._joints[-1][0] > limit:
                self._joints.clear()  # all of them: the early ones, too, are of the run that is over
            self._received = {topic: min(received, now) for topic, received in self._received.items()}
            self._taken, self._unmatched = False, None
            self._missed.clear()

    def fault(self, timeout: float, now: float) -> str | None:
        """What keeps the sensors from being used: the source, its age, what to do; None when all is well."""
        with self._lock:
            for topic in [*(c.topic for c in self._contract.cameras), self._contract.joints.topic]:
                kind, others = "image", ""
                if topic == self._contract.joints.topic:
                    kind, others = "joint state", f"; {self._others} came alone" if self._others else ""
                if topic not in self._received:
                    return f"no {kind} on {topic} yet; check that its publisher runs and that the names match{others}"
                age = now - self._received[topic]
                if age > timeout:
                    return f"no {kind} on {topic} for {age:.1f} s, expected one within {timeout:g} s{others}"
            if self._unmatched and now - self._unmatched[0] > timeout:
                return self._unmatched[1]
            return None
