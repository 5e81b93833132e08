"""Pushing: the script brings the cube home, and play touches it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from wm_planner.sim.environment import Environment
from wm_planner.sim.play.push import PushPlay, push_step, round_the_cube
from wm_planner.sim.world import SceneState

Environments = Callable[[str], Environment]


@pytest.mark.parametrize("seed", range(4))
def test_scripted_push_brings_the_cube_home(seed: int, environment: Environments) -> None:
    env = environment("panda_push")
    start, goal = env.task.start_and_goal(seed)
    env.reset(start)
    target = np.array(goal.cube[:2])
    limit = np.array(env.contract.action.limit)
    for _ in range(env.task.max_steps):
        if env.distance(target) < 0.02:
            break
        tool, cube = env.world.panda.tool_position()[:2], env.world.cube_pose()[:2]
        env.move(push_step(tool, cube, target) / limit)
    assert env.distance(target) < env.task.tolerance


def test_pushing_goes_behind_the_cube_first() -> None:
    cube, target = np.array([0.5, 0.0]), np.array([0.6, 0.0])
    behind, ahead = np.array([0.44, 0.0]), np.array([0.56, 0.001])
    assert push_step(behind, cube, target)[0] > 0.1  # pushes on
    around = push_step(ahead, cube, target)
    assert abs(around[1]) > 0.1 > abs(around[0])  # circles the cube


def test_push_play_touches_the_cube(environment: Environments) -> None:
    env = environment("panda_push")
    moved = 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        env.reset(env.task.sample(rng))
        before = env.world.cube_pose()[:2]
        play = PushPlay(env, rng)
        for _ in range(60):
            env.move(play.act())
        moved += np.linalg.norm(env.world.cube_pose()[:2] - before) > 0.02
    assert moved >= 2


def test_leaving_goes_round_the_cube(environment: Environments) -> None:
    env = environment("panda_push")
    env.world.reset(SceneState((0.40, 0.0, 0.02), (0.50, 0.005, 0.3)))
    cube, beyond = env.world.cube_pose()[:2], np.array([0.62, 0.0])
    limit = np.array(env.contract.action.limit)
    for _ in range(40):
        tool = env.world.panda.tool_position()[:2]
        env.move(np.clip(round_the_cube((beyond - tool) / 0.1, tool - cube) / limit, -1.0, 1.0))
    assert np.linalg.norm(env.world.panda.tool_position()[:2] - beyond) < 0.02
    assert np.linalg.norm(env.world.cube_pose()[:2] - cube) < 0.002
