"""Gradient planning: descend the objective through the model from several starts."""

from __future__ import annotations

import torch
from torch import Tensor

from wm_planner.actor.solver import Objective, Proposals, Solution, SolverConfig, best


def gradient(
    objective: Objective, mean: Tensor, proposals: Proposals, config: SolverConfig, generator: torch.Generator
) -> Solution:
    """See `Solver`. `samples` starts (proposals first), `iterations` steps of Adam each."""
    missing = max(config.samples - len(proposals.actions), 1)
    noise = torch.randn(missing, *mean.shape, generator=generator, device=mean.device)
    starts = torch.cat([proposals.actions, mean + config.initial_std * noise]).clamp(-1.0, 1.0)
    actions = starts.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([actions], lr=config.step_size)
    for _ in range(config.iterations):
        optimiser.zero_grad()
        with torch.enable_grad():
            objective(actions).sum().backward()
        optimiser.step()
        with torch.no_grad():
            actions.clamp_(-1.0, 1.0)
    with torch.no_grad():
        candidates = torch.cat([starts, actions.detach()])  # starts win ties: they are finite
        return best(candidates, objective(candidates))
