"""Model-predictive path integral control (Williams et al., 2017): average samples by exponentiated cost."""

from __future__ import annotations

import torch
from torch import Tensor

from wm_planner.actor.solver import Judged, Objective, Solution, Solver, SolverConfig, nan_last, white


def _search(
    objective: Objective, mean: Tensor, first: Judged, config: SolverConfig, generator: torch.Generator
) -> Solution:
    """See `Search`. Returns the weighted mean; its cost is the weighted mean cost."""
    cost, candidates = torch.inf, first
    for iteration in range(config.iterations):
        if iteration > 0:
            actions = torch.cat([white(mean, config, generator), mean[None]])
            candidates = Judged(actions, objective(actions))
        costs = nan_last(candidates.costs)
        if costs.min().isinf():
            continue  # nothing to prefer: the mean stays
        weights = torch.softmax(-(costs - costs.min()) / config.temperature, 0)
        mean = (weights[:, None, None] * candidates.actions).sum(0).clamp(-1.0, 1.0)  # rounding
        cost = float(weights @ torch.nan_to_num(costs, posinf=0.0))
    return Solution(mean, cost)


mppi = Solver(white, _search)
