"""Bags of the contract's topics to a dataset: what a robot did, on the model's time grid.

Images are picked one control step apart; joints are those nearest to an image, and an action is the mean of the
commands in effect from one image to the next. The points of a trajectory are commands one after another. What has no
stamp has the time at which it was recorded. Where images or joints are missing, or time goes back, an episode ends.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.highlevel.anyreader import AnyReaderError
from rosbags.typesys import Stores, get_typestore

from wm_planner.configurator.contract import Contract
from wm_planner.data.dataset import Episodes
from wm_planner.perception.image import PerceptionError, middle
from wm_planner.perception.messages import decode_actions, decode_frame, decode_joints

_NANOSECONDS = 1e9
_NEAR = 0.25  # control steps by which an image may miss its time
_TOGETHER = 0.05  # s between the stamps of an image and of what belongs to it, at most
_LASTS = 0.5  # s a command lasts at most: controllers stop by themselves
_RUNS_MIXED = 3  # images with the stamp of another: fewer may come of resets in a row

# What the reader and the libraries below it raise for files that are damaged.
_BROKEN = (AnyReaderError, OSError, ValueError, KeyError, AssertionError, struct.error)


class BagError(ValueError):
    """A bag that cannot be read, or in which nothing fits the contract."""


Stream = list[tuple[float, Any]]  # stamps, s, and values: arrays, or of commands what `decode_actions` makes of them


class _Run:
    """What was recorded while time ran forwards, by source: a camera's number, "joints" or "commands"."""

    def __init__(self, cameras: int) -> None:
        self.streams: dict[int | str, Stream] = {source: [] for source in (*range(cameras), "joints", "commands")}


def read_bags(
    paths: Sequence[Path],
    contract: Contract,
    steps: int,
    command_delay: float,
    progress: Callable[[int], None] = lambda done: None,
) -> Episodes:
    """Episodes of `steps` control steps out of bags, as many as there are.

    Every episode counts as one attempt, and there is no ground truth: state is (N, T+1, 0).

    Args:
        command_delay: from a command's stamp until the robot moves as it says, s.

    Raises:
        BagError: a bag is missing, broken, lacks a topic, holds runs mixed up or commands on another clock than its
            images; or no stretch in any of them is long enough.
    """
    episodes: list[tuple[np.ndarray, ...]] = []
    longest = 0
    for done, path in enumerate(paths, start=1):
        runs = _read(path, contract)
        _require_one_run_at_a_time(path, runs, contract)
        _require_one_clock(path, runs, contract, command_delay)
        for run in runs:
            for frames, joints, actions in _stretches(run, contract, command_delay):
                longest = max(longest, len(actions))
                for start in range(0, len(actions) - steps + 1, steps):
                    seen, done_in = slice(start, start + steps + 1), slice(start, start + steps)
                    episodes.append((frames[seen], joints[seen], actions[done_in]))
        progress(done)
    if not episodes:
        raise BagError(
            f"no stretch of {steps} control steps at {contract.control_rate:g} Hz without a gap, the longest is "
            f"{longest}; expected images whose rate is a multiple of the control rate. Record longer, or lower --steps"
        )
    frames, joints, actions = (np.stack(arrays) for arrays in zip(*episodes))
    count = len(episodes)
    return Episodes(
        frames=frames,
        joints=joints.astype(np.float32),
        actions=actions.astype(np.float32),
        state=np.zeros((count, steps + 1, 0), np.float32),
        attempts=np.zeros((count, steps), np.int32),
        contract=contract,
    )


def _read(path: Path, contract: Contract) -> list[_Run]:
    """All that one bag holds of the contract's topics; a new run wherever a source's time goes back."""
    runs = [_Run(len(contract.cameras))]
    try:
        with AnyReader([path], default_typestore=get_typestore(Stores.LATEST)) as reader:
            sources = _sources(path, contract, {c.topic for c in reader.connections if c.msgcount})
            for connection, logged, data in reader.messages([c for c in reader.connections if c.topic in sources]):
                message: Any = reader.deserialize(data, connection.msgtype)
                source, stamp = sources[connection.topic], _stamp(message) or logged / _NANOSECONDS
                stream = runs[-1].streams[source]
                if stream and stamp < stream[-1][0]:
                    runs.append(_Run(len(contract.cameras)))
                    stream = runs[-1].streams[source]
                if source == "commands" and not runs[-1].streams["joints"]:
                    continue  # a trajectory means nothing without the joints it starts from, nor does what is not seen
                stream.append((stamp, _decoded(message, source, contract, runs[-1])))
    except BagError:
        raise
    except PerceptionError as error:
        raise BagError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise BagError(f"no bag at {path}; make one with `wm_planner record`") from None
    except _BROKEN as error:
        raise BagError(f"{path} is not a whole bag ({error}); let the recorder finish, or record again") from None
    return runs


def _sources(path: Path, contract: Contract, found: set[str]) -> dict[str, int | str]:
    """The sources by topic; a camera's may be compressed."""
    sources: dict[str, int | str] = {contract.joints.topic: "joints", contract.action.topic: "commands"}
    for number, camera in enumerate(contract.cameras):
        compressed = f"{camera.topic}/compressed"
        sources[compressed if camera.topic not in found and compressed in found else camera.topic] = number
    if missing := sorted(sources.keys() - found):
        raise BagError(
            f"{path}: no messages on {missing}, expected some on each of the contract's topics; found {sorted(found)}"
        )
    return sources


def _stamp(message: Any) -> float:
    """The header's, s; 0 where there is none."""
    header = getattr(message, "header", None)
    return header.stamp.sec + header.stamp.nanosec / _NANOSECONDS if header else 0.0


