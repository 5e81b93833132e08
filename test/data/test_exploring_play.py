"""Exploring play: bursts of coloured noise between the play that there would be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from wm_planner.data.collect import collect, collect_episode
from wm_planner.sim.environment import Environment
from wm_planner.sim.scenery import DOOR_ENDS
from wm_planner.sim.tasks import get_task


@pytest.mark.parametrize("name", ["panda_reach", "panda_push", "rover_rooms"])
def test_play_is_broken_off_by_noise(name: str, environment: Callable[[str], Environment]) -> None:
    env = environment(name)
    frames, _, actions, _, attempts = collect_episode(env, 0, 0, 120, explore="noise")
    again = collect_episode(env, 0, 0, 120, explore="noise")
    np.testing.assert_array_equal(actions, again[2])
    np.testing.assert_array_equal(frames[0], collect_episode(env, 0, 0, 1)[0][0])  # where play would start
    assert np.abs(actions).max() <= 1 and (attempts == -1).all()  # what noise leads to is nothing to imitate
    rough = np.abs(np.diff(actions, axis=0)).mean()
    assert rough > 1.5 * np.abs(np.diff(collect_episode(env, 0, 0, 120)[2], axis=0)).mean()


def test_strokes_hold_one_velocity_past_the_object(environment: Callable[[str], Environment]) -> None:
    env = environment("panda_push")
    moved = held = 0
    for index in range(4):
        _, _, actions, state, attempts = collect_episode(env, 0, index, 60, explore="strokes")
        again = collect_episode(env, 0, index, 60, explore="strokes")
        np.testing.assert_array_equal(actions, again[2])
        assert np.abs(actions).max() <= 1 and (attempts == -1).all()
        still = (np.diff(actions, axis=0) == 0).all(1)
        held += still.sum()
        along = np.diff(state[:, :2], axis=0)[1:][still]
        assert np.abs(actions[1:][still]).max(1).min() > 0.2 and np.linalg.norm(along, axis=1).mean() > 0.004
        moved += np.linalg.norm(np.diff(state[:, 3:5], axis=0), axis=1).max() > 0.005
    assert held > 0.4 * 4 * 60 and moved > 0  # most of the time, and not always beside it


def test_shoves_keep_a_rover_at_the_ends_of_the_wall(environment: Callable[[str], Environment]) -> None:
    env, in_door = environment("rover_rooms"), {}
    for explore in ("noise", "shoves"):
        episodes = [collect_episode(env, 0, index, 80, explore=explore) for index in range(3)]
        for _, _, actions, _, attempts in episodes:
            assert np.abs(actions).max() <= 1 and (attempts == -1).all()
        x, y = np.moveaxis([state[:, :2] for _, _, _, state, _ in episodes], -1, 0)
        in_door[explore] = np.mean((np.abs(x) < 0.2) & (y > DOOR_ENDS[0]) & (y < DOOR_ENDS[1]))
    np.testing.assert_array_equal(episodes[-1][2], collect_episode(env, 0, 2, 80, explore="shoves")[2])
    assert in_door["shoves"] > max(2 * in_door["noise"], 0.2)


@pytest.mark.parametrize(
    ("task", "explore", "told"),
    [
        ("panda_push", "leaps", r"'leaps', expected one of \['noise', 'strokes', 'shoves'\]"),
        ("rover_rooms", "strokes", "rover_rooms has none"),
        ("panda_reach", "shoves", "panda_reach has none"),
    ],
)
def test_what_cannot_be_explored_is_told(tmp_path: Path, task: str, explore: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        collect(get_task(task), tmp_path / "d.h5", 1, 5, 0, 1, explore=explore)


def test_a_planner_does_not_explore(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="leave one out"):
        collect(get_task("rover_rooms"), tmp_path / "d.h5", 1, 5, 0, 1, checkpoint=tmp_path / "m", explore="noise")
