"""Writes the contract's topics to an MCAP bag, which rosbag2 and Foxglove open."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import Image, JointState

from wm_planner.configurator.contract import Contract, load_contract
from wm_planner.ros import qos
from wm_planner.ros.commands import MESSAGE
from wm_planner.ros.spin import run

_BAG_VERSION: Final = 8  # what rosbag2 of Humble reads, and every later one


def recorded_topics(contract: Contract) -> list[tuple[str, type, QoSProfile]]:
    """Everything a bag holds: observations, commands, goals, time."""
    return [
        *((camera.topic, Image, qos.RECORDED_STREAM) for camera in contract.cameras),
        (contract.joints.topic, JointState, qos.RECORDED_STREAM),
        ("/clock", ClockMessage, qos.RECORDED_STREAM),
        (contract.action.topic, MESSAGE[contract.action.interface], qos.RECORDED_EVENT),
        ("/planner/goal_image", Image, qos.RECORDED_EVENT),
        ("/planner/goal_joint_state", JointState, qos.RECORDED_EVENT),
    ]


class RecorderNode(Node):
    """Node `recorder`. Messages are stamped with the time they arrive, by this node's clock.

    `finished` is called after the parameter `max_seconds`.
    """

    def __init__(self, finished: Callable[[], None]) -> None:
        super().__init__("recorder")
        contract = load_contract(self._fixed("contract", "panda_reach", "Contract: an installed name, or a path"))
        output = self._fixed("output", "", "Directory of the new bag; empty: <contract>_<date>_<time> here")
        seconds = ParameterDescriptor(
            description="Wall-clock seconds to record; 0: until stopped",
            read_only=True,
            floating_point_range=[FloatingPointRange(from_value=0.0, to_value=1e6, step=0.0)],
        )
        max_seconds: float = self.declare_parameter("max_seconds", 0.0, seconds).value
        self.path = Path(output or f"{contract.name}_{time.strftime('%Y%m%d_%H%M%S')}").expanduser()
        if self.path.exists():
            raise FileExistsError(f"output {self.path} exists, expected a new directory; choose another or remove it")
        self.messages = 0
        self._writer = Writer(self.path, version=_BAG_VERSION, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        distro = os.environ.get("ROS_DISTRO", "").upper()
        typestore = get_typestore(getattr(Stores, f"ROS2_{distro}", Stores.LATEST))
        for topic, kind, profile in recorded_topics(contract):
            self._record(topic, kind, profile, typestore)
        if max_seconds:
            self.create_timer(max_seconds, finished, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.get_logger().info(f"recording contract {contract.name} to {self.path}")

    def close(self) -> None:
        """Finish the bag: without its index no reader opens it."""
        self._writer.close()
        self.get_logger().info(f"wrote {self.messages} messages to {self.path}")
        self.destroy_node()

    def _fixed(self, name: str, default: str, description: str) -> str:
        return self.declare_parameter(name, default, ParameterDescriptor(description=description, read_only=True)).value

    def _record(self, topic: str, kind: type, profile: QoSProfile, typestore: Typestore) -> None:
        name = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
        connection = self._writer.add_connection(topic, name, typestore=typestore)

        def write(data: bytes) -> None:
            self._writer.write(connection, self.get_clock().now().nanoseconds, data)
            self.messages += 1

        self.create_subscription(kind, topic, write, profile, raw=True)


def main(args: list[str] | None = None) -> int:
    return run("recorder", lambda stop: RecorderNode(stop.set), args)


if __name__ == "__main__":
    sys.exit(main())