def _decoded(message: Any, source: int | str, contract: Contract, run: _Run) -> Any:
    if source == "joints":
        return decode_joints(message, contract.joints)
    if source == "commands":
        return decode_actions(message, contract, run.streams["joints"][-1][1])
    return middle(decode_frame(message, contract.cameras[int(source)]), contract.image_size)


def _require_one_run_at_a_time(path: Path, runs: list[_Run], contract: Contract) -> None:
    """Where the recorder's own time went back, a reader brings the messages of two runs in turn.

    Raises:
        BagError: images have the stamp of the one before, but show something else; a message may well be there twice.
    """
    for number, camera in enumerate(contract.cameras):
        images = [image for run in runs for image in run.streams[number]]
        mixed = [at for (at, one), (then, other) in pairwise(images) if at == then and not np.array_equal(one, other)]
        if len(mixed) >= _RUNS_MIXED:
            raise BagError(
                f"{path}: {len(mixed)} images on {camera.topic} have the stamp of another and show something else, the "
                f"first at {mixed[0]:.3f} s; time went back while recording on simulated time: record one bag per run"
            )


def _require_one_clock(path: Path, runs: list[_Run], contract: Contract, delay: float) -> None:
    """Raises BagError where none of the commands can have acted while images were seen: all actions would be zero."""
    apart = ""
    for run in runs:
        images, commands = run.streams[0], run.streams["commands"]
        if not images or not commands:
            continue
        first, last = images[0][0], images[-1][0]
        acting = ((stamp + delay, stamp + after[-1] + _LASTS + delay) for stamp, (after, _) in commands)
        if any(begin <= last and end >= first for begin, end in acting):
            return
        apart = apart or (
            f"from {commands[0][0]:.1f} to {commands[-1][0]:.1f} s, those of images from {first:.1f} to {last:.1f} s"
        )
    if apart:
        raise BagError(
            f"{path}: times of commands on {contract.action.topic} are {apart}, expected the same clock. What has no "
            "stamp has the recorder's time: in simulation, record with --use-sim-time"
        )


def _stretches(run: _Run, contract: Contract, delay: float) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Stretches without a gap: frames (L+1, S, S, 3 * cameras), joints (L+1, J), actions (L, A)."""
    cameras = [run.streams[number] for number in range(len(contract.cameras))]
    joints = run.streams["joints"]
    commands = _acting(run.streams["commands"], contract)
    if not all(cameras) or not joints:
        return
    times = np.array([time for time, _ in cameras[0]])
    for picked in _a_step_apart(times, contract.dt):
        when = times[picked]
        companions = [_nearest(stream, when) for stream in (*cameras[1:], joints)]
        together = np.all([near for _, near in companions], axis=0)
        for part in _true_stretches(together):
            frames = [np.stack([cameras[0][i][1] for i in picked[part]])]
            frames += [np.stack([stream[i][1] for i in at[part]]) for stream, (at, _) in zip(cameras[1:], companions)]
            seen = np.stack([joints[i][1] for i in companions[-1][0][part]])
            yield np.concatenate(frames, -1), seen, _mean_actions(*commands, when[part] - delay)


def _a_step_apart(times: np.ndarray, dt: float) -> list[np.ndarray]:
    """Indices of times that follow each other `dt` apart, as many at a stretch as there are."""
    stretches, current = [], [0]
    while current[-1] + 1 < len(times):
        last = current[-1]
        after = last + 1 + int(np.abs(times[last + 1 :] - times[last] - dt).argmin())
        if abs(times[after] - times[last] - dt) <= _NEAR * dt:
            current.append(after)
        else:
            stretches.append(np.array(current))
            current = [last + 1]
    return [*stretches, np.array(current)]


def _nearest(stream: Stream, when: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The indices of what is nearest to each time, and whether it is near enough to belong to it."""
    times = np.array([time for time, _ in stream])
    after = np.searchsorted(times, when).clip(1, max(len(times) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(times) - 1)
    index = np.where(when - times[before] <= times[after] - when, before, after)
    return index, np.abs(times[index] - when) <= _TOGETHER


def _true_stretches(mask: np.ndarray) -> list[slice]:
    """Where a mask (L,) is true without interruption."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return [slice(start, end) for start, end in zip(edges[::2], edges[1::2])]


def _acting(commands: Stream, contract: Contract) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """When each command begins and ends, (N,) s, and what it is, (N, A). A message ends the one before it."""
    starts, ends, values = [np.zeros(0)], [np.zeros(0)], [np.zeros((0, contract.action_dim))]
    for (stamp, (after, actions)), until in zip(commands, [*(stamp for stamp, _ in commands[1:]), np.inf]):
        begin = stamp + after
        starts.append(np.minimum(begin, until))
        ends.append(np.minimum([*begin[1:], begin[-1] + _LASTS], until))
        values.append(actions)
    return np.concatenate(starts), np.concatenate(ends), np.concatenate(values)


def _mean_actions(starts: np.ndarray, ends: np.ndarray, values: np.ndarray, when: np.ndarray) -> np.ndarray:
    """The time average of the commands in effect between each two times, (L, A); rest counts as zero."""
    if not len(values):
        return np.zeros((len(when) - 1, values.shape[1]))
    # The integral over time of everything commanded before t, which is piecewise linear in t.
    knots = np.stack([starts, ends], 1).ravel()
    area = values * (ends - starts)[:, None]
    total = np.stack([area.cumsum(0) - area, area.cumsum(0)], 1).reshape(-1, values.shape[1])
    integral = np.stack([np.interp(when, knots, column) for column in total.T], 1)
    return np.diff(integral, axis=0) / np.diff(when)[:, None]
