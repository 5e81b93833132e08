"""The simulated rover: drives as its twist says, is held by walls, passes the door, and stops when commands cease."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from wm_planner.configurator.contract import Contract, parse_contract
from wm_planner.sim.environment import Environment
from wm_planner.sim.rover import RADIUS
from wm_planner.sim.scenery import DOOR_WIDTH, DOOR_Y, ROOMS
from wm_planner.sim.tasks import get_task
from wm_planner.sim.world import SceneState, World

Environments = Callable[[str], Environment]
STEPS = 24  # physics steps of one control step
INTO_THE_JAMB = SceneState((-0.35, DOOR_Y - DOOR_WIDTH / 2, 0.1))


@pytest.fixture
def world(environment: Environments) -> World:
    return environment("rover_rooms").world


def _drive(world: World, ahead: float, turn: float, seconds: float) -> np.ndarray:
    """Hold a twist; every pose on the way, (N, 4)."""
    poses = []
    for _ in range(round(10 * seconds)):
        world.robot.command(np.array([ahead, turn]), world.time)
        world.step(STEPS)
        poses.append(world.truth()["base"])
    return np.stack(poses)


def _run(env: Environment, scene: SceneState) -> tuple[np.ndarray, np.ndarray]:
    """Joints and frames while driving into something."""
    observations = [env.reset(scene)] + [env.step(np.array([1.0, 0.2 if k > 8 else 0.0])) for k in range(20)]
    return np.stack([o.joints for o in observations]), np.stack([o.frame for o in observations])


def test_same_reset_and_actions_same_run_bit_for_bit(environment: Environments) -> None:
    env, other = environment("rover_rooms"), Environment(get_task("rover_rooms"))
    joints, frames = _run(env, INTO_THE_JAMB)
    assert np.abs(joints[-1]).max() < 1.0 < np.abs(joints).max()  # it was held: contact is part of what repeats
    _run(env, SceneState((0.5, -0.5, 2.0)))
    for again in (env, env, other):
        repeated = _run(again, INTO_THE_JAMB)
        np.testing.assert_array_equal(repeated[0], joints)
        np.testing.assert_array_equal(repeated[1], frames)
    other.close()


def test_save_and_restore_in_the_middle_of_a_collision(environment: Environments) -> None:
    env = environment("rover_rooms")
    env.reset(INTO_THE_JAMB)
    for _ in range(6):
        env.step(np.array([1.0, 0.0]))
    snapshot = env.save()
    first = [env.step(np.array([-0.5, 1.0])).joints for _ in range(5)]
    env.restore(snapshot)
    again = [env.step(np.array([-0.5, 1.0])).joints for _ in range(5)]
    np.testing.assert_allclose(again, first, atol=0.01)  # Bullet saves contacts, but not all that was solved for them
    env.forget(snapshot)


def test_reset_puts_it_at_rest_where_it_says(environment: Environments, rng: np.random.Generator) -> None:
    env = environment("rover_rooms")
    for _ in range(10):
        scene = env.task.sample(rng)
        _drive(env.world, 0.4, 2.0, 0.3)
        env.world.reset(scene)
        np.testing.assert_allclose(env.world.truth()["base"][[0, 1, 3]], scene.robot, atol=1e-6)
        assert np.abs(env.world.robot.joint_states()).max() == 0.0
        env.world.step(10 * STEPS)  # and it stays
        np.testing.assert_allclose(env.world.truth()["base"][[0, 1, 3]], scene.robot, atol=2e-3)


@pytest.mark.parametrize(("ahead", "turn"), [(0.4, 0.0), (-0.4, 0.0), (0.0, 2.0), (0.0, -2.0), (0.2, 1.0)])
def test_it_follows_the_commanded_twist(ahead: float, turn: float, world: World) -> None:
    world.reset(SceneState((-0.5, 0.0, 0.0)))
    _drive(world, ahead, turn, 0.3)
    before = world.truth()["base"]
    after = _drive(world, ahead, turn, 0.5)[-1]
    assert np.angle(np.exp(1j * (after[3] - before[3]))) == pytest.approx(0.5 * turn, abs=0.02)
    chord = 0.5 * ahead * np.sinc(0.25 * turn / np.pi)  # of the arc driven
    assert np.linalg.norm(after[:2] - before[:2]) == pytest.approx(abs(chord), abs=0.01)


def test_it_stops_when_commands_cease(world: World) -> None:
    world.reset(SceneState((-0.5, -0.5, np.pi / 2)))
    world.robot.command(np.array([0.4, 0.0]), world.time)
    world.step(round(0.3 * 240))
    assert world.robot.joints().min() > 7.0
    world.step(STEPS)
    rest = world.truth()["base"]
    assert 0.10 < rest[1] + 0.5 < 0.14  # 0.4 m/s for 0.3 s
    world.step(10 * STEPS)
    np.testing.assert_allclose(world.truth()["base"], rest, atol=2e-3)


def test_reset_forgets_commands(world: World) -> None:
    world.reset(SceneState((-0.5, 0.0, 0.0)))
    world.robot.command(np.array([0.4, 2.0]), world.time)
    world.step(STEPS)
    world.reset(SceneState((-0.5, 0.0, 0.0)))
    world.step(3 * STEPS)
    np.testing.assert_allclose(world.truth()["base"][[0, 1, 3]], (-0.5, 0.0, 0.0), atol=1e-3)


def test_a_wall_holds_it_and_stalls_the_wheels(world: World) -> None:
    world.reset(SceneState((-0.7, -0.5, np.pi)))
    pose = _drive(world, 0.4, 0.0, 2.0)[-1]
    assert pose[0] == pytest.approx(-ROOMS + RADIUS, abs=0.005)
    assert np.abs(world.robot.joints()).max() < 0.2
    assert _drive(world, -0.4, 0.0, 0.5)[-1][0] > -ROOMS + RADIUS + 0.1  # and lets it go


@pytest.mark.parametrize("yaw", [0.0, np.pi])
def test_the_door_is_passable_both_ways_and_the_wall_beside_it_is_not(yaw: float, world: World) -> None:
    start = -0.4 * np.cos(yaw)
    world.reset(SceneState((start, DOOR_Y, yaw)))
    assert _drive(world, 0.4, 0.0, 2.0)[-1][0] * start < 0
    world.reset(SceneState((start, DOOR_Y - DOOR_WIDTH, yaw)))
    assert np.abs(_drive(world, 0.4, 0.0, 2.0)[:, 0]).min() > RADIUS


def test_it_neither_tips_nor_leaves_the_rooms(world: World, rng: np.random.Generator) -> None:
    world.reset(SceneState((-0.5, 0.0, 0.0)))
    height = world.truth()["base"][2]
    for _ in range(80):
        ahead, turn = rng.choice([-1.0, 0.0, 1.0], 2)
        poses = _drive(world, 0.4 * ahead, 2.0 * turn, 0.7)
        assert np.abs(poses[:, :2]).max() < ROOMS - RADIUS + 0.01
        assert np.abs(poses[:, 2] - height).max() < 0.002


def test_the_camera_tells_where_it_is_and_where_it_heads(environment: Environments) -> None:
    env = environment("rover_rooms")
    frames = {pose: env.reset(SceneState(pose)).frame.astype(int) for pose in ((-0.5, 0.4, 0.0), (0.5, -0.4, 0.0))}
    for (x, y, _), frame in frames.items():
        row, column = np.argwhere(frame[..., 0] > frame[..., 2] + 60).mean(0)
        assert np.sign(column - 31.5) == np.sign(x) and np.sign(31.5 - row) == np.sign(y)
    turned = env.reset(SceneState((-0.5, 0.4, np.pi))).frame.astype(int)
    assert (np.abs(turned - frames[(-0.5, 0.4, 0.0)]).max(-1) > 60).sum() >= 10


@pytest.mark.parametrize(("field", "index"), [("position", 0), ("velocity", 1)])
def test_joints_are_what_the_contract_reads(field: str, index: int, rover_contract: Contract) -> None:
    data = rover_contract.model_dump(mode="json")
    data["joints"] |= {"field": field, "names": data["joints"]["names"][::-1]}
    world = World(parse_contract(data), get_task("rover_rooms").camera, with_cube=False)
    world.reset(SceneState((-0.5, 0.0, 0.0)))
    _drive(world, 0.0, 1.0, 0.5)
    left, right = world.robot.joint_states()[index]
    assert left < 0 < right
    assert world.robot.joints().tolist() == [right, left]
    world.close()


@pytest.mark.parametrize(
    ("part", "changes", "said"),
    [
        ("action", {"names": ["linear.x", "linear.y"]}, r"found action \['linear.y'\], expected a twist of"),
        ("joints", {"names": ["left_wheel_joint", "fifth_wheel"]}, r"no joints \['fifth_wheel'\], expected"),
    ],
)
def test_contracts_it_cannot_serve(part: str, changes: dict[str, Any], said: str, rover_contract: Contract) -> None:
    data = rover_contract.model_dump(mode="json")
    data[part] |= changes
    with pytest.raises(ValueError, match=said):
        World(parse_contract(data), get_task("rover_rooms").camera, with_cube=False)


def test_a_robot_that_is_not_simulated(rover_contract: Contract) -> None:
    contract = rover_contract.model_copy(update={"robot": "zeppelin"})
    with pytest.raises(ValueError, match="no simulated robot 'zeppelin', expected 'panda' or 'rover'"):
        World(contract, get_task("rover_rooms").camera, with_cube=False)


def test_a_rover_is_no_panda(world: World) -> None:
    with pytest.raises(ValueError, match="is a Rover, expected a Panda"):
        _ = world.panda
