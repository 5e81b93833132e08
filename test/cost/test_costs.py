"""Costs: each one's value in closed form, and the weighted sum."""

from __future__ import annotations

import pytest
import torch

from wm_planner.cost.cost import COSTS, total_cost
from wm_planner.cost.prediction import Prediction
from wm_planner.world_model.model import WorldModel

S, H, D, J, A = 5, 4, 16, 7, 2


@pytest.fixture
def prediction() -> Prediction:
    return Prediction(torch.randn(S, H, D), torch.randn(S, H, J), torch.rand(S, H, A) * 2 - 1)


def _goal(name: str) -> torch.Tensor:
    return torch.randn(J if name == "joint_l2" else D)


@pytest.mark.parametrize("name", sorted(COSTS))
def test_one_cost_per_candidate(name: str, small_model: WorldModel, prediction: Prediction) -> None:
    """Each candidate is judged on its own."""
    goal = _goal(name)
    costs = COSTS[name](small_model, prediction, goal)
    assert costs.shape == (S,)
    alone = [COSTS[name](small_model, Prediction(*(t[i : i + 1] for t in prediction)), goal) for i in range(S)]
    torch.testing.assert_close(costs, torch.cat(alone))
    assert costs.std() > 0


def test_latent_l2(small_model: WorldModel, prediction: Prediction) -> None:
    goal = _goal("latent_l2")
    costs = COSTS["latent_l2"](small_model, prediction, goal)
    expected = sum((prediction.latents[2, h] - goal).square().mean() for h in range(H)) / H
    assert float(costs[2]) == pytest.approx(float(expected), rel=1e-5)
    there = prediction._replace(latents=goal.expand(S, H, D))
    torch.testing.assert_close(COSTS["latent_l2"](small_model, there, goal), torch.zeros(S))


def test_joint_l2(small_model: WorldModel, prediction: Prediction) -> None:
    goal = _goal("joint_l2")
    there = prediction._replace(joints=goal.expand(S, H, J))
    torch.testing.assert_close(COSTS["joint_l2"](small_model, there, goal), torch.zeros(S))
    off = prediction._replace(joints=there.joints + 2.0)
    torch.testing.assert_close(COSTS["joint_l2"](small_model, off, goal), torch.full((S,), 4.0))


def test_arriving_earlier_is_cheaper(small_model: WorldModel, prediction: Prediction) -> None:
    goal = torch.zeros(D)
    early, late = (torch.cat([torch.ones(1, n, D), torch.zeros(1, H - n, D)], 1) for n in (1, 3))
    both = Prediction(torch.cat([early, late]), prediction.joints[:2], prediction.actions[:2])
    first, second = COSTS["latent_l2"](small_model, both, goal)
    assert first < second


def test_action_effort(small_model: WorldModel, prediction: Prediction) -> None:
    rest = prediction._replace(actions=torch.zeros(S, H, A))
    full = prediction._replace(actions=torch.ones(S, H, A))
    goal = torch.zeros(D)
    torch.testing.assert_close(COSTS["action_effort"](small_model, rest, goal), torch.zeros(S))
    torch.testing.assert_close(COSTS["action_effort"](small_model, full, goal), torch.ones(S))


@pytest.mark.parametrize("horizon", [1, 2, 5])
def test_temporal_distance_judges_the_end_most(small_model: WorldModel, horizon: int) -> None:
    latents, goal = torch.randn(S, horizon, D), torch.randn(D)
    prediction = Prediction(latents, torch.zeros(S, horizon, J), torch.zeros(S, horizon, A))
    costs = COSTS["temporal_distance"](small_model, prediction, goal)
    end = small_model.distance(latents[:, -1], goal.expand(S, D))
    middle = small_model.distance(latents[:, horizon // 2], goal.expand(S, D))
    weight = (costs - end) / middle
    assert weight.std() < 1e-3 and 0 < float(weight.mean()) < 1


def test_total_is_the_weighted_sum(small_model: WorldModel, prediction: Prediction) -> None:
    goal = torch.randn(D)
    weights = {"latent_l2": 2.0, "action_effort": 0.5, "temporal_distance": 0.25}
    expected = sum(w * COSTS[name](small_model, prediction, goal) for name, w in weights.items())
    torch.testing.assert_close(total_cost(weights, small_model, prediction, goal), expected)


def test_weightless_costs_are_not_computed(small_model: WorldModel, prediction: Prediction) -> None:
    goal = torch.randn(D)
    broken = prediction._replace(joints=torch.full((S, H, J), torch.nan))
    total = total_cost({"latent_l2": 1.0, "joint_l2": 0.0}, small_model, broken, goal)
    torch.testing.assert_close(total, COSTS["latent_l2"](small_model, prediction, goal))
