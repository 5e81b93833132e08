"""Goals: repeatable, far enough from the start, and brought about as they claim."""

from __future__ import annotations

import numpy as np
import pytest

from wm_planner.evaluation.goals import GoalKind, make_goal
from wm_planner.sim.environment import Environment
from wm_planner.sim.tasks import TASKS, get_task


@pytest.mark.parametrize("kind", ["placed", "scripted", "random"])
@pytest.mark.parametrize("task", sorted(TASKS))
def test_goals_repeat_and_are_far_enough(task: str, kind: GoalKind) -> None:
    env = Environment(get_task(task))
    goal, other = make_goal(env, 700_001, kind), make_goal(env, 700_002, kind)
    again = make_goal(env, 700_001, kind)
    np.testing.assert_array_equal(goal.image, again.image)
    np.testing.assert_array_equal(goal.truth, again.truth)
    assert not np.array_equal(goal.image, other.image)
    env.reset(goal.start)
    assert env.distance(goal.position) >= env.task.min_distance - 1e-3
    env.close()


def test_a_pushed_cube_has_the_tool_near_and_a_placed_one_need_not() -> None:
    env = Environment(get_task("panda_push"))

    def gap(kind: GoalKind) -> float:
        truth = [make_goal(env, 700_010 + i, kind).truth for i in range(6)]
        return float(np.median([np.linalg.norm(t[:2] - t[3:5]) for t in truth]))

    assert gap("scripted") < gap("placed")
    env.close()
