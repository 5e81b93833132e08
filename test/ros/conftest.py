"""Fixtures for tests through real nodes over real DDS, on this machine only and in a domain of their own."""

# ruff: noqa: E402
from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

# Read when rclpy is imported. Always set: these tests send commands, and the domain in the shell may be a robot's.
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

rclpy = pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from wm_planner.configurator.contract import Contract
from wm_planner.world_model.checkpoint import save_checkpoint
from wm_planner.world_model.config import ModelConfig
from wm_planner.world_model.model import WorldModel

TIMEOUT = 60.0  # seconds; generous, since the machine may be busy: only a failing test waits this long


def wait_for(condition: Callable[[], Any], what: str | Callable[[], str], timeout: float = TIMEOUT) -> Any:
    """Poll until `condition()` is true and return its value; `what` names it in the failure."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"not within {timeout} s: {what if isinstance(what, str) else what()}")


class Spinner:
    """Spins nodes of one rclpy context in a thread of its own."""

    def __init__(self, make: Callable[[Context], Node]) -> None:
        self.context = Context()
        rclpy.init(context=self.context)
        self.node = make(self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        while not self._stop.is_set():
            self._executor.spin_once(timeout_sec=0.05)

    def halt(self) -> None:
        """Stop spinning; the node stays."""
        self._stop.set()
        self._thread.join(timeout=TIMEOUT)

    def close(self) -> None:
        self.halt()
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)


_REACHES = {"configure": "inactive", "activate": "active", "deactivate": "inactive", "cleanup": "unconfigured"}


class Peer(Spinner):
    """The other side of the wire: publishes inputs, records outputs, calls services."""

    def __init__(self) -> None:
        super().__init__(lambda context: Node("peer", context=context))
        self._publishers: dict[str, Any] = {}
        self._clients: dict[str, Any] = {}

    def publish(self, topic: str, message: Any, qos: Any = 10) -> None:
        if topic not in self._publishers:
            self._publishers[topic] = self.node.create_publisher(type(message), topic, qos)
        self._publishers[topic].publish(message)

    def publish_matched(self, topic: str, message: Any, qos: Any = 10) -> None:
        """Publish once, after a subscriber has been discovered."""
        if topic not in self._publishers:
            self._publishers[topic] = self.node.create_publisher(type(message), topic, qos)
        publisher = self._publishers[topic]
        wait_for(lambda: publisher.get_subscription_count() > 0, f"a subscriber to {topic}")
        publisher.publish(message)

    def record(self, topic: str, kind: type, qos: Any = 10) -> list:
        """The list every message on `topic` is appended to from now on."""
        messages: list = []
        self.node.create_subscription(kind, topic, messages.append, qos)
        return messages

    def call(self, service: str, kind: type, request: Any = None) -> Any:
        """Call a service; asks again when no answer comes.

        A service may be reported available before its endpoints have met, which loses the first request or its
        answer, or not be reported at all although they have.
        """
        if service not in self._clients:
            self._clients[service] = self.node.create_client(kind, service)
        client = self._clients[service]
        client.wait_for_service(timeout_sec=2.0)
        futures: list = []
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            futures.append(client.call_async(request if request is not None else kind.Request()))
            again = time.monotonic() + 3.0
            while time.monotonic() < again:
                for future in futures:
                    if future.done():
                        return future.result()
                time.sleep(0.01)
        raise AssertionError(f"no answer of {service} to {len(futures)} requests within {TIMEOUT} s")

    def set_parameter(self, node: str, name: str, value: Any) -> SetParametersResult:
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        return self.call(f"/{node}/set_parameters", SetParameters, request).results[0]

    def change_state(self, node: str, transition: str) -> bool:
        """Drive a lifecycle node: 'configure', 'activate', 'deactivate', 'cleanup'."""
        request = ChangeState.Request()
        request.transition.id = getattr(Transition, f"TRANSITION_{transition.upper()}")
        done = self.call(f"/{node}/change_state", ChangeState, request).success
        # A request that was asked again finds the transition made.
        return done or self.state(node) == _REACHES[transition]

    def state(self, node: str) -> str:
        return self.call(f"/{node}/get_state", GetState).current_state.label


class Process:
    """A node in a process of its own: `python -m module --ros-args ...`; its output goes to a file."""

    def __init__(self, log: Path, module: str, arguments: list[str]) -> None:
        self._log = log
        with log.open("wb") as file:
            command = [sys.executable, "-m", module, *arguments]
            self.popen = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def signal(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the exit code."""
        self.popen.send_signal(number)
        return self.popen.wait(TIMEOUT)

    def close(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait(TIMEOUT)


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture
def start_process(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start `python -m module arguments...`; whatever still runs at the end of the test is killed."""
    started: list[Process] = []

    def start(module: str, *arguments: str) -> Process:
        log = tmp_path / f"{len(started)}_{module.rsplit('.', 1)[-1]}.log"
        started.append(Process(log, module, list(arguments)))
        return started[-1]

    yield start
    for process in started:
        process.close()


@pytest.fixture(scope="session")
def write_checkpoint(tmp_path_factory: pytest.TempPathFactory, small_config: ModelConfig) -> Callable[[Contract], Path]:
    """Write a small checkpoint of a contract: untrained, but its predictions depend on the actions."""
    directory = tmp_path_factory.mktemp("checkpoints")

    def write(contract: Contract) -> Path:
        path = directory / f"{contract.name}_{contract.action.interface.value}.safetensors"
        if not path.exists():
            torch.manual_seed(3)
            model = WorldModel(contract, small_config)
            torch.nn.init.normal_(model.predictor.leave[1].weight, std=0.1)
            save_checkpoint(path, model, {})
        return path

    return write


@pytest.fixture
def wait() -> Callable[..., Any]:
    return wait_for
