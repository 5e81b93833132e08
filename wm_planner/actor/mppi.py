"""Model-predictive path integral control (Williams et al., 2017): average samples by exponentiated cost."""

from __future__ import annotations

import torch
from torch import Tensor

from wm_planner.actor.solver import Objective, Proposals, Solution, SolverConfig, nan_last


def mppi(
    objective: Objective, mean: Tensor, proposals: Proposals, config: SolverConfig, generator: torch.Generator
) -> Solution:
    """See `Solver`. Returns the weighted mean; its cost is the weighted mean cost."""
    cost = torch.inf
    for iteration in range(config.iterations):
        noise = torch.randn(config.samples, *mean.shape, generator=generator, device=mean.device)
        candidates = (mean + config.initial_std * noise).clamp(-1.0, 1.0)
        candidates = torch.cat([candidates, mean[None]])
        costs = nan_last(objective(candidates))
        if iteration == 0:
            candidates = torch.cat([candidates, proposals.actions])
            costs = torch.cat([costs, nan_last(proposals.costs)])
        if costs.min().isinf():
            continue  # nothing to prefer: the mean stays
        weights = torch.softmax(-(costs - costs.min()) / config.temperature, 0)
        mean = (weights[:, None, None] * candidates).sum(0).clamp(-1.0, 1.0)  # rounding
        cost = float(weights @ torch.nan_to_num(costs, posinf=0.0))
    return Solution(mean, cost)
