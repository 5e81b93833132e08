"""Random motion: bounded, held for a while, and part of what is collected where scripts leave gaps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wm_planner.sim.environment import Environment
from wm_planner.sim.play import PLAY, RANDOM_EVERY, make_play
from wm_planner.sim.play.random import RandomPlay

Environments = Callable[[str], Environment]


def test_actions_are_held_and_fill_their_range(environment: Environments) -> None:
    play = RandomPlay(environment("panda_push"), np.random.default_rng(0))
    actions = np.stack([play.act() for _ in range(2000)])
    changed = np.any(np.diff(actions, axis=0) != 0, axis=1)
    assert 0.1 < changed.mean() < 0.2
    assert actions.min() < -0.9 and actions.max() > 0.9


def test_it_leans_on_the_edge_of_the_workspace(environment: Environments) -> None:
    env = environment("panda_push")
    env.reset(env.task.start_and_goal(5)[0])
    play = RandomPlay(env, np.random.default_rng(1))
    edge = np.asarray(env.contract.workspace.upper[:2]) - 0.01, np.asarray(env.contract.workspace.lower[:2]) + 0.01
    leaning = 0
    for _ in range(80):
        action = play.act()
        env.move(action)
        tool = env.world.panda.tool_position()[:2]
        leaning += bool(((tool > edge[0]) & (action > 0.1) | (tool < edge[1]) & (action < -0.1)).any())
    assert leaning > 5


def test_some_episodes_of_pushing_are_random(environment: Environments) -> None:
    env, rng = environment("panda_push"), np.random.default_rng(0)
    kinds = [isinstance(make_play(env, rng, index), RandomPlay) for index in range(2 * RANDOM_EVERY["panda_push"])]
    assert kinds == ([False] * (RANDOM_EVERY["panda_push"] - 1) + [True]) * 2
    reach = environment("panda_reach")
    assert isinstance(make_play(reach, rng, RANDOM_EVERY["panda_push"] - 1), PLAY["panda_reach"])  # type: ignore[arg-type]
