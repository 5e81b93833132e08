"""Shortest paths over what the critic knows of near moments, and the critic that is taught them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from wm_planner.training import stitch
from wm_planner.training.config import TrainConfig
from wm_planner.training.critic import CriticLoss
from wm_planner.training.predictor import Latents
from wm_planner.training.stitch import StitchLoss, shortest_paths
from wm_planner.world_model.heads import Critic

PLACES = 40  # of a horseshoe: its ends are neighbours in space, and the whole way round apart
WALK = 8  # steps of an episode


def _places(place: Tensor) -> Tensor:
    angle = place * (1.9 * torch.pi / PLACES)
    return 1.5 * torch.stack([angle.cos(), angle.sin()], -1)


def _walks() -> Latents:
    """Short walks along the horseshoe, one place a step, either way: none goes far round it."""
    generator = torch.Generator().manual_seed(0)
    step = 2.0 * torch.randint(0, 2, (300, 1), generator=generator) - 1.0
    start = torch.randint(WALK, PLACES - WALK, (300, 1), generator=generator)
    place = start + step * torch.arange(WALK + 1)
    return Latents(_places(place), torch.zeros(300, WALK + 1, 1), step.unsqueeze(-1).expand(300, WALK, 1))


class _Exact(Critic):
    """Steps along the horseshoe for neighbours; takes everything else for near."""

    def forward(self, latents: Tensor, goals: Tensor) -> Tensor:
        apart = (latents - goals).norm(dim=-1)
        neighbour = 2 * 1.5 * np.sin(0.95 * np.pi / PLACES)
        return torch.where(apart < 1.1 * neighbour, apart / neighbour, 4.0)


def test_goes_by_way_of_neighbours() -> None:
    steps = shortest_paths(_Exact(2, 4, 0.0), _places(torch.arange(PLACES)), longest_edge=1.5)
    truth = (torch.arange(PLACES)[:, None] - torch.arange(PLACES)).abs().float()
    torch.testing.assert_close(steps, truth, atol=0.01, rtol=0)


def test_no_way_is_infinitely_far() -> None:
    apart = _places(torch.tensor([0.0, 1.0, 20.0, 21.0]))
    steps = shortest_paths(_Exact(2, 4, 0.0), apart, longest_edge=1.5)
    assert torch.isinf(steps[:2, 2:]).all() and torch.isinf(steps[2:, :2]).all()
    assert steps[0, 1] == pytest.approx(1.0, abs=0.01)


def test_longer_edges_are_not_trusted() -> None:
    steps = shortest_paths(_Exact(2, 4, 0.0), _places(torch.arange(PLACES)), longest_edge=5.0)
    assert float(steps.max()) == pytest.approx(4.0)  # with them, nothing is further than the guess


class _Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.critic = Critic(2, 64, 0.0)


def _fit(model: _Model, loss: CriticLoss | StitchLoss, steps: int = 500) -> None:
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    for step in range(steps):
        optimiser.zero_grad()
        sum(loss(step).values()).backward()  # type: ignore[union-attr]
        optimiser.step()


def _far_and_near(model: _Model) -> tuple[float, float]:
    """From one end of the horseshoe to the other, and a few steps along it."""
    ends = _places(torch.tensor([8.0, 32.0]))
    with torch.no_grad():
        return float(model.critic(ends[0], ends[1])), float(model.critic(ends[0], _places(torch.tensor(11.0))))


def test_knows_the_way_round_that_no_episode_went(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stitch, "LANDMARKS", 200)
    model, data, config = _Model(), _walks(), TrainConfig(heads_batch=256, stitch_edge=4.0)
    ends = np.full(data.actions.shape[:2], WALK)
    _fit(model, CriticLoss(model, data, ends, config))  # type: ignore[arg-type]
    guessed, _ = _far_and_near(model)
    _fit(model, StitchLoss(model, data, ends, config))  # type: ignore[arg-type]
    far, near = _far_and_near(model)
    assert guessed < 16.0  # what it had seen went eight steps at most
    assert far == pytest.approx(24.0, abs=4.0)
    assert near == pytest.approx(3.0, abs=1.0)


def test_draws_from_its_step_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed run sees what it would have seen."""
    monkeypatch.setattr(stitch, "LANDMARKS", 50)
    model, data = _Model(), _walks()
    ends = np.full(data.actions.shape[:2], WALK)
    losses = [StitchLoss(model, data, ends, TrainConfig(heads_batch=64)) for _ in range(2)]  # type: ignore[arg-type]
    losses[0](0)
    first, again = (loss(3) for loss in losses)
    assert {name: float(value.detach()) for name, value in first.items()} == {
        n: float(v.detach()) for n, v in again.items()
    }
    assert losses[0](3) != losses[0](4)
