"""The cross-entropy method (Rubinstein, 1999): refit a Gaussian to the elites."""

from __future__ import annotations

import torch
from torch import Tensor

from wm_planner.actor.solver import Objective, Proposals, Solution, SolverConfig, best, nan_last


def cem(
    objective: Objective, mean: Tensor, proposals: Proposals, config: SolverConfig, generator: torch.Generator
) -> Solution:
    """See `Solver`. Returns the best candidate of the last iteration, the mean it sampled around included."""
    std = torch.full_like(mean, config.initial_std)
    for iteration in range(config.iterations):
        noise = torch.randn(config.samples, *mean.shape, generator=generator, device=mean.device)
        candidates = (mean + std * noise).clamp(-1.0, 1.0)
        if iteration > 0:
            candidates = torch.cat([candidates, mean[None]])
        costs = nan_last(objective(candidates))
        if iteration == 0:
            candidates = torch.cat([candidates, proposals.actions])
            costs = torch.cat([costs, nan_last(proposals.costs)])
        elites = candidates[costs.topk(min(config.elites, len(costs)), largest=False).indices]
        mean, std = elites.mean(0), elites.std(0, correction=0).clamp(min=config.min_std)
    return best(candidates, costs)
