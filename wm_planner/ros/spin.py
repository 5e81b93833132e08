"""Run a node until a signal, and leave it the time to say its last word."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node


@contextmanager
def signals() -> Iterator[threading.Event]:
    """SIGINT and SIGTERM set the event, and nothing else.

    rclpy's own handlers shut the context down at once, and nothing can be published any more: start rclpy
    with `SignalHandlerOptions.NO`.
    """
    event = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: event.set()) for number in numbers]
    try:
        yield event
    finally:
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)


def spin_until(node: Node, stop: threading.Event) -> None:
    """Run the node's callbacks until the event is set or its context is shut down."""
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    try:
        while not stop.is_set() and node.context.ok():
            executor.spin_once(timeout_sec=0.1)
    except ExternalShutdownException:
        pass
    finally:
        executor.shutdown()
