"""Ending a node between two callbacks."""

from __future__ import annotations

import signal


class StopSignal:
    """SIGINT and SIGTERM as a flag.

    rclpy's own handlers shut ROS down, or raise, in the middle of whatever runs: half a message is written,
    or a callback publishes on a dead context. Initialise rclpy with SignalHandlerOptions.NO.
    """

    def __init__(self) -> None:
        self.received = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._receive)

    def _receive(self, _number: int, _frame: object) -> None:
        self.received = True
