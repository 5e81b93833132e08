"""The lamp follows the action as often as it is told to, and moves nothing."""

from __future__ import annotations

import numpy as np
import pytest

from wm_planner.sim.environment import Environment
from wm_planner.sim.lamp import COLOURS, quadrant
from wm_planner.sim.tasks import get_task

ACTIONS = np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]] * 5)


def _shown(env: Environment) -> list[int]:
    """The colour after each action."""
    env.reset(env.task.sample(np.random.default_rng(3)))
    shown = []
    for action in ACTIONS:
        env.step(action)
        rgba = env.world.client.getVisualShapeData(env._lamp._body)[0][7]
        shown.append(min(range(len(COLOURS)), key=lambda k: float(np.abs(np.subtract(COLOURS[k], rgba)).sum())))
    return shown


@pytest.mark.parametrize("task", ["panda_push", "rover_rooms"])
def test_the_lamp_follows_the_action(task: str) -> None:
    env = Environment(get_task(task), lamp=1.0)
    assert _shown(env) == [quadrant(a) for a in ACTIONS]
    env.close()


def test_a_broken_lamp_follows_nothing_but_the_scene() -> None:
    env = Environment(get_task("panda_push"), lamp=0.0)
    shown = _shown(env)
    assert shown != [quadrant(a) for a in ACTIONS] and len(set(shown)) > 1
    assert _shown(env) == shown
    env.close()


def test_the_lamp_is_seen_and_touches_nothing() -> None:
    plain, lit = Environment(get_task("panda_push")), Environment(get_task("panda_push"), lamp=1.0)
    scene = plain.task.sample(np.random.default_rng(3))
    frames = []
    for env in (plain, lit):
        env.reset(scene)
        for action in ACTIONS:
            frame = env.step(action).frame
        frames.append(frame)
    assert np.abs(frames[0].astype(int) - frames[1]).max() > 50
    np.testing.assert_array_equal(plain.world.cube_pose(), lit.world.cube_pose())
    for env in (plain, lit):
        env.close()


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"follows 1\.5 of the actions"):
        Environment(get_task("panda_push"), lamp=1.5)
