"""Factors of variation: each changes what it says, the same for the same draw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from wm_planner.sim.environment import Environment
from wm_planner.sim.factors import FACTORS, factors_of
from wm_planner.sim.tasks import get_task
from wm_planner.sim.world import SceneState

SCENE = SceneState((0.40, 0.0, 0.02), (0.5, 0.0, 0.0))
UNSEEN = ("object mass", "friction", "latency 1", "latency 2", "latency 3")


@pytest.fixture
def env() -> Iterator[Environment]:
    """One of its own: factors last."""
    env = Environment(get_task("panda_push"))
    yield env
    env.close()


@pytest.mark.parametrize("name", [name for name in FACTORS if name not in UNSEEN])
def test_what_can_be_seen_changes_the_picture(env: Environment, name: str) -> None:
    nominal = env.image_of(SCENE).astype(int)
    FACTORS[name].vary(env, np.random.default_rng(2))
    varied = env.image_of(SCENE).astype(int)
    assert np.abs(varied - nominal).mean() > 0.05
    FACTORS[name].vary(env, np.random.default_rng(2))
    if name != "sensor noise":
        np.testing.assert_allclose(env.image_of(SCENE), varied, atol=1)


def test_a_camera_elsewhere_is_the_same_camera(env: Environment) -> None:
    pose = replace(env.task.camera, samples=1.5)
    env.task = replace(env.task, camera=pose)
    FACTORS["camera 5 cm"].vary(env, np.random.default_rng(2))
    moved = env.world.camera
    assert (moved.fov, moved.samples) == (pose.fov, pose.samples)
    assert np.linalg.norm(np.subtract(moved.eye, pose.eye)) == pytest.approx(0.05)


def _pushed(env: Environment) -> float:
    """How far the cube slides on after a push."""
    env.reset(SCENE)
    for _ in range(8):
        env.step(np.array([1.0, 0.0]))
    env.step(np.array([-1.0, 0.0]))
    for _ in range(8):
        env.step(np.array([-1.0, 0.0]))
    return float(env.world.cube_pose()[0])


@pytest.mark.parametrize("name", ["object mass", "friction"])
def test_what_can_only_be_felt_changes_what_a_push_does(env: Environment, name: str) -> None:
    nominal = _pushed(env)
    FACTORS[name].vary(env, np.random.default_rng(3))
    assert abs(_pushed(env) - nominal) > 1e-5


@pytest.mark.parametrize("late", [1, 3])
def test_late_observations_keep_the_time_they_were_made_at(env: Environment, late: int) -> None:
    FACTORS[f"latency {late}"].vary(env, np.random.default_rng(0))
    first = env.reset(SCENE)
    seen = [env.step(np.array([0.5, 0.0])) for _ in range(6)]
    assert [o.time for o in seen] == pytest.approx([max(0, k + 1 - late) * env.contract.dt for k in range(6)])
    np.testing.assert_array_equal(seen[late - 1].frame, first.frame)


def test_tasks_without_an_object_have_none_of_its_factors() -> None:
    assert set(factors_of(True)) - set(factors_of(False)) == {
        "object colour",
        "object size",
        "object mass",
        "friction",
    }
