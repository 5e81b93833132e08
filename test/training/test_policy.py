"""The policy: it clones what made progress, and not what did not."""

from __future__ import annotations

import torch

from wm_planner.training.config import TrainConfig
from wm_planner.training.policy import PolicyLoss, mixture_nll
from wm_planner.training.predictor import Latents
from wm_planner.world_model.heads import Policy


class _Line(torch.nn.Module):
    """Places on a line; the true temporal distance at half a unit a step."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.policy = Policy(2 * 1 + 1, 1, 32, 3)
        self.critic = _Distance()


class _Distance(torch.nn.Module):
    def embed(self, latents: torch.Tensor) -> torch.Tensor:
        return latents

    def between(self, here: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        return (there - here).abs().squeeze(-1) / 0.5


def test_aimless_play_becomes_a_way_to_the_goal() -> None:
    generator = torch.Generator().manual_seed(0)
    actions = torch.randn(200, 30, 1, generator=generator).clamp(-1, 1)
    latents = torch.cat([torch.zeros(200, 1, 1), 0.5 * actions.cumsum(1)], 1)
    model = _Line()
    data = Latents(latents, torch.zeros(200, 31, 1), actions)
    loss = PolicyLoss(model, data, TrainConfig(heads_batch=256, advantage_steps=1))  # type: ignore[arg-type]
    optimiser = torch.optim.Adam(model.policy.parameters(), 3e-3)
    for step in range(300):
        optimiser.zero_grad()
        loss(step)["policy"].backward()
        optimiser.step()
    here = torch.linspace(-1, 1, 9)[:, None]
    for goal, sign in ((2.5, 1.0), (-2.5, -1.0)):
        weights, means = model.policy(torch.cat([here, torch.full_like(here, goal), torch.zeros_like(here)], -1))
        likeliest = means[torch.arange(9), weights.argmax(-1)]
        assert float((sign * likeliest).mean()) > 0.4


def test_likelihood_prefers_the_nearest_component() -> None:
    means = torch.tensor([[[0.0, 0.0], [1.0, 1.0]]])
    even = torch.full((1, 2), 0.5).log()
    near, between = (mixture_nll(even, means, torch.tensor([a])) for a in ([1.0, 1.0], [0.5, 0.5]))
    assert float(near) < float(between)
