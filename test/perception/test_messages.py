"""Commands back to actions: the inverse of what the planner sends."""

from __future__ import annotations

from types import SimpleNamespace as Message
from typing import Any

import numpy as np
import pytest

from wm_planner.configurator.contract import Contract, parse_contract
from wm_planner.perception.image import PerceptionError
from wm_planner.perception.messages import decode_action

Q = np.array([0.1, -0.2, 0.3, -1.8, 0.0, 1.7, 0.8])


def _twist(x: float, y: float, frame: str = "panda_link0") -> Any:
    linear = Message(x=x, y=y, z=0.0)
    return Message(header=Message(frame_id=frame), twist=Message(linear=linear, angular=Message(x=0.0, y=0.0, z=0.0)))


def _trajectory(names: list[str], positions: list[float], after: float = 0.1) -> Any:
    time = Message(sec=0, nanosec=int(after * 1e9))
    return Message(joint_names=names, points=[Message(positions=positions, time_from_start=time)])


@pytest.fixture(scope="module")
def trajectory_contract(joint_contract: Contract) -> Contract:
    data = joint_contract.model_dump(mode="json")
    data["action"] |= {"interface": "joint_trajectory", "topic": "/arm/joint_trajectory"}
    return parse_contract(data)


def test_a_twist(push_contract: Contract) -> None:
    limit = np.array(push_contract.action.limit)
    action = decode_action(_twist(0.5 * limit[0], -limit[1]), push_contract, Q)
    np.testing.assert_allclose(action, [0.5, -1.0])


def test_joint_velocities(joint_contract: Contract) -> None:
    action = decode_action(Message(data=[0.1, 0.2, 0.3, -0.4, 0.5, -1.0]), joint_contract, Q)
    np.testing.assert_allclose(action, [0.1, 0.2, 0.3, -0.4, 0.5, -1.0])


def test_a_trajectory_in_any_order(trajectory_contract: Contract) -> None:
    names = list(trajectory_contract.action.names)
    speeds = np.array([0.1, 0.2, 0.3, -0.4, 0.5, -1.0])
    goal = Q[:6] + 0.1 * speeds
    np.testing.assert_allclose(decode_action(_trajectory(names, [*goal]), trajectory_contract, Q), speeds)
    np.testing.assert_allclose(decode_action(_trajectory(names[::-1], [*goal[::-1]]), trajectory_contract, Q), speeds)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (_twist(0.0, 0.0, "tool"), "frame_id is 'tool', expected 'panda_link0'"),
        (_twist(9.0, 0.0), r"linear.x is 9 m/s, expected at most .*raise action.limit in the contract"),
        (_twist(np.nan, 0.0), "not finite"),
    ],
)
def test_twists_that_are_refused(push_contract: Contract, message: Any, said: str) -> None:
    with pytest.raises(PerceptionError, match=f"^{push_contract.action.topic}: .*{said}"):
        decode_action(message, push_contract, Q)


def test_other_commands_that_are_refused(joint_contract: Contract, trajectory_contract: Contract) -> None:
    names = list(trajectory_contract.action.names)
    with pytest.raises(PerceptionError, match="2 values, expected 6"):
        decode_action(Message(data=[0.1, 0.2]), joint_contract, Q)
    with pytest.raises(PerceptionError, match="no points"):
        decode_action(Message(joint_names=names, points=[]), trajectory_contract, Q)
    with pytest.raises(PerceptionError, match=rf"joints \['{names[5]}'\] are missing"):
        decode_action(_trajectory(names[:5], [0.0] * 5), trajectory_contract, Q)
    with pytest.raises(PerceptionError, match="due after 0 s"):
        decode_action(_trajectory(names, [*Q[:6]], after=0.0), trajectory_contract, Q)
