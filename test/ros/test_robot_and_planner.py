"""The simulated robot and the planner, each in its process, with the shipped model: one dies, or time goes back.

Times are simulated seconds, so that a busy machine changes nothing.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
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

from .conftest import Peer, wait_for

TASK = "panda_reach"
COMMAND_TIMEOUT = 0.3  # the simulated robot's, s
SLOWING_DOWN = 0.5  # s the joints may take to come to rest
# Longer than a busy machine holds a process up, so that only the fault under test occurs.
PATIENT: Parameters = {"sensor_timeout": 2.0}


class Robot:
    """A simulated robot and its planner, and everything they say."""

    def __init__(self, peer: Peer, scenes: Environment, logs: Path, namespace: str = "") -> None:
        self.peer, self._scenes, self._logs, self._namespace = peer, scenes, logs, namespace
        self._prefix = f"/{namespace}" if namespace else ""
        self._running = ExitStack()
        self._processes: dict = {}
        start, goal = scenes.task.start_and_goal(0)  # the simulator's own seed
        self._image, self.goal = scenes.image_of(goal), np.array(goal.robot)
        self.distance_at_start = float(np.linalg.norm(np.subtract(start.robot, goal.robot)))
        self.commands = peer.record("/servo_node/delta_twist_cmds", TwistStamped, 1000)
        self.joints = peer.record("/joint_states", JointState, 1000)
        self.tools = peer.record(f"{self._prefix}/sim/ground_truth/tool", PointStamped, 1000)
        self.statuses = peer.record(f"{self._prefix}/planner/status", DiagnosticStatus, 1000)

    def start(self, *nodes: Node, sim: Parameters | None = None, planner: Parameters | None = None) -> None:
        overrides: dict[Node, Parameters] = {
            "sim": sim or {},
            "planner": {"device": "cpu", **PATIENT, **(planner or {})},
        }
        specs = stack(nodes, task=TASK, namespace=self._namespace, use_sim_time=True, overrides=overrides)
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
def robot(peer: Peer, environment: Callable[[str], Environment], tmp_path: Path) -> Iterator[Callable[..., Robot]]:
    made: list[Robot] = []

    def make(namespace: str = "") -> Robot:
        made.append(Robot(peer, environment(TASK), tmp_path, namespace))
        return made[-1]

    yield make
    for item in made:
        item.close()


def test_the_robot_comes_to_rest_when_the_planner_is_killed(robot: Callable[..., Robot]) -> None:
    it = robot()
    it.start("sim", "planner", sim={"command_timeout": COMMAND_TIMEOUT})
    it.set_goal()
    it.wait_for_approach(0.8 * it.distance_at_start)
    it.kill("planner")
    it.wait_for_time(seconds(it.joints[-1].header.stamp) + COMMAND_TIMEOUT + SLOWING_DOWN + 1.0)
    last = it.commands[-1]
    killed = seconds(last.header.stamp)
    assert speed(last) > 0.05, "it was killed too late: the robot had stopped"
    assert it.fastest(killed - 0.1, killed + 0.1) > 0.2
    rest = killed + COMMAND_TIMEOUT + SLOWING_DOWN
    assert it.fastest(rest, np.inf) < 0.05  # the elbow still settles where the tool stands
    stood = [m for m in it.tools if seconds(m.header.stamp) >= rest]
    np.testing.assert_allclose(position(stood[-1]), position(stood[0]), atol=0.005)
    assert it.distance() > 0.05, "it has stopped on its way"


def test_a_simulation_that_is_reset_is_planned_for_anew(robot: Callable[..., Robot]) -> None:
    it = robot()
    it.start("sim", "planner")
    it.set_goal()
    it.wait_for_approach(0.5 * it.distance_at_start)
    before = seconds(it.commands[-1].header.stamp)
    count = len(it.commands)
    it.call("sim/reset")
    wait_for(lambda: seconds(it.commands[-1].header.stamp) < before, "commands in the new time")
    first = next(m for m in it.commands[count:] if seconds(m.header.stamp) < before)
    assert speed(first) == 0, "the old plan must not be executed in the new time"
    wait_for(lambda: "the clock went back to" in it.log("planner"), lambda: it.log("planner"))
    it.wait_for_approach(0.25 * it.distance_at_start)
    assert it.wait_for_status("", "image goal").level == DiagnosticStatus.OK


def test_the_planner_stops_when_the_simulator_is_killed_and_goes_on_with_the_next(robot: Callable[..., Robot]) -> None:
    it = robot()
    it.start("sim", "planner")
    it.set_goal()
    it.wait_for_approach(0.8 * it.distance_at_start)
    it.kill("sim")
    status = it.wait_for_status("stopped", "/clock has stood still for ")
    assert status.level == DiagnosticStatus.ERROR
    wait_for(lambda: speed(it.commands[-1]) == 0, "a zero command")
    count = len(it.statuses)
    wait_for(lambda: len(it.statuses) >= count + 3, "more statuses")
    assert speed(it.commands[-1]) == 0 and it.state() == "stopped"
    it.start("sim")
    it.wait_for_approach(0.25 * it.distance_at_start)


def test_in_lockstep_the_same_goal_gives_the_same_motion(robot: Callable[..., Robot]) -> None:
    it = robot()
    it.start("sim", "planner", sim={"lockstep": True}, planner={"lockstep": True})
    runs = []
    for _ in range(2):
        # The simulator repeats the start scene until it is answered.
        wait_for(lambda: it.joints and seconds(it.joints[-1].header.stamp) == 0.0, "the start scene")
        del it.joints[:]
        wait_for(lambda: it.joints, "the start scene again")
        it.set_goal()
        it.wait_for_time(2.0)
        it.call("planner/cancel")
        runs.append({seconds(m.header.stamp): list(m.position) for m in it.joints})
        it.call("sim/reset")
    times = [time for time in sorted(runs[0]) if time <= 2.0]
    assert len(times) == 121, "a joint state at 60 Hz"
    first, second = (np.array([run[time] for time in times]) for run in runs)
    np.testing.assert_allclose(second, first, rtol=0, atol=1e-9)
    assert np.abs(first[-1] - first[0]).max() > 0.1, "it moved"


def test_nodes_in_a_namespace_work_together(robot: Callable[..., Robot]) -> None:
    it = robot("left/arm")
    it.start("sim", "planner")
    assert it.statuses[-1].name == "/left/arm/planner"
    it.set_goal()
    it.wait_for_approach(0.25 * it.distance_at_start)
    it.call("planner/cancel")
    it.wait_for_status("idle")
