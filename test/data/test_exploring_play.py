"""Exploring play: bursts of coloured noise between the play that there would be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from wm_planner.data.collect import collect, collect_episode
from wm_planner.sim.environment import Environment
from wm_planner.sim.tasks import get_task


@pytest.mark.parametrize("name", ["panda_reach", "panda_push", "rover_rooms"])
def test_play_is_broken_off_by_noise(name: str, environment: Callable[[str], Environment]) -> None:
    env = environment(name)
    frames, _, actions, _, attempts = collect_episode(env, 0, 0, 120, explore=True)
    again = collect_episode(env, 0, 0, 120, explore=True)
    np.testing.assert_array_equal(actions, again[2])
    np.testing.assert_array_equal(frames[0], collect_episode(env, 0, 0, 1)[0][0])  # where play would start
    assert np.abs(actions).max() <= 1 and (attempts == -1).all()  # what noise leads to is nothing to imitate
    rough = np.abs(np.diff(actions, axis=0)).mean()
    assert rough > 1.5 * np.abs(np.diff(collect_episode(env, 0, 0, 120)[2], axis=0)).mean()


def test_a_planner_does_not_explore(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="leave one out"):
        collect(get_task("rover_rooms"), tmp_path / "d.h5", 1, 5, 0, 1, checkpoint=tmp_path / "m", explore=True)
