"""Domain randomisation: what it draws, what it leaves, and that it leaves no trace."""

from __future__ import annotations

import numpy as np
import pytest

from wm_planner.configurator.paths import checkpoint_path
from wm_planner.sim.environment import Environment
from wm_planner.sim.randomisation import Randomisation
from wm_planner.sim.tasks import get_task
from wm_planner.world_model.checkpoint import load_checkpoint


@pytest.mark.parametrize("task", ["panda_push", "panda_reach", "rover_rooms"])
def test_randomised_images_do_not_depend_on_those_before(task: str) -> None:
    env = Environment(get_task(task))
    scene = env.task.sample(np.random.default_rng(0))
    nominal, images = env.image_of(scene).astype(int), {}
    randomisation = Randomisation(env)
    randomisation.place_camera(np.random.default_rng(3))
    for seed in (*range(12), *range(12)):
        randomisation.draw(np.random.default_rng(seed))
        image = env.image_of(scene).astype(int)
        np.testing.assert_allclose(image, images.setdefault(seed, image), atol=1)
    changes = np.array([np.abs(image - nominal).mean() for image in images.values()])
    assert (changes > 1).mean() > 0.75
    randomisation.undo()
    np.testing.assert_allclose(env.image_of(scene), nominal, atol=1)
    env.close()


@pytest.mark.parametrize("task", ["panda_push", "panda_reach", "rover_rooms"])
def test_a_camera_elsewhere_is_made_up_for(task: str) -> None:
    """As far as pictures moved back can be alike: most of what its place changes is gone, in most episodes."""
    env = Environment(get_task(task))
    scene, randomisation, cameras = env.task.sample(np.random.default_rng(9)), Randomisation(env), []
    nominal, left = env.reset(scene).frame.astype(int), []
    for seed in range(12):
        randomisation.place_camera(np.random.default_rng(seed))
        seen = env.reset(scene)
        cameras.append(env.world.camera)
        frames = seen.frame, randomisation.made_up_for(seen.wide)
        change, remains = (np.abs(frame - nominal).mean() for frame in frames)
        if change > 5.0:
            left.append(remains / change)
    assert len(set(cameras)) > 6 and len(left) > 4
    assert np.median(left) < 0.5
    randomisation.undo()
    assert env.world.camera == env.task.camera
    env.close()


def test_a_camera_elsewhere_is_found_by_what_a_model_expects_while_the_robot_moves() -> None:
    env = Environment(get_task("panda_push"))
    model, left = load_checkpoint(checkpoint_path("panda_push"), "cpu").model, []
    scene, randomisation = env.task.sample(np.random.default_rng(9)), Randomisation(env, model=model)
    nominal = env.reset(scene).frame.astype(int)
    for seed in range(12):
        randomisation.place_camera(np.random.default_rng(seed))
        seen = env.reset(scene)
        for action in (*[(0.5, 0.5)] * 12, *[(-0.5, 0.5)] * 12):
            randomisation.look()
            randomisation.draw(np.random.default_rng(seed))
            env.step(np.array(action))
        frames = seen.frame, randomisation.made_up_for(seen.wide)
        change, remains = (np.abs(frame - nominal).mean() for frame in frames)
        if change > 5.0:
            left.append(remains / change)
    assert len(left) > 4
    assert np.median(left) < 0.5
    env.close()


def test_harmless_changes_leave_robot_and_camera_as_they_are() -> None:
    env = Environment(get_task("panda_reach"))
    harmless, floors, lights = Randomisation(env, harmless=True), set(), set()

    def colours(body: int) -> list[tuple]:
        return [shape[7] for shape in env.world.client.getVisualShapeData(body)]

    before = colours(env.world.robot.body), [colours(wall) for wall in env.world.scenery.walls]
    for seed in range(12):
        harmless.place_camera(np.random.default_rng(seed))
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
