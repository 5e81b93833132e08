"""The agent whose camera has moved: it sees, remembers and plans as though it had not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from wm_planner.actor.agent import Agent, AgentConfig
from wm_planner.actor.solver import SolverConfig
from wm_planner.configurator.contract import Contract
from wm_planner.perception.alignment import moved_back
from wm_planner.perception.view import LOOKS
from wm_planner.world_model.config import ModelConfig
from wm_planner.world_model.model import WorldModel

DT, JOINTS = 0.1, np.zeros(7)
SHIFTED = np.array([[1, 0, 0.2], [0, 1, -0.1], [0, 0, 1.0]])


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    image = np.full((64, 64, 3), (50, 60, 80), np.uint8)
    for k, (x, y) in enumerate(((14, 20), (30, 44), (46, 24), (40, 10))):
        cv2.circle(image, (x, y), 4 + k, (220, 60 * k, 30), -1)
    return image


@pytest.fixture
def model(
    push_contract: Contract, small_config: ModelConfig, scene: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> WorldModel:
    """Expects the scene, however the joints are."""
    torch.manual_seed(3)
    made = WorldModel(push_contract, small_config.model_copy(update={"body_channels": 8}))
    monkeypatch.setattr(made, "expect", lambda joints: torch.from_numpy(scene)[None])
    return made.eval().requires_grad_(False)


def _agent(model: WorldModel, **changes) -> Agent:
    solver = SolverConfig(samples=4, iterations=1, elites=2)
    return Agent(model, AgentConfig(horizon=2, policy_proposals=2, solver=solver, **changes))


def _latent(agent: Agent) -> np.ndarray:
    assert agent.memory.newest is not None
    return agent.memory.newest.latent[0].numpy()


def test_it_sees_and_aims_as_though_the_camera_had_not_moved(model: WorldModel, scene: np.ndarray) -> None:
    goal = scene[::-1].copy()
    distances, latents = [], []
    for frame, aim, align in (
        (scene, goal, True),
        (moved_back(scene, SHIFTED, 64), moved_back(goal, SHIFTED, 64), True),
        (moved_back(scene, SHIFTED, 64), moved_back(goal, SHIFTED, 64), False),
    ):
        agent = _agent(model, align=align)
        agent.set_goal(aim)
        agent.observe(frame, JOINTS, 0.0)
        distances.append(agent.plan().distance)
        latents.append(_latent(agent))
    nominal, aligned, not_aligned = latents
    assert np.abs(aligned - nominal).mean() < 0.3 * np.abs(not_aligned - nominal).mean()
    assert abs(distances[1] - distances[0]) < abs(distances[2] - distances[0])


def test_it_looks_again_only_when_the_robot_has_moved(model: WorldModel, scene: np.ndarray) -> None:
    agent, looks = _agent(model), []
    assert agent.view is not None
    look = agent.view.look
    agent.view.look = lambda *pictures: looks.append(now) or look(*pictures)  # type: ignore[method-assign]
    for step in range(60):
        now = round(step * DT, 3)
        agent.observe(scene, JOINTS, now)
        agent.memory.acted(now, np.full(2, 0.0 if step < 20 else 0.5))
    assert looks[0] == 0.0 and len(looks) == LOOKS and looks[1] > 20 * DT
    assert np.diff(looks).min() >= 0.45
    agent.reset()
    agent.observe(scene, JOINTS, 9.0)
    assert len(looks) == LOOKS + 1


def test_it_looks_again_however_long_the_robot_has_stood_still(model: WorldModel, scene: np.ndarray) -> None:
    agent = _agent(model)
    assert agent.view is not None
    agent.observe(scene, JOINTS, 0.0)
    for k in range(6000):  # two minutes at 50 Hz
        agent.memory.acted(k / 50, np.zeros(2))
    for k in range(40):
        now = 120.0 + k * DT
        agent.memory.acted(now, np.full(2, 0.5))
        agent.observe(scene, JOINTS, now)
    assert agent.view.settled


def test_what_was_seen_before_the_camera_was_found_elsewhere_is_forgotten(
    model: WorldModel, scene: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = _agent(model)
    assert agent.view is not None
    found, look = iter((False, True)), agent.view.look
    monkeypatch.setattr(agent.view, "look", lambda *what: look(*what) or next(found))
    agent.observe(scene, JOINTS, 0.0)
    agent.memory.acted(0.0, np.full(2, 0.5))
    agent.observe(scene, JOINTS, 0.1)
    assert agent.memory.at(0.1) is not None
    agent.observe(scene, JOINTS, 0.6)
    assert agent.memory.context_at(0.6) is None and agent.memory.newest is not None
    np.testing.assert_allclose(agent.memory.mean_action(0.0, 0.6), 0.5)


def test_another_agent_takes_over_what_it_knows(model: WorldModel, scene: np.ndarray) -> None:
    agent, other, blind = _agent(model), _agent(model, align=True), _agent(model, align=False)
    agent.observe(moved_back(scene, SHIFTED, 64), JOINTS, 0.0)
    other.remember(agent)
    assert other.view is agent.view and other.memory.newest is agent.memory.newest
    blind.remember(agent)
    assert blind.view is None and blind.memory.newest is None


def test_a_model_that_does_not_know_its_robot_leaves_frames_alone(small_model: WorldModel) -> None:
    assert _agent(small_model).view is None


@pytest.mark.parametrize("align", [True, False])
def test_what_is_beyond_the_picture_changes_nothing_while_the_camera_stays(
    model: WorldModel, scene: np.ndarray, rng: np.random.Generator, align: bool
) -> None:
    wide = rng.integers(0, 256, (96, 96, 3), np.uint8)
    wide[16:-16, 16:-16] = scene
    latents = []
    for frame in (scene, wide):
        agent = _agent(model, align=align)
        agent.observe(frame, JOINTS, 0.0)
        latents.append(_latent(agent))
    np.testing.assert_array_equal(*latents)
