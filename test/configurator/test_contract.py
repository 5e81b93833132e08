"""The contract: what it accepts, what it refuses, and how it says so."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from wm_planner.configurator.contract import (
    Contract,
    ContractError,
    available_contracts,
    load_contract,
    parse_contract,
)

PUSH = load_contract("panda_push").model_dump(mode="json")


def _changed(path: str, value: Any) -> dict:
    """PUSH with the value at a dotted path replaced."""
    data = copy.deepcopy(PUSH)
    *parents, last = path.split(".")
    place: Any = data
    for key in parents:
        place = place[int(key) if isinstance(place, list) else key]
    place[int(last) if isinstance(place, list) else last] = value
    return data


@pytest.mark.parametrize(("name", "axes"), [("panda_push", 2), ("panda_reach", 3), ("rover_rooms", 2)])
def test_shipped_contracts(name: str, axes: int) -> None:
    contract = load_contract(name)
    assert contract.name == name
    assert contract.action_dim == axes
    assert contract.dt == pytest.approx(0.1)
    assert contract.image_size == 64
    assert name in available_contracts()


def test_parameter_files_are_no_contracts() -> None:
    assert not [n for n in available_contracts() if n.endswith("_params")]


def test_command_scales_by_the_limits() -> None:
    data = _changed("action.limit", [0.5, 0.1])
    np.testing.assert_allclose(parse_contract(data).command(np.array([-1.0, 0.5])), [-0.5, 0.05])


def test_load_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(PUSH))
    assert load_contract(path) == load_contract(str(path)) == load_contract("panda_push")


def test_missing_file_names_the_alternatives(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"absent\.yaml.*panda_push"):
        load_contract(tmp_path / "absent.yaml")
    with pytest.raises(ContractError, match="panda_reach"):
        load_contract("no_such_contract")


@pytest.mark.parametrize("text", ["a: [1, 2", "", "just words", "[1, 2]"])
def test_broken_files_are_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(ContractError, match="broken"):
        load_contract(path)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("name", "Panda Push", "name"),
        ("control_rate", 0.0, "control_rate"),
        ("control_rate", float("nan"), "control_rate"),
        ("context_length", 0, "context_length"),
        ("cameras", [], "cameras"),
        ("cameras.0.resize", -1, "resize"),
        ("cameras.0.crop", {"x": 100, "y": 0, "width": 64, "height": 64}, r"crop ends at \(164, 64\)"),
        ("cameras.0.margin", -1, "margin"),
        ("cameras", [PUSH["cameras"][0]] * 2, "camera topics repeat"),
        ("cameras", [PUSH["cameras"][0], PUSH["cameras"][0] | {"topic": "/b", "resize": 32}], r"\[64, 32\]"),
        ("cameras", [PUSH["cameras"][0], PUSH["cameras"][0] | {"topic": "/b", "margin": 8}], r"margins \[0, 8\]"),
        ("joints.names", ["one"], "lower has 7 values, expected 1"),
        ("joints.names", [PUSH["joints"]["names"][0]] * 7, "panda_joint1.*repeat"),
        ("joints.velocity", [1.0], "velocity has 1 values, expected 7"),
        ("joints.field", "effort", "joints.field.*'position' or 'velocity'"),
        ("joints.field", "velocity", "joints.field is 'velocity', expected 'position': kinematics needs positions"),
        ("joints.lower.2", 9.0, "joint panda_joint3: lower 9.0 is not below"),
        ("action.limit", [0.25], "limit has 1 values, expected 2"),
        ("action.limit.0", 0.0, "positive"),
        ("action.limit.0", float("nan"), "action.limit"),
        ("action.acceleration.1", -1.0, "positive"),
        ("action.acceleration.1", float("inf"), "action.acceleration"),
        ("action.names.0", "sideways", "sideways.*linear.x"),
        ("action.names.0", "linear.y", "linear.y.*repeat"),
        ("action.frame_id", "", "frame_id is empty"),
        ("action.interface", "telepathy", "twist"),
        ("action.interface", "joint_velocity", "action.names .*linear.x"),
        ("workspace.lower.0", 0.9, "x: lower 0.9 is above upper"),
        ("kinematics", None, "workspace needs kinematics"),
        ("kinematics.dh", [[0.0, 0.0, 0.0]], "1 rows, expected 7"),
        ("camera", "extra", "camera.*[Ee]xtra"),
        ("joints.topik", "/x", "joints.topik"),
    ],
)
def test_invalid_contracts_name_the_field(path: str, value: Any, said: str) -> None:
    with pytest.raises(ContractError, match=f"(?s){said}"):
        parse_contract(_changed(path, value))


def test_a_contract_from_before_a_field_existed_means_its_default() -> None:
    old = copy.deepcopy(PUSH)
    del old["joints"]["field"]
    assert parse_contract(old) == parse_contract(PUSH)
    assert parse_contract(PUSH).differences(parse_contract(old)) == []


def test_wheels_are_read_by_velocity_and_cannot_be_commanded_by_position() -> None:
    rover = load_contract("rover_rooms")
    assert rover.joints.field == "velocity" and rover.workspace is None and rover.kinematics is None
    data = rover.model_dump(mode="json")
    data["action"] |= {"interface": "joint_velocity", "names": data["joints"]["names"]}
    with pytest.raises(ContractError, match="'velocity', expected 'position': joint_velocity needs positions"):
        parse_contract(data)


def test_every_error_is_reported_at_once() -> None:
    data = _changed("control_rate", -1)
    data["context_length"] = "many"
    with pytest.raises(ContractError) as error:
        parse_contract(data, "mine")
    text = str(error.value)
    assert "mine" in text and "control_rate" in text and "context_length" in text
    assert "'many'" in text and "-1" in text


def test_contracts_cannot_be_changed() -> None:
    contract = load_contract("panda_push")
    with pytest.raises(ValueError, match="frozen"):
        contract.name = "other"


def _leaves(data: Any, where: str = "") -> list[str]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    found = [leaf for key, value in items for leaf in _leaves(value, f"{where}.{key}" if where else str(key))]
    return found or [where]


SAFE = [  # leaves that may become any of these without making the contract invalid
    leaf for leaf in _leaves(PUSH) if leaf.split(".")[0] in ("kinematics", "robot") or ".topic" in leaf
]


@given(st.sampled_from(SAFE), st.integers(1, 9))
def test_differences_name_exactly_the_changed_field(leaf: str, number: int) -> None:
    text = leaf.endswith("topic") or leaf == "robot"
    ours, theirs = parse_contract(PUSH), parse_contract(_changed(leaf, f"/other{number}" if text else 100.0 + number))
    (line,) = ours.differences(theirs)
    field = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in leaf.split(".")).removeprefix(".")
    assert line.startswith(f"{field}: ")
    assert str(number) in line
    assert [d.split(":")[0] for d in theirs.differences(ours)] == [field]


def test_differences_see_missing_parts() -> None:
    ours, theirs = parse_contract(PUSH), parse_contract(PUSH | {"workspace": None})
    assert ours.differences(ours) == []
    (line,) = ours.differences(theirs)
    assert line.startswith("workspace: ") and line.endswith("!= None")


@given(
    st.lists(st.floats(0.01, 10.0), min_size=2, max_size=2),
    st.floats(1.0, 1000.0),
    st.integers(1, 8),
)
def test_json_round_trip(limit: list[float], rate: float, context: int) -> None:
    contract = parse_contract(PUSH | {"control_rate": rate, "context_length": context})
    contract = contract.model_copy(update={"action": contract.action.model_copy(update={"limit": tuple(limit)})})
    assert Contract.model_validate_json(contract.model_dump_json()) == contract
