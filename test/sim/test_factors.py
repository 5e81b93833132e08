"""Factors of variation: each changes what it says, the same for the same draw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from wm_planner.sim.environment import Environment
from wm_planner.sim.factors import FACTORS, Randomisation, factors_of
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


@pytest.mark.parametrize("task", ["panda_push", "panda_reach", "rover_rooms"])
def test_randomised_images_do_not_depend_on_those_before(task: str) -> None:
    env = Environment(get_task(task))
    scene = env.task.sample(np.random.default_rng(0))
    nominal, images = env.image_of(scene).astype(int), {}
    randomisation = Randomisation(env)
    for seed in (*range(12), *range(12)):
        randomisation.draw(np.random.default_rng(seed))
        image = env.image_of(scene).astype(int)
        np.testing.assert_allclose(image, images.setdefault(seed, image), atol=1)
    changes = np.array([np.abs(image - nominal).mean() for image in images.values()])
    assert (changes > 1).mean() > 0.75
    randomisation.undo()
    np.testing.assert_allclose(env.image_of(scene), nominal, atol=1)
    env.close()


def test_harmless_changes_leave_robot_and_camera_as_they_are() -> None:
    env = Environment(get_task("panda_reach"))
    harmless, floors, lights = Randomisation(env, harmless=True), set(), set()

    def colours(body: int) -> list[tuple]:
        return [shape[7] for shape in env.world.client.getVisualShapeData(body)]

    before = colours(env.world.robot.body), [colours(wall) for wall in env.world.scenery.walls]
    for seed in range(12):
        harmless.draw(np.random.default_rng(seed))
        assert (colours(env.world.robot.body), [colours(wall) for wall in env.world.scenery.walls]) == before
        assert env.world.camera == env.task.camera
        floors.add(colours(env.world.scenery.floor)[0])
        lights.add(env.world.light.direction)
    assert len(floors) > 4 and len(lights) > 4
    env.close()


def test_a_painted_rover_still_shows_its_front() -> None:
    env = Environment(get_task("rover_rooms"))

    def colours() -> tuple[dict[int, tuple], tuple]:
        by_link = {shape[1]: shape[7] for shape in env.world.client.getVisualShapeData(env.world.robot.body)}
        return by_link, by_link.pop(env.world.robot.markers[0])

    (body, front), randomisation, bodies = colours(), Randomisation(env), set()
    for seed in range(12):
        randomisation.draw(np.random.default_rng(seed))
        painted, kept = colours()
        assert kept == front
        bodies.add(painted[-1])
    assert len(bodies) > 4
    randomisation.undo()
    assert colours() == (body, front)
    env.close()


def test_some_randomised_images_show_a_background() -> None:
    env = Environment(get_task("panda_reach"))
    randomisation, walls = Randomisation(env), []
    for seed in range(40):
        randomisation.draw(np.random.default_rng(seed))
        walls.append(env.world.client.getVisualShapeData(env.world.scenery.walls[0])[0][7])
    covered = sum(colour == (1.0, 1.0, 1.0, 1.0) for colour in walls)
    assert 4 < covered < 24 and len(set(walls)) == 2  # walls have their own colour else
    env.close()
