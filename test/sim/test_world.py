"""The simulated robot: deterministic, restorable, safe when commands cease, and where it is told to be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from wm_planner.configurator.contract import Contract, load_contract
from wm_planner.configurator.kinematics import forward
from wm_planner.sim.environment import Environment
from wm_planner.sim.panda import HOME
from wm_planner.sim.tasks import get_task
from wm_planner.sim.world import CUBE_SIDE, PHYSICS_DT, SceneState, World

Environments = Callable[[str], Environment]
PUSH_SCENE = SceneState((0.40, 0.02, 0.02), (0.5, 0.0, 0.3))
STEPS = 24  # physics steps of one control step


@pytest.fixture
def make_world() -> Iterator[Callable[[Contract], World]]:
    made: list[World] = []

    def make(contract: Contract) -> World:
        made.append(World(contract, get_task("panda_push").camera, with_cube=False))
        return made[-1]

    yield make
    for world in made:
        world.close()


def _state(world: World) -> np.ndarray:
    parts = [world.panda.joint_positions(), world.panda.joint_velocities()]
    return np.concatenate([*parts, world.cube_pose()] if world.cube is not None else parts)


def _push(world: World, control_steps: int) -> np.ndarray:
    """Drive the rod into the cube and return every state on the way."""
    states = []
    for i in range(control_steps):
        world.panda.command(np.array([0.2, 0.02 * (i % 3)]), world.time)
        world.step(STEPS)
        states.append(_state(world))
    return np.stack(states)


def test_same_reset_and_commands_same_trajectory(environment: Environments) -> None:
    world = environment("panda_push").world
    runs = []
    for before in (SceneState((0.6, 0.2, 0.02), (0.45, -0.1, 0.0)), PUSH_SCENE, PUSH_SCENE):
        world.reset(before)
        world.step(STEPS)  # whatever lies at the same place already must leave no trace
        world.reset(PUSH_SCENE)
        runs.append(_push(world, 8))
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])
    assert runs[0][-1][-4] > 0.52  # the cube was pushed: contact is part of what repeats


def test_another_instance_gives_the_same_trajectory(environment: Environments) -> None:
    world, other = environment("panda_push").world, Environment(get_task("panda_push"))
    world.reset(PUSH_SCENE)
    other.world.reset(PUSH_SCENE)
    np.testing.assert_allclose(_push(world, 6), _push(other.world, 6), atol=1e-9)
    np.testing.assert_array_equal(world.render(64, 64), other.world.render(64, 64))
    other.close()


def test_save_and_restore(environment: Environments) -> None:
    world = environment("panda_push").world
    world.reset(PUSH_SCENE)
    _push(world, 3)
    snapshot, time = world.save(), world.time
    first = _push(world, 5)
    for _ in range(2):
        world.restore(snapshot)
        assert world.time == time
        np.testing.assert_allclose(_push(world, 5), first, atol=1e-6)
    world.forget(snapshot)


def test_time_counts_physics_steps_from_the_reset(environment: Environments) -> None:
    world = environment("panda_push").world
    world.reset(PUSH_SCENE)
    assert world.time == 0.0
    world.step(30)
    assert world.time == pytest.approx(30 * PHYSICS_DT)
    world.reset(PUSH_SCENE)
    assert world.time == 0.0


@pytest.mark.parametrize("name", ["panda_reach", "panda_push"])
def test_reset_puts_the_tool_where_it_says(name: str, environment: Environments, rng: np.random.Generator) -> None:
    """The inverse kinematics reach every place a task samples, tool down, joints within limits."""
    env = environment(name)
    lower, upper = np.array(env.contract.joints.lower), np.array(env.contract.joints.upper)
    for _ in range(15):
        scene = env.task.sample(rng)
        env.world.reset(scene)
        np.testing.assert_allclose(env.world.panda.tool_position(), scene.robot, atol=2e-3)
        q = env.world.panda.joint_positions()
        assert (q > lower).all() and (q < upper).all()
        pointing = forward(env.contract.kinematics, q)[0][:3, 2]
        np.testing.assert_allclose(pointing, [0, 0, -1], atol=0.02)
        assert np.abs(env.world.panda.joint_velocities()).max() == 0.0


def test_reset_puts_the_cube_where_it_says(environment: Environments) -> None:
    world = environment("panda_push").world
    world.reset(PUSH_SCENE)
    np.testing.assert_allclose(world.cube_pose(), [0.5, 0.0, CUBE_SIDE / 2, 0.3], atol=1e-6)
    world.step(5 * STEPS)
    np.testing.assert_allclose(world.cube_pose(), [0.5, 0.0, CUBE_SIDE / 2, 0.3], atol=2e-3)  # and it rests there


def test_a_world_with_a_cube_needs_its_place(environment: Environments) -> None:
    with pytest.raises(ValueError, match="cube"):
        environment("panda_push").world.reset(SceneState((0.5, 0.0, 0.02)))
    with pytest.raises(ValueError, match="no cube"):
        environment("panda_reach").world.cube_pose()


def test_tool_follows_the_commanded_velocity(environment: Environments) -> None:
    world = environment("panda_reach").world
    world.reset(SceneState((0.5, 0.0, 0.2)))
    start, velocity = world.panda.tool_position(), np.array([0.05, -0.1, 0.08])
    for _ in range(10):
        world.panda.command(velocity, world.time)
        world.step(STEPS)
    np.testing.assert_allclose(world.panda.tool_position() - start, velocity * 1.0, atol=0.012)


def test_arm_stops_when_commands_cease(environment: Environments) -> None:
    world = environment("panda_reach").world
    world.reset(SceneState((0.5, 0.0, 0.2)))
    world.panda.command(np.array([0.0, 0.2, 0.0]), world.time)
    world.step(2 * STEPS)
    assert np.abs(world.panda.joint_velocities()).max() > 0.05
    world.step(5 * STEPS)  # timeout 0.3 s, and time to settle
    rest = world.panda.tool_position()
    assert rest[1] == pytest.approx(0.2 * 0.3, abs=0.015)
    world.step(5 * STEPS)
    np.testing.assert_allclose(world.panda.tool_position(), rest, atol=1e-3)
    assert np.abs(world.panda.joint_velocities()).max() < 0.01


def test_reset_forgets_commands(environment: Environments) -> None:
    world = environment("panda_reach").world
    world.reset(SceneState((0.5, 0.0, 0.2)))
    world.panda.command(np.array([0.0, 0.2, 0.0]), world.time)
    world.step(STEPS)
    world.reset(SceneState((0.5, 0.0, 0.2)))
    world.step(3 * STEPS)
    np.testing.assert_allclose(world.panda.tool_position(), (0.5, 0.0, 0.2), atol=3e-3)


def test_joint_velocity_interface(joint_contract: Contract, make_world: Callable[[Contract], World]) -> None:
    world = make_world(joint_contract)
    start = world.panda.joint_positions()
    velocity = np.array([0.2, 0.0, -0.1, 0.0, 0.0, 0.3])
    for _ in range(5):
        world.panda.command(velocity, world.time)
        world.step(STEPS)
    np.testing.assert_allclose(world.panda.joint_positions() - start, [*(velocity * 0.5), 0.0], atol=0.02)


def test_joint_trajectory_is_followed_and_limited(environment: Environments) -> None:
    world = environment("panda_reach").world
    world.reset(SceneState((0.5, 0.0, 0.3)))
    start, goal = world.panda.joint_positions(), HOME + np.array([0.3, 0, 0, 0.1, 0, 0, 0])
    world.panda.follow([(0.0, start), (1.0, goal)], world.time)
    world.step(5 * STEPS)
    np.testing.assert_allclose(world.panda.joint_positions(), (start + goal) / 2, atol=0.03)
    world.step(7 * STEPS)
    np.testing.assert_allclose(world.panda.joint_positions(), goal, atol=0.01)
    world.panda.follow([(world.time + 1e-3, HOME + 2.0 * np.eye(7)[0])], world.time)  # a jump of 1.7 rad
    before = world.panda.joint_positions()
    world.step(STEPS // 2)
    moved = np.abs(world.panda.joint_positions() - before).max()
    limit = np.array(load_contract("panda_reach").joints.velocity)
    assert 0 < moved <= limit.max() * STEPS / 2 * PHYSICS_DT + 0.02


def test_camera_sees_what_moves(environment: Environments) -> None:
    world = environment("panda_push").world
    images = []
    for cube in ((0.45, -0.1, 0.0), (0.58, 0.1, 0.0)):
        world.reset(SceneState((0.32, 0.2, 0.02), cube))
        images.append(world.render(128, 128).astype(int))
    assert images[0].shape == (128, 128, 3)
    # The cube is red: it is found in each image, at different places.
    centres = [np.argwhere((i[..., 0] > 2 * i[..., 1]) & (i[..., 0] > 80)).mean(0) for i in images]
    assert np.linalg.norm(centres[0] - centres[1]) > 20


def test_camera_averages_its_samples() -> None:
    task = get_task("rover_rooms")
    images = []
    for samples, side in ((1.0, 256), (2.0, 128)):
        world = World(load_contract(task.contract), replace(task.camera, samples=samples), with_cube=False)
        world.reset(SceneState((0.40, 0.30, 0.7)))
        images.append(world.render(side, side).astype(float))
        world.close()
    assert images[1].shape == (128, 128, 3)
    np.testing.assert_allclose(images[1], images[0].reshape(128, 2, 128, 2, 3).mean((1, 3)), atol=0.51)


def test_environment_obeys_its_contract(environment: Environments) -> None:
    env = environment("panda_push")
    first = env.reset(PUSH_SCENE)
    assert first.frame.shape == (64, 64, 3) and first.frame.dtype == np.uint8
    np.testing.assert_array_equal(first.wide, first.frame)
    assert first.joints.shape == (7,) and first.time == 0.0
    second = env.step(np.array([1.0, 0.0]))
    assert second.time == pytest.approx(env.contract.dt)
    assert not np.array_equal(first.frame, second.frame)
    env.reset(PUSH_SCENE)
    env.move(np.array([1.0, 0.0]))
    np.testing.assert_array_equal(env.observe().frame, second.frame)


@pytest.mark.parametrize(("name", "margin"), [("panda_reach", 16), ("rover_rooms", 8)])
def test_a_margin_is_seen_around_what_the_encoder_is_given(environment: Environments, name: str, margin: int) -> None:
    env = environment(name)
    seen = env.reset(env.task.sample(np.random.default_rng(0)))
    assert env.contract.cameras[0].margin == margin
    assert seen.frame.shape == (64, 64, 3) and seen.wide.shape == (64 + 2 * margin, 64 + 2 * margin, 3)
    np.testing.assert_array_equal(seen.wide[margin:-margin, margin:-margin], seen.frame)
    assert seen.wide[:margin].std() > 1


def test_environment_keeps_the_tool_inside_the_workspace(environment: Environments) -> None:
    env = environment("panda_push")
    env.reset(SceneState((0.65, 0.2, 0.02), (0.4, -0.1, 0.0)))
    for _ in range(12):
        env.step(np.array([3.0, 3.0]))
    tool, upper = env.world.panda.tool_position(), np.array(env.contract.workspace.upper)
    assert (tool[:2] < upper[:2] + 0.01).all()
    assert (tool[:2] > upper[:2] - 0.03).all()  # it did go to the corner


def test_distance_is_to_the_goal_position(environment: Environments) -> None:
    env = environment("panda_push")
    env.reset(PUSH_SCENE)
    assert env.distance(np.array([0.5, 0.04])) == pytest.approx(0.04, abs=1e-3)


def test_an_obstacle_is_seen_and_stops_the_cube_until_a_reset(environment: Callable[[str], Environment]) -> None:
    env = environment("panda_push")
    scene = SceneState((0.40, 0.0, 0.02), (0.48, 0.0, 0.0))
    pushed = []
    for obstacle in (True, False):
        env.reset(scene)
        before = env.image()
        if obstacle:
            env.world.place_obstacle(0.56, 0.0, 0.0)
        assert np.array_equal(env.image(), before) != obstacle
        for _ in range(12):
            env.step(np.array([0.6, 0.0]))
        pushed.append(env.world.cube_pose()[0] - 0.48)
    assert pushed[0] < 0.03 < 0.08 < pushed[1]
