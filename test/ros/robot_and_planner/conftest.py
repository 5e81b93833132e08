"""The simulated robot and the planner, each in its process, with the shipped model."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PointStamped, TwistStamped
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from wm_planner.configurator.stack import Node, Parameters, running, stack
from wm_planner.ros.messages import image_message, seconds
from wm_planner.sim.environment import Environment

from ..conftest import Peer, wait_for

# Longer than a busy machine holds a process up, so that only the fault under test occurs.
PATIENT: Parameters = {"sensor_timeout": 2.0}


class Robot:
    """A simulated robot and its planner, and everything they say.

    `seen`: the topic the planner's camera is on; `scene`: the seed of where things are at first, and shall be.
    """

    def __init__(self, peer: Peer, scenes: Environment, logs: Path, namespace: str, seen: str, scene: int) -> None:
        self.peer, self._logs, self._namespace, self._seen, self._scene = peer, logs, namespace, seen, scene
        self._prefix = f"/{namespace}" if namespace else ""
        self._running = ExitStack()
        self._processes: dict = {}
        self._task, self.camera = scenes.task.name, scenes.contract.cameras[0].topic
        start, goal = scenes.task.start_and_goal(scene)
        self._image, self.goal = scenes.image_of(goal), np.array(goal.robot)
        self.distance_at_start = float(np.linalg.norm(np.subtract(start.robot, goal.robot)))
        self.commands = peer.record("/servo_node/delta_twist_cmds", TwistStamped, 1000)
        self.joints = peer.record("/joint_states", JointState, 1000)
        self.tools = peer.record(f"{self._prefix}/sim/ground_truth/tool", PointStamped, 1000)
        self.statuses = peer.record(f"{self._prefix}/planner/status", DiagnosticStatus, 1000)

    def start(self, *nodes: Node, sim: Parameters | None = None, planner: Parameters | None = None) -> None:
        overrides: dict[Node, Parameters] = {
            "sim": {"seed": self._scene, **(sim or {})},
            "planner": {"device": "cpu", **PATIENT, **(planner or {})},
        }
        specs = stack(nodes, task=self._task, namespace=self._namespace, use_sim_time=True, overrides=overrides)
        if self._seen:
            remapping = (self.camera, self._seen)
            specs = [replace(s, remappings=(remapping,)) if s.executable == "planner" else s for s in specs]
        self._processes |= self._running.enter_context(running(specs, log_directory=self._logs))
        if "planner" in nodes:
            del self.statuses[:]
            self.wait_for_status("idle")

    def kill(self, node: Node) -> None:
        self._processes[node].send_signal(signal.SIGKILL)
        self._processes[node].wait()

    def log(self, node: Node) -> str:
        return (self._logs / f"{node}.log").read_text(errors="replace")

    def set_goal(self) -> None:
        self.peer.publish_matched(f"{self._prefix}/planner/goal_image", image_message(self._image, 0.0, ""))
        self.wait_for_status("", "image goal")

    def call(self, service: str) -> None:
        assert self.peer.call(f"{self._prefix}/{service}", Trigger).success

    def state(self) -> str:
        return next(pair.value for pair in self.statuses[-1].values if pair.key == "state")

    def wait_for_status(self, state: str, text: str = "") -> DiagnosticStatus:
        def found() -> bool:
            assert not (self.statuses and "cannot configure" in self.statuses[-1].message), self.statuses[-1].message
            return bool(self.statuses) and state in ("", self.state()) and text in self.statuses[-1].message

        def missed() -> str:
            return f"status {state!r} with {text!r}; last: {self.statuses[-1:]}; log: {self.log('planner')}"

        wait_for(found, missed)
        return self.statuses[-1]

    def wait_for_approach(self, distance: float) -> None:
        """Wait until the tool has come this near to the goal, metres."""

        def missed() -> str:
            return f"a tool nearer than {distance} m; now {self.distance()} m; log: {self.log('planner')}"

        wait_for(lambda: self.tools and self.distance() < distance, missed)

    def wait_for_time(self, time: float) -> None:
        wait_for(lambda: self.joints and seconds(self.joints[-1].header.stamp) >= time, f"simulated time {time}")

    def distance(self) -> float:
        return float(np.linalg.norm(position(self.tools[-1]) - self.goal))

    def fastest(self, begin: float, end: float) -> float:
        """Fastest joint between two times, rad/s."""
        moments = [m for m in self.joints if begin <= seconds(m.header.stamp) < end]
        assert moments, f"no joint states between {begin} and {end} s"
        return max(float(np.abs(m.velocity).max()) for m in moments)

    def close(self) -> None:
        self._running.close()


def speed(command: TwistStamped) -> float:
    linear = command.twist.linear
    return float(np.linalg.norm([linear.x, linear.y, linear.z]))


def position(tool: PointStamped) -> np.ndarray:
    return np.array([tool.point.x, tool.point.y, tool.point.z])


@pytest.fixture
def robot(
    request: pytest.FixtureRequest, peer: Peer, environment: Callable[[str], Environment], tmp_path: Path
) -> Iterator[Callable[..., Robot]]:
    made: list[Robot] = []
    scene = request.config.getoption("--scene")

    def make(task: str = "panda_reach", namespace: str = "", seen: str = "") -> Robot:
        made.append(Robot(peer, environment(task), tmp_path, namespace, seen, scene))
        return made[-1]

    yield make
    for item in made:
        item.close()
