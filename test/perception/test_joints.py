"""Joint messages: any order, extra joints, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wm_planner.configurator.contract import Joints, load_contract
from wm_planner.perception.image import PerceptionError
from wm_planner.perception.joints import order_joints

JOINTS = load_contract("panda_push").joints
WHEELS = load_contract("rover_rooms").joints
MESSAGE = [*JOINTS.names, "panda_finger_joint1", "panda_finger_joint2"]


@given(st.permutations(MESSAGE), st.lists(st.floats(-3, 3), min_size=len(MESSAGE), max_size=len(MESSAGE)))
def test_any_order_with_extra_joints(names: list[str], values: list[float]) -> None:
    q = order_joints(names, values, JOINTS)
    assert q.dtype == np.float64
    assert q.tolist() == [values[names.index(n)] for n in JOINTS.names]


@given(st.sets(st.sampled_from(JOINTS.names), min_size=1))
def test_missing_joints_are_named(gone: set[str]) -> None:
    names = [n for n in MESSAGE if n not in gone]
    with pytest.raises(PerceptionError) as error:
        order_joints(names, [0.0] * len(names), JOINTS)
    said = str(error.value).split(" are missing")[0]
    assert "/joint_states" in said
    assert {n for n in JOINTS.names if n in said} == gone


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(value: float) -> None:
    positions = [0.0] * 7
    positions[4] = value
    with pytest.raises(PerceptionError, match=r"'panda_joint5'.*not finite"):
        order_joints(JOINTS.names, positions, JOINTS)


def test_joints_outside_the_contract_may_be_nan() -> None:
    q = order_joints(MESSAGE, [0.1] * 7 + [np.nan] * 2, JOINTS)
    np.testing.assert_allclose(q, 0.1)


@pytest.mark.parametrize("count", [0, 6, 8])
@pytest.mark.parametrize(
    ("joints", "what"), [(JOINTS, "7 names but {} positions"), (WHEELS, "2 names but {} velocities")]
)
def test_lengths_must_agree(joints: Joints, what: str, count: int) -> None:
    with pytest.raises(PerceptionError, match=what.format(count)):
        order_joints(joints.names, [0.0] * count, joints)


def test_velocities_are_called_velocities() -> None:
    with pytest.raises(PerceptionError, match=r"velocities of \['left_wheel_joint'\] are not finite, expected rad/s"):
        order_joints(WHEELS.names, [np.nan, 1.0], WHEELS)
