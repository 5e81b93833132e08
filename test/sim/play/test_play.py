"""Scripted play: what it shows the model is worth learning from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from wm_planner.sim.environment import Environment
from wm_planner.sim.play import PLAY

Environments = Callable[[str], Environment]


@pytest.mark.parametrize("name", sorted(PLAY))
def test_play_is_repeatable_and_bounded(name: str, environment: Environments) -> None:
    env = environment(name)
    runs = []
    for _ in range(2):
        rng = np.random.default_rng(5)
        env.reset(env.task.sample(rng))
        play = PLAY[name](env, rng)
        actions = []
        for _ in range(25):
            actions.append(play.act())
            env.move(actions[-1])
        runs.append(np.stack(actions))
    np.testing.assert_array_equal(runs[0], runs[1])
    assert runs[0].shape == (25, env.contract.action_dim)
    assert np.abs(runs[0]).max() <= 1.0
    assert runs[0].std(0).min() > 0.05  # every action is explored
