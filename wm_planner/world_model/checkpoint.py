"""Checkpoints: one safetensors file with weights, contract, model configuration and model card facts.

Safetensors cannot hold code, so loading a checkpoint never runs any.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from wm_planner.configurator.contract import Contract, parse_contract
from wm_planner.world_model.config import ModelConfig
from wm_planner.world_model.model import WorldModel

FORMAT = "wm_planner/1"


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; says why and what to do."""


class Checkpoint(NamedTuple):
    """A loaded model in evaluation mode and the facts recorded with it."""

    model: WorldModel
    facts: dict


def auto_device(name: str = "auto") -> torch.device:
    """'auto' picks CUDA where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    # Not save_file, whose files only their owner can read: models are trained by one user and run by another.
    partial.write_bytes(save({k: v.detach().contiguous().cpu() for k, v in tensors.items()}, metadata))
    partial.replace(path)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file.

    Raises:
        CheckpointError: missing, truncated, or another format (a pickle is named as such, not opened).
    """
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}; train one with `wm_planner train`")
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in sorted(file.keys())}, file.metadata() or {}
    except SafetensorError as error:
        with path.open("rb") as raw:
            head = raw.read(9)
        safetensors = head[8:] == b"{"  # after the length of its header, which may begin like a pickle
        if not safetensors and (head[:2] == b"PK" or head[:1] == b"\x80"):
            raise CheckpointError(
                f"{path} is a Python pickle (torch.save), expected safetensors; pickles can run code and are never "
                "loaded: convert it with safetensors.torch.save_file where you trust it"
            ) from None
        raise CheckpointError(
            f"{path} is truncated or no safetensors file ({error}, {path.stat().st_size} bytes); copy or train it again"
        ) from None


def save_checkpoint(path: Path, model: WorldModel, facts: dict) -> None:
    """Write weights (half precision, where that holds them), contract, configuration and facts (JSON-able)."""
    tensors = {k: v if k in _EXACT else _compact(v) for k, v in model.state_dict().items()}
    metadata = {
        "format": FORMAT,
        "contract": model.contract.model_dump_json(),
        "model": model.config.model_dump_json(),
        "facts": json.dumps(facts),
    }
    save_tensors(path, tensors, metadata)


_EXACT = ("joint_mean", "joint_std")


def _compact(value: Tensor) -> Tensor:
    """In half precision, unless it is too large for that, as the variance of activations may be."""
    fits = value.is_floating_point() and bool((value.abs() <= torch.finfo(torch.half).max).all())
    return value.half() if fits else value


def load_checkpoint(path: Path, device: str = "auto", expected: Contract | None = None) -> Checkpoint:
    """Load a model for inference.

    Args:
        expected: the contract the caller is configured for.

    Raises:
        CheckpointError: unreadable, of another format, with weights that are not finite, or trained under another
            contract (names each field).
    """
    tensors, metadata = load_tensors(path)
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path} has format {metadata.get('format')!r}, expected {FORMAT!r}")
    try:
        contract = parse_contract(json.loads(metadata["contract"]), f"in {path}")
        config = ModelConfig.model_validate_json(metadata["model"])
        facts = json.loads(metadata["facts"])
    except KeyError as error:
        raise CheckpointError(f"{path} has no {error} in its metadata; train it again") from None
    except ValueError as error:  # invalid JSON, contract or configuration
        raise CheckpointError(f"{path} was written by another version: {error}; train it again") from None
    if expected is not None and (lines := expected.differences(contract)):
        raise CheckpointError(
            f"{path} was trained under another contract; configured != checkpoint:\n  " + "\n  ".join(lines)
        )
    if broken := [k for k, v in tensors.items() if v.is_floating_point() and not v.isfinite().all()]:
        raise CheckpointError(f"{path}: {len(broken)} weights are not finite, {broken[0]} among them; train it again")
    model = WorldModel(contract, config)
    try:
        model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})
    except RuntimeError as error:
        raise CheckpointError(f"{path}: weights do not fit their own configuration: {error}") from None
    return Checkpoint(model.to(auto_device(device)).eval().requires_grad_(False), facts)
