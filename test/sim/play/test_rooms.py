"""Driving about two rooms: the script finds the door, and play shows all there is to learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from wm_planner.sim.environment import Environment
from wm_planner.sim.play.rooms import RoomsPlay, drive_to, waypoint, wrapped
from wm_planner.sim.scenery import DOOR_Y

Environments = Callable[[str], Environment]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_script_reaches_poses_in_both_rooms(seed: int, backwards: bool, environment: Environments) -> None:
    env = environment("rover_rooms")
    start, goal = env.task.start_and_goal(seed)
    env.reset(start)
    target, limit = np.array(goal.robot), np.array(env.contract.action.limit)
    for _ in range(env.task.max_steps):
        pose = env.world.truth()["base"][[0, 1, 3]]
        env.move(drive_to(pose, target, waypoint(pose[:2], target), backwards) / limit)
    pose = env.world.truth()["base"]
    assert env.distance(target[:2]) < 0.06 < env.task.tolerance
    assert abs(wrapped(target[2] - pose[3])) < 0.1


def test_the_way_leads_through_the_door() -> None:
    far, near = np.array([0.5, -0.8]), np.array([-0.5, -0.8])
    beside = waypoint(near, far)
    assert beside[0] < 0 and beside[1] == DOOR_Y  # in front of the door, on this side
    through = waypoint(beside, far)
    assert through[0] > 0 and through[1] == DOOR_Y  # the other side of it
    np.testing.assert_array_equal(waypoint(through, far), far)
    np.testing.assert_array_equal(waypoint(near, near + 0.1), near + 0.1)


def test_play_shows_all_kinds_of_motion(environment: Environments) -> None:
    env = environment("rover_rooms")
    poses, wheels, actions = [], [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        env.reset(env.task.sample(rng))
        play = RoomsPlay(env, rng)
        for _ in range(100):
            actions.append(play.act())
            env.move(actions[-1])
            wheels.append(env.world.robot.joints())
            poses.append(env.world.truth()["base"])
    x = np.array(poses)[:, 0].reshape(6, -1)
    left, right = np.array(wheels).T
    standing = np.abs(wheels).max(1) < 0.3
    assert (np.diff(np.sign(x), axis=1) > 0).any() and (np.diff(np.sign(x), axis=1) < 0).any(), "the door, both ways"
    assert ((left > 1) & (right > 1)).mean() > 0.2, "forwards"
    assert ((left < -1) & (right < -1)).mean() > 0.1, "backwards"
    assert (left * right < -1).mean() > 0.05, "turns on the spot"
    assert standing.mean() > 0.02, "stands still"
    assert (standing & (np.abs(actions).max(1) > 0.6)).mean() > 0.02, "is held by walls"
