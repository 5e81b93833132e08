"""Violations and harmless changes: they happen, and are undone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from wm_planner.sim import violations
from wm_planner.sim.environment import Environment
from wm_planner.sim.world import SceneState

SCENE = SceneState((0.40, 0.0, 0.02), (0.5, 0.0, 0.0))
AHEAD = np.array([1.0, 0.0])


@pytest.fixture
def env(environment: Callable[[str], Environment]) -> Environment:
    push = environment("panda_push")
    push.reset(SCENE)
    return push


def test_a_teleport_moves_the_object_far_and_clear_of_the_tool(env: Environment) -> None:
    for seed in range(10):
        env.reset(SCENE)
        before = env.world.cube_pose()
        violations.teleport(env, np.random.default_rng(seed))
        after = env.world.cube_pose()
        assert np.linalg.norm(after[:2] - before[:2]) > violations.FAR
        assert np.linalg.norm(after[:2] - env.world.truth()["tool"][:2]) > violations.CLEAR


def test_without_an_object_the_robot_is_teleported(environment: Callable[[str], Environment]) -> None:
    reach = environment("panda_reach")
    reach.reset(SceneState((0.5, 0.0, 0.2)))
    violations.teleport(reach, np.random.default_rng(0))
    assert reach.distance(np.array((0.5, 0.0, 0.2))) > violations.FAR


def test_a_vanished_object_is_seen_no_more_and_comes_back(env: Environment) -> None:
    snapshot, before = env.save(), env.image().astype(int)
    violations.vanish(env)
    gone = env.image().astype(int)
    env.restore(snapshot)
    env.forget(snapshot)
    red = (before[..., 0] - before[..., 2] > 60).sum()
    assert red > 20 and (gone[..., 0] - gone[..., 2] > 60).sum() < red / 2
    np.testing.assert_array_equal(env.image(), before)


def _push(env: Environment) -> float:
    env.reset(SCENE)
    for _ in range(10):
        env.step(AHEAD)
    return float(np.linalg.norm(env.world.cube_pose()[:2] - SCENE.cube[:2]))  # type: ignore[index]


def test_a_ghost_does_not_move_the_object_until_it_is_one_no_more(env: Environment) -> None:
    assert _push(env) > 0.03
    with violations.ghost(env):
        assert _push(env) < 1e-3
    assert _push(env) > 0.03


def test_a_ghost_needs_something_to_pass_through(environment: Callable[[str], Environment]) -> None:
    with pytest.raises(ValueError, match="no object"), violations.ghost(environment("panda_reach")):
        pass


def test_harmless_changes_change_the_picture_and_nothing_else(env: Environment) -> None:
    before, pose = env.image(), env.world.cube_pose()
    for change in (violations.brighter(env, 1.3), violations.recoloured_floor(env, np.array((0.1, 0.0, 0.0)))):
        with change:
            assert np.abs(env.image().astype(int) - before).mean() > 1.0
            np.testing.assert_array_equal(env.world.cube_pose(), pose)
        assert np.abs(env.image().astype(int) - before).max() <= 1


def test_an_obstacle_stands_clear_and_is_gone_again(env: Environment) -> None:
    before, snapshot = env.image(), env.save()
    for seed in range(5):
        with violations.obstacle(env, np.random.default_rng(seed)):
            assert env.world.obstacle is not None
            place = env.world.client.getBasePositionAndOrientation(env.world.obstacle)[0][:2]
            for there in env.world.truth().values():
                assert np.linalg.norm(place - there[:2]) > violations.FAR
            assert not np.array_equal(env.image(), before)
        env.restore(snapshot)
        assert np.array_equal(env.image(), before)
    env.forget(snapshot)
