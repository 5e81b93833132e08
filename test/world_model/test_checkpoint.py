"""Checkpoints: what comes back, and what each broken file is called."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wm_planner.configurator.contract import Contract, parse_contract
from wm_planner.world_model.checkpoint import (
    CheckpointError,
    auto_device,
    load_checkpoint,
    load_tensors,
    save_checkpoint,
    save_tensors,
)
from wm_planner.world_model.model import WorldModel


@pytest.fixture
def path(tmp_path: Path, small_model: WorldModel) -> Path:
    small_model.joint_mean.copy_(torch.linspace(-1.23456789, 2, 7))
    save_checkpoint(tmp_path / "deep" / "model.safetensors", small_model, {"task": "panda_push", "score": 0.5})
    return tmp_path / "deep" / "model.safetensors"


def _rewrite(path: Path, **metadata: str | None) -> Path:
    """The checkpoint with metadata replaced (None: removed)."""
    tensors, facts = load_tensors(path)
    merged = {k: v for k, v in (facts | metadata).items() if v is not None}
    save_tensors(path, tensors, merged)
    return path


def test_round_trip(path: Path, small_model: WorldModel, rng: np.random.Generator) -> None:
    model, facts = load_checkpoint(path, "cpu", expected=small_model.contract)
    assert facts == {"task": "panda_push", "score": 0.5}
    assert model.contract == small_model.contract and model.config == small_model.config
    assert not model.training and not any(p.requires_grad for p in model.parameters())
    frames = torch.from_numpy(rng.integers(0, 256, (3, 64, 64, 3), np.uint8))
    torch.testing.assert_close(model.encode(frames), small_model.encode(frames), atol=0.01, rtol=0.01)
    assert all(v.dtype != torch.float16 for v in model.state_dict().values())
    assert torch.equal(model.joint_mean, small_model.joint_mean)  # kept exactly
    assert not list(path.parent.glob("*.partial"))


def test_what_half_precision_cannot_hold_comes_back(tmp_path: Path, small_model: WorldModel) -> None:
    normalisation = small_model.encoder.project[1]
    normalisation.running_var.fill_(1e6)
    save_checkpoint(tmp_path / "large.safetensors", small_model, {})
    loaded = load_checkpoint(tmp_path / "large.safetensors", "cpu").model
    assert torch.equal(loaded.encoder.project[1].running_var, normalisation.running_var)


def test_saving_a_loaded_model_changes_nothing(path: Path, tmp_path: Path) -> None:
    model, facts = load_checkpoint(path, "cpu")
    save_checkpoint(tmp_path / "again.safetensors", model, facts)
    (ours, our_facts), (theirs, their_facts) = load_tensors(path), load_tensors(tmp_path / "again.safetensors")
    assert our_facts == their_facts and ours.keys() == theirs.keys()
    assert all(torch.equal(ours[k], theirs[k]) for k in ours)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*none\.safetensors.*wm_planner train"):
        load_checkpoint(tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 100, 5000, -1])
def test_truncated(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"truncated or no safetensors file.*bytes"):
        load_checkpoint(path, "cpu")


def test_truncated_where_the_length_of_its_header_begins_like_a_pickle(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes((0x280).to_bytes(8, "little") + b'{"weights":')
    with pytest.raises(CheckpointError, match="truncated or no safetensors file"):
        load_checkpoint(path, "cpu")


@given(st.binary(max_size=64))
def test_garbage(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("garbage") / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(CheckpointError):
        load_checkpoint(path, "cpu")


class _Bomb:
    """Pickles to a call that leaves a trace where it is opened."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self):
        return Path.touch, (self._trace,)


@pytest.mark.parametrize("zipped", [True, False])
def test_pickles_are_never_opened(tmp_path: Path, zipped: bool) -> None:
    trace, path = tmp_path / "ran", tmp_path / "model.safetensors"
    torch.save({"weights": _Bomb(trace)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"Python pickle.*expected safetensors"):
        load_checkpoint(path, "cpu")
    assert not trace.exists()


def test_another_contract_names_every_field(path: Path, push_contract: Contract) -> None:
    data = push_contract.model_dump(mode="json")
    data["control_rate"] = 20.0
    data["cameras"][0]["crop"] = {"x": 0, "y": 0, "width": 100, "height": 100}
    data["joints"]["names"][:2] = data["joints"]["names"][1::-1]
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(path, "cpu", expected=parse_contract(data))
    text = str(error.value)
    assert "control_rate: 20.0 != 10.0" in text
    assert "cameras[0].crop: " in text and "!= None" in text
    assert "joints.names[0]: 'panda_joint2' != 'panda_joint1'" in text
    assert "topic" not in text


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("format", "other/9", "format 'other/9', expected 'wm_planner/1'"),
        ("format", None, "format None"),
        ("contract", None, "contract"),
        ("contract", "{}", "contract"),
        ("contract", "{not json", "JSON|Expecting"),
        ("model", json.dumps({"latent_dim": 16, "new_setting": 1}), "new_setting"),
        ("model", None, "model"),
        ("facts", None, "facts"),
    ],
)
def test_metadata_that_does_not_fit(path: Path, key: str, value: str | None, said: str) -> None:
    with pytest.raises(CheckpointError, match=f"(?s)model.safetensors.*{said}"):
        load_checkpoint(_rewrite(path, **{key: value}), "cpu")


def test_weights_that_are_not_finite(tmp_path: Path, small_model: WorldModel) -> None:
    broken = copy.deepcopy(small_model)
    next(broken.critic.parameters()).data.view(-1)[0] = torch.nan
    save_checkpoint(tmp_path / "broken.safetensors", broken, {})
    with pytest.raises(CheckpointError, match=r"1 weights are not finite, critic\..* among them; train it again"):
        load_checkpoint(tmp_path / "broken.safetensors")


def test_how_far_ahead_commands_are_sent_may_differ(path: Path, push_contract: Contract) -> None:
    load_checkpoint(path, "cpu", push_contract.model_copy(update={"action_chunk": 8}))


def test_weights_of_another_architecture(path: Path, small_model: WorldModel) -> None:
    other = small_model.config.model_copy(update={"head_width": 8})
    with pytest.raises(CheckpointError, match="do not fit their own configuration"):
        load_checkpoint(_rewrite(path, model=other.model_dump_json()), "cpu")


def test_a_failed_save_keeps_the_old_file(path: Path, small_model: WorldModel) -> None:
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_checkpoint(path, small_model, {"not json": object()})
    assert path.read_bytes() == before


def test_other_users_can_read_it(path: Path) -> None:
    beside = path.with_name("beside")
    beside.touch()
    assert path.stat().st_mode == beside.stat().st_mode


def test_auto_device() -> None:
    assert auto_device("cpu") == torch.device("cpu")
    assert auto_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
