"""The cross-entropy method (Rubinstein, 1999): refit a Gaussian to the elites."""

from __future__ import annotations

import torch
from torch import Tensor

from wm_planner.actor.solver import Judged, Objective, Solution, Solver, SolverConfig, best, nan_last, white


def _search(
    objective: Objective, mean: Tensor, first: Judged, config: SolverConfig, generator: torch.Generator
) -> Solution:
    """See `Search`. Returns the best candidate of the last iteration, the mean it sampled around included."""
    candidates = first
    for _ in range(config.iterations - 1):
        costs = nan_last(candidates.costs)
        elites = candidates.actions[costs.topk(min(config.elites, len(costs)), largest=False).indices]
        mean, std = elites.mean(0), elites.std(0, correction=0).clamp(min=config.min_std)
        noise = torch.randn(config.samples, *mean.shape, generator=generator, device=mean.device)
        actions = torch.cat([(mean + std * noise).clamp(-1.0, 1.0), mean[None]])
        candidates = Judged(actions, objective(actions))
    return best(candidates)


cem = Solver(white, _search)
