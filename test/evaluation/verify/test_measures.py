"""The measures themselves, on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import torch

from wm_planner.evaluation.verify.classifier import Classifier
from wm_planner.evaluation.verify.contact import balanced
from wm_planner.evaluation.verify.expectation import auroc
from wm_planner.evaluation.verify.intervention import retrieval
from wm_planner.evaluation.verify.prediction import LinearDynamics
from wm_planner.evaluation.verify.ridge import Ridge
from wm_planner.training.jepa import context_at_start
from wm_planner.training.predictor import Latents


def test_auroc() -> None:
    low, high = np.array([0.0, 1.0, 2.0]), np.array([3.0, 4.0])
    assert auroc(high, low) == 1.0
    assert auroc(low, high) == 0.0
    assert auroc(low, low) == 0.5
    assert auroc(np.array([1.0]), low) == 0.5


def test_retrieval() -> None:
    real = torch.eye(4)
    assert retrieval(real + 0.1, real) == 1.0
    assert retrieval(real.roll(1, 0), real) == 0.0
    assert retrieval(real[[0, 1, 1, 1]], real) == 0.5


def test_balanced_accuracy_does_not_reward_the_frequent_answer() -> None:
    truth = np.array([True] * 9 + [False])
    assert balanced(np.ones(10, bool), truth) == 0.5
    assert balanced(truth, truth) == 1.0


def test_ridge_recovers_a_linear_map() -> None:
    torch.manual_seed(0)
    x = torch.randn(500, 6) * torch.tensor([1.0, 10.0, 0.1, 1.0, 1.0, 0.0])
    y = x @ torch.randn(6, 2) + 3.0
    fitted = Ridge(x[:400], y[:400])
    assert (fitted(x[400:]) - y[400:]).abs().max() < 0.03 * y.std()


def test_the_classifier_answers_what_is_not_linear_and_weighs_both_answers_alike() -> None:
    torch.manual_seed(0)
    x = torch.randn(4000, 4) * torch.tensor([1.0, 10.0, 1.0, 0.0])
    far = x[:, 0].square() + (x[:, 1] / 10).square() > 4.0  # one in seven
    judge = Classifier(x[:3000], far[:3000])
    assert balanced(judge(x[3000:]).numpy(), far[3000:].numpy()) > 0.95


def test_linear_dynamics_predict_a_linear_world() -> None:
    torch.manual_seed(0)
    actions, turn = torch.randn(20, 30, 2), 0.3 * torch.randn(2, 4)
    latents = torch.cat([torch.zeros(20, 1, 4), (actions @ turn).cumsum(1)], 1)
    data = Latents(latents, torch.zeros(20, 31, 3), actions)
    context = context_at_start(*data, 2)
    ahead = LinearDynamics(data, 2).rollout(context, actions[:, 1:9])
    torch.testing.assert_close(ahead, latents[:, 2:10], atol=0.02, rtol=0.02)
