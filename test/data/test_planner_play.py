"""The planner recorded at work: it starts where play starts, and its actions are those its agent plans."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from wm_planner.actor.agent import Agent, AgentConfig
from wm_planner.actor.solver import SolverConfig
from wm_planner.data.collect import collect_episode
from wm_planner.sim.environment import Environment
from wm_planner.world_model.model import WorldModel


@pytest.fixture
def agent(small_model: WorldModel) -> Agent:
    solver = SolverConfig(samples=4, elites=2)
    return Agent(small_model, AgentConfig(horizon=2, solver=solver, policy_proposals=2))


def test_the_planner_is_recorded_from_where_play_would_start(
    agent: Agent, environment: Callable[[str], Environment]
) -> None:
    env = environment("panda_push")
    frames, joints, actions, state, attempts = collect_episode(env, 0, 3, 90, agent)
    again = collect_episode(env, 0, 3, 90, agent)
    np.testing.assert_array_equal(actions, again[2])
    start = env.reset(env.task.sample(np.random.default_rng([0, 0xDA7A, 3, 0x91A2])))
    np.testing.assert_array_equal(frames[0], start.frame)
    np.testing.assert_allclose(joints[0], start.joints, atol=1e-6)
    assert np.abs(actions).max() <= 1 and len(state) == 91
    assert attempts[0] == 0 and 1 <= attempts[-1] <= 2 and set(np.diff(attempts)) == {0, 1}  # goals take turns
