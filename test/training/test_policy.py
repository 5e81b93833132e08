"""The policy: it clones what attempts led to, and nothing else."""

from __future__ import annotations

import torch

from wm_planner.training.config import TrainConfig
from wm_planner.training.policy import PolicyLoss
from wm_planner.training.predictor import Latents
from wm_planner.world_model.heads import Policy


class _Line(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.policy = Policy(2 * 1 + 1, 1, 32, 3, 0.0)


def test_attempts_in_all_directions_become_a_way_to_the_goal() -> None:
    """Each attempt walks five steps one way; over a whole episode, they lead elsewhere."""
    generator = torch.Generator().manual_seed(0)
    way = (2.0 * torch.randint(0, 2, (200, 6, 1), generator=generator) - 1.0).expand(200, 6, 5).reshape(200, 30, 1)
    latents = torch.cat([torch.zeros(200, 1, 1), 0.5 * way.cumsum(1)], 1)
    data = Latents(latents, torch.zeros(200, 31, 1), way)
    attempts = (torch.arange(30) // 5).expand(200, 30).numpy()
    model = _Line()
    loss = PolicyLoss(model, data, attempts, TrainConfig(heads_batch=256))  # type: ignore[arg-type]
    optimiser = torch.optim.Adam(model.policy.parameters(), 3e-3)
    for step in range(300):
        optimiser.zero_grad()
        loss(step)["policy"].backward()
        optimiser.step()
    here = torch.linspace(-1, 1, 9)[:, None]
    for away, sign in ((1.5, 1.0), (-1.5, -1.0)):
        weights, means = model.policy(torch.cat([here, here + away, torch.zeros_like(here)], -1))
        likeliest = means[torch.arange(9), weights.argmax(-1)].detach()
        assert float((sign * likeliest).min()) > 0.7
