"""Recorded experience on disk: one HDF5 file of equal-length episodes.

Layout: frames (N, T+1, S, S, 3) uint8, joints (N, T+1, J) float32, actions (N, T, A) float32 normalised,
state (N, T+1, K) float32 ground truth for probes and the true-state ceiling, never given to the model,
attempts (N, T) int32: actions with one number were made to one end; what an attempt led to is a goal in hindsight.
Negative: to no end.
The contract travels in the file's attributes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from wm_planner.configurator.contract import Contract, parse_contract


class DatasetError(ValueError):
    """A dataset that cannot be read or does not fit."""


class Episodes(NamedTuple):
    """Arrays of equal-length episodes, shaped as the module says. Frames of a file are read as they are used."""

    frames: np.ndarray
    joints: np.ndarray
    actions: np.ndarray
    state: np.ndarray
    attempts: np.ndarray
    contract: Contract

    @classmethod
    def of(cls, arrays: Iterable[Any], contract: Contract) -> Episodes:
        """From arrays in the order of ARRAYS."""
        return cls(**dict(zip(ARRAYS, arrays)), contract=contract)

    def part(self, which: slice | np.ndarray) -> Episodes:
        """Some of the episodes: a slice, or (N,) bool."""
        return Episodes.of((array[which] for array in self[:-1]), self.contract)

    def without_frames(self) -> Episodes:
        """All else of them, where what the cameras saw is known by its latents."""
        return self._replace(frames=self.frames[:0])


ARRAYS = Episodes._fields[:-1]


def joined(parts: Sequence[Episodes]) -> Episodes:
    """The episodes of several datasets, one after another.

    Raises:
        DatasetError: they are of several contracts, or not equally long.
    """
    first, *others = parts
    if not others:
        return first  # its frames may be more than fit in memory
    require_one_contract(parts)
    for other in others:
        ours, theirs = first.actions.shape[1], other.actions.shape[1]
        if ours != theirs:
            raise DatasetError(f"datasets have episodes of {ours} and of {theirs} steps, expected equally long ones")
    return Episodes.of((np.concatenate(arrays) for arrays in zip(*(part[:-1] for part in parts))), first.contract)


def require_one_contract(parts: Sequence[Episodes]) -> None:
    """Raise a DatasetError where datasets are of several contracts."""
    first, *others = parts
    for other in others:
        if lines := first.contract.differences(other.contract):
            raise DatasetError("datasets are of several contracts; first != other:\n  " + "\n  ".join(lines))


def write_episodes(path: Path, episodes: Episodes, provenance: dict) -> None:
    """Write a dataset whole or not at all: it appears under its name only when complete."""
    partial = path.with_suffix(".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(partial, "w") as file:
        for name in ARRAYS:
            file.create_dataset(name, data=getattr(episodes, name))
        file.attrs["contract"] = episodes.contract.model_dump_json()
        file.attrs["provenance"] = json.dumps(provenance)
    partial.replace(path)


def read_episodes(path: Path, first: int | None = None) -> Episodes:
    """Read a dataset, or its first episodes, into memory; but for the frames, which may be more than fit in it.

    Raises:
        DatasetError: the file is missing, truncated, or holds other arrays than expected.
    """
    try:
        with h5py.File(path, "r") as file:
            arrays = {name: (_mapped(file[name]) if name == "frames" else file[name])[:first] for name in ARRAYS}
            contract = parse_contract(json.loads(file.attrs["contract"]), str(path))
    except FileNotFoundError:
        raise DatasetError(f"no dataset at {path}; make one with `wm_planner collect`") from None
    except (OSError, KeyError) as error:
        raise DatasetError(f"{path} is not a whole wm_planner dataset ({error}); collect it again") from None
    episodes = Episodes(**arrays, contract=contract)
    n, t = episodes.actions.shape[:2]
    for name in ARRAYS:
        found, expected = getattr(episodes, name).shape[:2], (n, t if name in ("actions", "attempts") else t + 1)
        if found != expected:
            raise DatasetError(f"{path}: {name} has {found} episodes and steps, expected {expected}")
    return episodes


def _mapped(dataset: h5py.Dataset) -> np.ndarray:
    """A dataset as `write_episodes` stores it, left where it is."""
    offset = dataset.id.get_offset()
    if offset is None:  # chunked or compressed by another tool, or empty
        return dataset[:]
    return np.memmap(dataset.file.filename, dataset.dtype, "c", offset, dataset.shape)
