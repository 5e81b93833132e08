"""The pilot slows what was planned, and only once; commands leave as early as they take to act."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

from wm_planner.actor.agent import AgentConfig, Plan
from wm_planner.configurator.contract import Contract, parse_contract
from wm_planner.ros.commander import Commander
from wm_planner.ros.commands import Command
from wm_planner.ros.inputs import Inputs
from wm_planner.ros.parameters import Settings, Vigilance
from wm_planner.ros.pilot import Log, Pilot, Show, allowed
from wm_planner.ros.worker import Decision, Goal

from .test_inputs import image, joint_state


def _decision(committed: int, speed: float) -> Decision:
    actions = np.array([[speed], [speed], [1.0], [1.0]])
    plan = Plan(0.0, 0.1, actions, torch.zeros(4, 1), np.zeros((4, 1)), 0.0, 1.0, {})
    return Decision(plan, Goal("image"), 0.0, committed, speed)


@pytest.mark.parametrize(
    ("speed", "expected"),
    [(0.3, [0.3, 0.3, 0.3, 0.3]), (1.0, [0.3, 0.3, 1.0, 1.0]), (0.0, [0.0] * 4), (0.15, [0.15] * 4)],
)
def test_what_was_under_way_slowly_is_not_slowed_again(speed: float, expected: list[float]) -> None:
    np.testing.assert_allclose(allowed(_decision(2, 0.3), speed)[:, 0], expected)


def test_what_was_under_way_at_full_speed_is_slowed_with_the_rest() -> None:
    np.testing.assert_allclose(allowed(_decision(2, 1.0), 0.3)[:, 0], [0.3] * 4)


def test_a_robot_that_stood_still_starts_with_the_plan() -> None:
    np.testing.assert_allclose(allowed(_decision(2, 0.0), 1.0)[:, 0], [0.0, 0.0, 1.0, 1.0])


class _Scene:
    """A pilot whose worker has decided on a plan of 0.1, 0.2, ..., which no limit changes, and what it publishes."""

    def __init__(self, contract: Contract, now: float, delay: float = 0.0, lockstep: bool = False) -> None:
        quick = contract.action.model_copy(update={"acceleration": (1e6,) * contract.action_dim})
        contract = contract.model_copy(update={"workspace": None, "action": quick})
        actions = np.repeat(0.1 * np.arange(1, 9)[:, None], contract.action_dim, 1)
        plan = Plan(0.0, contract.dt, actions, torch.zeros(8, 1), np.zeros((8, 1)), 0.0, 1.0, {})
        self.now, self.published = now, list[Command]()
        inputs = Inputs(contract)
        inputs.put_joints(joint_state(contract, now), now)
        inputs.put_image(0, image(now), now)
        settings = Settings(AgentConfig(), delay, 0.5, 0.05, 2.0, 0.02, Vigilance(False, 0.5, 0.1, 0.3))
        log = Log(lambda text: None, lambda text: None, lambda text: None)
        show = Show(lambda *_: None, lambda *_: None)
        commander = Commander(contract, self.published.append)
        self.pilot = Pilot(contract, inputs, commander, settings, lockstep, lambda: self.now, log, show)
        self.decision = Decision(plan, Goal("image"), 0.0, 0, 1.0)
        self.pilot.worker = SimpleNamespace(
            decision=self.decision, goal=self.decision.goal, camera_moved=0.0, reset=lambda: None
        )


def _commanded(contract: Contract, now: float, delay: float, lockstep: bool) -> tuple[float, tuple[float, float]]:
    """When a command is published; then what memory is told."""
    scene = _Scene(contract, now, delay, lockstep)
    pilot, published = scene.pilot, scene.published
    pilot.decided(scene.decision) if lockstep else pilot.tick()
    (time, action), *_ = pilot.commanded()
    return published[-1].header.stamp.nanosec * 1e-9, (time, float(action[0]))


@pytest.mark.parametrize(("delay", "index"), [(0.0, 2), (0.04, 2), (0.06, 3), (0.15, 4)])
def test_commands_leave_as_early_as_they_take_to_act(push_contract: Contract, delay: float, index: int) -> None:
    stamped, (acts, action) = _commanded(push_contract, 0.25, delay, lockstep=False)
    assert action == pytest.approx(0.1 * (index + 1))
    assert (stamped, acts) == (pytest.approx(0.25), pytest.approx(0.25 + delay))


def test_in_lockstep_commands_act_at_once(push_contract: Contract) -> None:
    assert _commanded(push_contract, 0.0, 0.15, lockstep=True)[1] == (0.0, pytest.approx(0.1))


def test_a_trajectory_carries_as_much_of_a_plan_as_the_contract_says(joint_contract: Contract) -> None:
    data = joint_contract.model_dump(mode="json") | {"action_chunk": 3}
    data["action"]["interface"] = "joint_trajectory"
    scene = _Scene(parse_contract(data), 0.25)
    for scene.now in (0.25, 0.35, 0.5, 0.56):  # where plans are late, it goes on with the plan
        scene.pilot.tick()
    first, second = scene.published
    assert [len(message.points) for message in (first, second)] == [3, 3]
    times, actions = zip(*scene.pilot.commanded())
    assert times == (0.25, 0.35, 0.5, 0.56)
    np.testing.assert_allclose([action[0] for action in actions], [0.3, 0.4, 0.5, 0.6], atol=1e-9)


def test_a_system_clock_that_was_set_back_is_noticed(push_contract: Contract) -> None:
    scene = _Scene(push_contract, 100.0)
    assert not scene.pilot.watch()
    scene.now = 40.0
    assert scene.pilot.watch()
    scene.pilot.clock_went_back()
    assert scene.published[-1].header.stamp.sec == 40 and scene.published[-1].twist.linear.x == 0.0
    assert not scene.pilot.watch(), "once"


@pytest.mark.parametrize("goal", [True, False])
def test_when_time_goes_back_a_robot_without_a_goal_is_left_alone(push_contract: Contract, goal: bool) -> None:
    """Others may be moving it."""
    scene = _Scene(push_contract, 100.0)
    if not goal:
        scene.pilot.worker.goal = None
    scene.pilot.rewound("time went back")
    assert len(scene.published) == goal
