"""The critic: a quasimetric by construction, and the temporal distance by training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wm_planner.training.config import TrainConfig
from wm_planner.training.critic import CriticLoss
from wm_planner.training.predictor import Latents
from wm_planner.world_model.heads import Critic


class _Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.critic = Critic(2, 64)


def _ring(reverse: bool = True) -> Latents:
    """A walk on a ring of 24 places, forwards, or a random half of the time back."""
    generator = torch.Generator().manual_seed(0)
    step = torch.ones(200, 40) if not reverse else 2.0 * torch.randint(0, 2, (200, 40), generator=generator) - 1.0
    start = torch.randint(0, 24, (200, 1), generator=generator)
    place = torch.cat([start, start + step.cumsum(1)], 1)
    angle = place * (2 * torch.pi / 24)
    latents = 1.5 * torch.stack([angle.cos(), angle.sin()], -1)
    return Latents(latents, torch.zeros(200, 41, 1), step.unsqueeze(-1))


def _trained(data: Latents) -> Critic:
    model = _Model()
    config = TrainConfig(heads_batch=256, critic_reach=30.0)
    loss = CriticLoss(model, data, config)  # type: ignore[arg-type]
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    for step in range(500):
        optimiser.zero_grad()
        sum(loss(step).values()).backward()  # type: ignore[union-attr]
        optimiser.step()
        loss.track()
    return model.critic.requires_grad_(False)


def _from_first(critic: Critic) -> Tensor:
    """Distances from place 0 to all places of the ring, (24,)."""
    angle = torch.arange(24) * (2 * torch.pi / 24)
    places = 1.5 * torch.stack([angle.cos(), angle.sin()], -1)
    return critic(places[:1], places)


def test_distance_both_ways_round_a_ring() -> None:
    steps = _from_first(_trained(_ring()))
    truth = torch.minimum(torch.arange(24), 24 - torch.arange(24)).float()
    assert float(torch.corrcoef(torch.stack([steps, truth]))[0, 1]) > 0.95
    assert float(steps.max()) > 7.0  # pairs have been pushed apart, far beyond one step


def test_one_way_streets_are_longer_back() -> None:
    """What play only did forwards is near forwards and far backwards."""
    steps = _from_first(_trained(_ring(reverse=False)))
    assert float(steps[3]) < 0.6 * float(steps[-3])


def test_no_detour_is_shorter() -> None:
    torch.manual_seed(1)
    critic = Critic(5, 32).requires_grad_(False)
    a, b, c = torch.randn(3, 500, 5)
    assert bool((critic(a, c) <= critic(a, b) + critic(b, c) + 1e-4).all())
    assert bool((critic(a, b) >= 0).all())
    torch.testing.assert_close(critic(a, a), torch.zeros(500))
