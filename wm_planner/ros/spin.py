"""Run a node until a signal, and leave it the time to say its last word."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

try:  # from Kilted on; rclpy's own loop keeps the interpreter busy a fifth of the time, and planning waits for it
    from rclpy.experimental import EventsExecutor as Executor
except ImportError:
    Executor = SingleThreadedExecutor


def run(name: str, make: Callable[[threading.Event], Any], args: list[str] | None = None) -> int:
    """A node's whole life: make it, spin it until SIGINT or SIGTERM, call its `close`.

    Args:
        make: returns a node that has a `close`; is given the event that ends it, too.

    Returns:
        The exit code: 1, with one line on stderr, where `make` raises what a wrong parameter raises.
    """
    with _signals() as stop:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        try:
            node = make(stop)
        except (KeyError, ValueError, FileExistsError, ParameterException) as error:
            text = error.args[0] if isinstance(error, KeyError) and error.args else error
            print(f"{name}: {text}", file=sys.stderr)
            rclpy.try_shutdown()
            return 1
        try:
            _spin_until(node, stop)
        finally:
            node.close()
            rclpy.try_shutdown()
    return 0


@contextmanager
def _signals() -> Iterator[threading.Event]:
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


def _spin_until(node: Node, stop: threading.Event) -> None:
    """Run the node's callbacks until the event is set or its context is shut down."""
    executor = Executor(context=node.context)
    executor.add_node(node)
    try:
        while not stop.is_set() and node.context.ok():
            executor.spin_once(timeout_sec=0.1)
    except ExternalShutdownException:
        pass
    finally:
        executor.shutdown()
