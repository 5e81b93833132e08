"""The limiter: properties that must hold whatever is asked of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wm_planner.actor.limiter import Limiter, UnsafeCommand
from wm_planner.configurator.contract import Contract, load_contract, parse_contract
from wm_planner.configurator.kinematics import forward
from wm_planner.sim.panda import HOME

REACH, PUSH, ROOMS = (load_contract(name) for name in ("panda_reach", "panda_push", "rover_rooms"))


def _by_joints(interface: str) -> Contract:
    data = REACH.model_dump(mode="json")
    names = data["joints"]["names"][::-1][:5]  # neither all joints nor the joints' order
    data["action"] |= {"interface": interface, "names": names, "unit": ["rad/s"] * 5}
    data["action"] |= {"limit": [1.0, 0.5, 1.0, 2.0, 1.0], "acceleration": [10.0] * 5}
    return parse_contract(data)


VELOCITY = _by_joints("joint_velocity")
BY_JOINTS = [VELOCITY, _by_joints("joint_trajectory")]
CONTRACTS = [REACH, PUSH, ROOMS, *BY_JOINTS]


def _vector(size: int, low: float, high: float) -> st.SearchStrategy[np.ndarray]:
    return st.lists(st.floats(low, high), min_size=size, max_size=size).map(np.array)


@st.composite
def _situations(draw: st.DrawFn) -> tuple[Contract, np.ndarray, np.ndarray, np.ndarray, float]:
    """Contract, wild action, joints about anywhere, a previous command even beyond limits, dt."""
    contract = draw(st.sampled_from(CONTRACTS))
    limit, joints = np.array(contract.action.limit), contract.joints
    action = draw(_vector(len(limit), -1e6, 1e6) | _vector(len(limit), -1.5, 1.5))
    where = draw(_vector(len(joints.names), -0.1, 1.1))
    q = np.array(joints.lower) + where * (np.array(joints.upper) - joints.lower)
    previous = draw(_vector(len(limit), -1, 1) | _vector(len(limit), -100, 100)) * limit
    return contract, action, q, previous, draw(st.sampled_from([0.002, 0.02, 0.1]))


@given(_situations())
def test_never_beyond_the_limits(situation) -> None:
    contract, action, q, previous, dt = situation
    command = Limiter(contract)(action, q, previous, dt)
    assert command.shape == (contract.action_dim,)
    assert np.isfinite(command).all()
    assert (np.abs(command) <= np.array(contract.action.limit) + 1e-12).all()


@given(_situations())
def test_inputs_are_left_alone(situation) -> None:
    contract, action, q, previous, dt = situation
    copies = action.copy(), q.copy(), previous.copy()
    Limiter(contract)(action, q, previous, dt)
    for ours, theirs in zip(copies, (action, q, previous)):
        np.testing.assert_array_equal(ours, theirs)


@given(st.sampled_from([REACH, PUSH]), _vector(7, -0.6, 0.6), _vector(3, -5, 5), _vector(3, -1, 1))
def test_never_drives_the_tool_out_of_the_workspace(
    contract: Contract, away: np.ndarray, action: np.ndarray, before: np.ndarray
) -> None:
    q, dt, n = HOME + away, contract.dt, contract.action_dim
    command = Limiter(contract)(action[:n], q, before[:n] * contract.action.limit, dt)
    tool = forward(contract.kinematics, q)[0][:3, 3]
    after = tool.copy()
    after[:n] += command * dt
    lower, upper = np.array(contract.workspace.lower), np.array(contract.workspace.upper)
    # Inside stays inside; what is outside does not get further out.
    assert (_outside(after, lower, upper) <= _outside(tool, lower, upper) + 1e-9)[:n].all()


@given(st.sampled_from(BY_JOINTS), _vector(7, -0.05, 1.05), _vector(5, -5, 5), st.sampled_from([0.02, 0.1]))
def test_never_drives_joints_beyond_their_ends(
    contract: Contract, where: np.ndarray, action: np.ndarray, dt: float
) -> None:
    lower, upper = np.array(contract.joints.lower), np.array(contract.joints.upper)
    q = lower + where * (upper - lower)
    command = Limiter(contract)(action, q, np.zeros(5), dt)
    i = [contract.joints.names.index(n) for n in contract.action.names]
    after = q[i] + command * dt
    assert (_outside(after, lower[i], upper[i]) <= _outside(q[i], lower[i], upper[i]) + 1e-9).all()


@given(st.sampled_from(BY_JOINTS), _vector(7, -0.6, 0.6), _vector(5, -5, 5))
def test_never_drives_the_tool_out_of_the_workspace_by_its_joints(
    contract: Contract, away: np.ndarray, action: np.ndarray
) -> None:
    q, dt = HOME + away, contract.dt
    after = q.copy()
    after[[contract.joints.names.index(n) for n in contract.action.names]] += (
        Limiter(contract)(action, q, np.zeros(5), dt) * dt
    )
    lower, upper = np.array(contract.workspace.lower), np.array(contract.workspace.upper)
    tools = [forward(contract.kinematics, joints)[0][:3, 3] for joints in (q, after)]
    assert (_outside(tools[1], lower, upper) <= _outside(tools[0], lower, upper) + 1e-6).all()


def test_joints_move_freely_inside_the_workspace_and_stop_at_its_walls() -> None:
    limiter, q, up = Limiter(VELOCITY), _free(), np.array([0.0, 0.0, 0.0, -1.0, 0.0])  # the shoulder, backwards
    names = [VELOCITY.joints.names.index(n) for n in VELOCITY.action.names]
    command = limiter(up, q, np.zeros(5), VELOCITY.dt)
    assert np.abs(command).max() > 0.4
    for _ in range(100):
        q = q.copy()
        q[names] += limiter(up, q, command, VELOCITY.dt) * VELOCITY.dt
    tool = forward(VELOCITY.kinematics, q)[0][:3, 3]
    room = np.minimum(tool - np.array(VELOCITY.workspace.lower), np.array(VELOCITY.workspace.upper) - tool)
    assert (room > -1e-6).all() and room.min() < 0.01


@given(_vector(7, 0.0, 1.0), _vector(5, -5, 5))
def test_joint_ends_are_approached_by_a_control_step(where: np.ndarray, action: np.ndarray) -> None:
    """However soon the next command is due, it may be late."""
    lower, upper = np.array(VELOCITY.joints.lower), np.array(VELOCITY.joints.upper)
    q = lower + where * (upper - lower)
    command = Limiter(VELOCITY)(action, q, np.array(VELOCITY.action.limit) * np.sign(action), 0.002)
    i = [VELOCITY.joints.names.index(n) for n in VELOCITY.action.names]
    after = q[i] + command * VELOCITY.dt
    assert ((lower[i] - 1e-9 <= after) & (after <= upper[i] + 1e-9)).all()


@pytest.mark.parametrize("before", [0.0, -0.1])
def test_outside_the_workspace_the_way_back_gathers_speed_as_elsewhere(before: float) -> None:
    """Whatever was planned, even rest."""
    q = _free()
    for _ in range(20):
        pose, jacobian = forward(REACH.kinematics, q)
        q = q + np.linalg.pinv(jacobian[:3]) @ np.array([0.0, 0.0, REACH.workspace.upper[2] + 0.1 - pose[2, 3]])
    command = Limiter(REACH)(np.zeros(3), q, np.array([0.0, 0.0, before]), 0.02)
    assert command[2] == pytest.approx(before - REACH.action.acceleration[2] * 0.02)


@given(st.sampled_from([REACH, ROOMS]), _vector(3, -5, 5), _vector(3, -1, 1), st.sampled_from([0.002, 0.02]))
def test_acceleration_is_limited_in_free_space(
    contract: Contract, action: np.ndarray, before: np.ndarray, dt: float
) -> None:
    n = contract.action_dim
    previous = before[:n] * contract.action.limit
    command = Limiter(contract)(action[:n], _free(contract), previous, dt)
    assert (np.abs(command - previous) <= np.array(contract.action.acceleration) * dt + 1e-9).all()


@given(_vector(3, -1, 1))
def test_harmless_actions_pass_unchanged(action: np.ndarray) -> None:
    command = Limiter(REACH)(action, _free(), REACH.command(action), REACH.dt)
    np.testing.assert_allclose(command, REACH.command(action))


@given(st.sampled_from(CONTRACTS), st.data())
def test_not_finite_is_unsafe(contract: Contract, data: st.DataObject) -> None:
    """A NaN or infinity anywhere in the inputs is refused, never published."""
    inputs = [np.zeros(contract.action_dim), _free(contract), np.zeros(contract.action_dim)]
    which = data.draw(st.integers(0, 2))
    index = data.draw(st.integers(0, len(inputs[which]) - 1))
    inputs[which][index] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    with pytest.raises(UnsafeCommand, match="not finite"):
        Limiter(contract)(*inputs, 0.02)


@given(st.sampled_from(CONTRACTS), st.data())
def test_wrong_shapes_are_unsafe(contract: Contract, data: st.DataObject) -> None:
    sizes = [contract.action_dim, len(contract.joints.names), contract.action_dim]
    which = data.draw(st.integers(0, 2))
    wrong = data.draw(st.integers(0, 9))
    assume(wrong != sizes[which])
    sizes[which] = wrong
    with pytest.raises(UnsafeCommand, match=rf"shape \({wrong},\), expected"):
        Limiter(contract)(*(np.zeros(s) for s in sizes), 0.02)


def test_a_wall_stops_the_tool_where_it_stands() -> None:
    """Driving up at full speed for long ends at the ceiling, not beyond."""
    limiter, dt = Limiter(REACH), REACH.dt
    q, previous = _free(), np.zeros(3)
    for _ in range(60):
        previous = limiter(np.array([0.0, 0.0, 1.0]), q, previous, dt)
        _, jacobian = forward(REACH.kinematics, q)
        q = q + np.linalg.pinv(jacobian) @ np.array([*previous, 0, 0, 0]) * dt
    ceiling = REACH.workspace.upper[2]
    assert forward(REACH.kinematics, q)[0][2, 3] == pytest.approx(ceiling, abs=0.005)


def test_no_workspace_no_walls() -> None:
    contract = parse_contract(REACH.model_dump(mode="json") | {"workspace": None})
    command = Limiter(contract)(np.ones(3), np.zeros(7), np.array(contract.action.limit), contract.dt)
    np.testing.assert_allclose(command, contract.action.limit)


def _outside(x: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """How far beyond the bounds, componentwise."""
    return np.maximum(np.maximum(lower - x, x - upper), 0.0)


def _free(contract: Contract = REACH) -> np.ndarray:
    """Joints with the tool well inside the reach workspace; of a rover, wheels at rest."""
    if contract is ROOMS:
        return np.zeros(2)
    q = HOME.copy()
    middle = (np.array(REACH.workspace.lower) + REACH.workspace.upper) / 2
    for _ in range(50):
        pose, jacobian = forward(REACH.kinematics, q)
        q = q + np.linalg.pinv(jacobian[:3]) @ (middle - pose[:3, 3]) * 0.5
        tool = forward(REACH.kinematics, q)[0][:3, 3]
    np.testing.assert_allclose(tool, middle, atol=1e-6)
    return q
