"""Datasets on disk: round trip, and what each broken file is called."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from wm_planner.configurator.contract import Contract
from wm_planner.data.dataset import DatasetError, Episodes, read_episodes, write_episodes

N, T = 3, 5


@pytest.fixture
def episodes(push_contract: Contract, rng: np.random.Generator) -> Episodes:
    return Episodes(
        frames=rng.integers(0, 256, (N, T + 1, 8, 8, 3), np.uint8),
        joints=rng.normal(size=(N, T + 1, 7)).astype(np.float32),
        actions=rng.uniform(-1, 1, (N, T, 2)).astype(np.float32),
        state=rng.normal(size=(N, T + 1, 7)).astype(np.float32),
        attempts=np.zeros((N, T), np.int32),
        contract=push_contract,
    )


def test_round_trip(tmp_path: Path, episodes: Episodes) -> None:
    path = tmp_path / "deep" / "play.h5"
    write_episodes(path, episodes, {"seed": 4})
    again = read_episodes(path)
    for ours, theirs in zip(episodes[:4], again[:4]):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    assert again.contract == episodes.contract
    with h5py.File(path) as file:
        assert json.loads(file.attrs["provenance"]) == {"seed": 4}
    assert [p.name for p in path.parent.iterdir()] == ["play.h5"]


def test_frames_are_read_as_they_are_used(tmp_path: Path, episodes: Episodes) -> None:
    path = tmp_path / "play.h5"
    write_episodes(path, episodes, {})
    again = read_episodes(path, 2)
    assert isinstance(again.frames, np.memmap)
    np.testing.assert_array_equal(again.frames, episodes.frames[:2])
    again.frames[:] = 0  # ours; the file is left as it was
    np.testing.assert_array_equal(read_episodes(path).frames, episodes.frames)


def test_frames_stored_otherwise_are_read(tmp_path: Path, episodes: Episodes) -> None:
    path = tmp_path / "play.h5"
    write_episodes(path, episodes, {})
    with h5py.File(path, "a") as file:
        del file["frames"]
        file.create_dataset("frames", data=episodes.frames, compression="gzip")
    np.testing.assert_array_equal(read_episodes(path).frames, episodes.frames)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no dataset at .*absent\.h5.*wm_planner collect"):
        read_episodes(tmp_path / "absent.h5")


@pytest.mark.parametrize("keep", [0, 10, 600, 4000])
def test_truncated(tmp_path: Path, episodes: Episodes, keep: int) -> None:
    path = tmp_path / "play.h5"
    write_episodes(path, episodes, {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DatasetError, match="not a whole wm_planner dataset"):
        read_episodes(path)


@pytest.mark.parametrize("gone", ["frames", "state"])
def test_missing_array(tmp_path: Path, episodes: Episodes, gone: str) -> None:
    path = tmp_path / "play.h5"
    write_episodes(path, episodes, {})
    with h5py.File(path, "a") as file:
        del file[gone]
    with pytest.raises(DatasetError, match=gone):
        read_episodes(path)


@pytest.mark.parametrize("name", ["frames", "joints", "state"])
def test_lengths_that_disagree(tmp_path: Path, episodes: Episodes, name: str) -> None:
    path = tmp_path / "play.h5"
    write_episodes(path, episodes._replace(**{name: getattr(episodes, name)[:, :-1]}), {})
    with pytest.raises(DatasetError, match=rf"{name} has \(3, 5\).*expected \(3, 6\)"):
        read_episodes(path)


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, episodes: Episodes) -> None:
    path = tmp_path / "play.h5"
    write_episodes(path, episodes, {})
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_episodes(path, episodes, {"bad": object()})
    assert path.read_bytes() == before
