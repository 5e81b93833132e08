"""The critic: how soon play gets somewhere when it goes about it well."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from wm_planner.training.config import TrainConfig
from wm_planner.training.critic import CriticLoss, pinball
from wm_planner.training.predictor import Latents
from wm_planner.world_model.heads import Critic


class _Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.critic = Critic(2, 64, 0.0)


def _ring(reverse: bool = True) -> Latents:
    """Walks on a ring of 24 places, forwards, or half of them back."""
    generator = torch.Generator().manual_seed(0)
    way = 2.0 * torch.randint(0, 2, (200, 1), generator=generator) - 1.0 if reverse else torch.ones(200, 1)
    step = way.expand(200, 40)
    start = torch.randint(0, 24, (200, 1), generator=generator)
    place = torch.cat([start, start + step.cumsum(1)], 1)
    angle = place * (2 * torch.pi / 24)
    latents = 1.5 * torch.stack([angle.cos(), angle.sin()], -1)
    return Latents(latents, torch.zeros(200, 41, 1), step.unsqueeze(-1))


def _trained(data: Latents) -> Critic:
    model = _Model()
    ends = np.full(data.actions.shape[:2], data.actions.shape[1])
    loss = CriticLoss(model, data, ends, TrainConfig(heads_batch=256))  # type: ignore[arg-type]
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    for step in range(600):
        optimiser.zero_grad()
        sum(loss(step).values()).backward()  # type: ignore[union-attr]
        optimiser.step()
    return model.critic.requires_grad_(False)


def _from_first(critic: Critic) -> Tensor:
    """Distances from place 0 to all places of the ring, (24,)."""
    angle = torch.arange(24) * (2 * torch.pi / 24)
    places = 1.5 * torch.stack([angle.cos(), angle.sin()], -1)
    return critic(places[:1], places)


def test_distance_is_the_shorter_way_round_a_ring() -> None:
    steps = _from_first(_trained(_ring()))
    truth = torch.minimum(torch.arange(24), 24 - torch.arange(24)).float()
    assert float(torch.corrcoef(torch.stack([steps, truth]))[0, 1]) > 0.9
    assert float(steps[0]) < 2.0 < 6.0 < float(steps.max())


def test_one_way_streets_are_longer_back() -> None:
    """What play only did forwards is near forwards and far backwards."""
    steps = _from_first(_trained(_ring(reverse=False)))
    assert float(steps[3]) < 0.5 * float(steps[-3])


def test_the_pinball_loss_is_least_at_the_quantile() -> None:
    values = torch.arange(101.0)
    losses = torch.stack([pinball(values - c, 0.2).mean() for c in values])
    assert int(losses.argmin()) == 20


def test_distances_are_never_negative() -> None:
    critic = Critic(5, 32, 0.0).requires_grad_(False)
    here, there = 3.0 * torch.randn(2, 500, 5)
    assert bool((critic(here, there) >= 0).all())
