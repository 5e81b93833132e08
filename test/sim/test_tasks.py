"""Tasks: starts and goals lie where they should, and evaluation never meets a scene of the collection."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wm_planner.configurator.contract import load_contract
from wm_planner.sim.environment import Environment
from wm_planner.sim.play import PLAY
from wm_planner.sim.rover import RADIUS
from wm_planner.sim.scenery import ROOMS
from wm_planner.sim.tasks import COLLECTION, TASKS, get_task

NAMES = sorted(TASKS)


@given(st.sampled_from(NAMES), st.integers(0, 2**31))
def test_start_and_goal(name: str, seed: int) -> None:
    task = get_task(name)
    start, goal = task.start_and_goal(seed)
    assert np.linalg.norm(task.place(start) - task.place(goal)) >= task.min_distance > task.tolerance
    assert task.start_and_goal(seed) == (start, goal)
    assert task.start_and_goal(seed + 1) != (start, goal)


@given(st.sampled_from(["panda_push", "panda_reach"]), st.integers(0, 2**31))
def test_scenes_lie_inside_the_workspace(name: str, seed: int) -> None:
    task = get_task(name)
    box = load_contract(task.contract).workspace
    for scene in task.start_and_goal(seed):
        assert (np.array(box.lower) < scene.robot).all() and (np.array(scene.robot) < box.upper).all()
        assert (scene.cube is not None) == task.with_cube
        if scene.cube is not None:
            cube = np.array(scene.cube[:2])
            assert (np.array(box.lower[:2]) < cube).all() and (cube < box.upper[:2]).all()
            assert np.linalg.norm(cube - scene.robot[:2]) > 0.06  # the rod does not start inside the cube


@given(st.integers(0, 2**31))
def test_the_rover_starts_and_ends_clear_of_the_walls(seed: int) -> None:
    for scene in get_task("rover_rooms").start_and_goal(seed):
        x, y, yaw = scene.robot
        assert RADIUS + 0.05 < abs(x) < ROOMS - RADIUS
        assert abs(y) < ROOMS - RADIUS
        assert abs(yaw) <= np.pi


def test_the_rovers_goal_is_in_the_other_room_at_least_half_of_the_time() -> None:
    task = get_task("rover_rooms")
    pairs = [task.start_and_goal(seed) for seed in range(400)]
    assert np.mean([start.robot[0] * goal.robot[0] < 0 for start, goal in pairs]) >= 0.5


@pytest.mark.parametrize("name", NAMES)
def test_what_is_placed_is_what_is_measured(name: str, environment: Callable[[str], Environment]) -> None:
    env = environment(name)
    start, goal = env.task.start_and_goal(3)
    env.reset(start)
    np.testing.assert_allclose(env.task.position(env.world), env.task.place(start), atol=2e-3)
    assert env.distance(env.task.place(goal)) >= env.task.min_distance - 4e-3
    assert env.task.truth in env.world.truth()


@pytest.mark.parametrize("name", NAMES)
def test_collection_and_evaluation_share_no_scene(name: str) -> None:
    """Equal seeds, and seeds equal to indices, included."""
    task = get_task(name)
    evaluation = {scene for seed in range(150) for scene in task.start_and_goal(seed)}
    collection = {
        task.sample(np.random.default_rng([seed, COLLECTION, index])) for seed in range(4) for index in range(150)
    }
    assert len(evaluation) == 300 and len(collection) == 600
    assert not evaluation & collection


@pytest.mark.parametrize("name", NAMES)
def test_every_task_is_whole(name: str) -> None:
    task = get_task(name)
    assert task.name == name
    assert load_contract(task.contract).name == task.contract
    assert name in PLAY
    assert 0 < task.hold < task.max_steps


def test_unknown_task_names_the_known() -> None:
    with pytest.raises(KeyError, match=r"no task 'juggle'.*panda_push.*panda_reach"):
        get_task("juggle")
