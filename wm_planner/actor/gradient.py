"""Gradient planning: descend the objective through the model from several starts."""

from __future__ import annotations

import torch
from torch import Tensor

from wm_planner.actor.solver import Judged, Objective, Solution, Solver, SolverConfig, best, white


def _search(
    objective: Objective, mean: Tensor, first: Judged, config: SolverConfig, generator: torch.Generator
) -> Solution:
    """See `Search`. Starts from all first candidates, `iterations` steps of Adam each."""
    actions = first.actions.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([actions], lr=config.step_size)
    for _ in range(config.iterations):
        optimiser.zero_grad()
        with torch.enable_grad():
            objective(actions).sum().backward()
        optimiser.step()
        with torch.no_grad():
            actions.clamp_(-1.0, 1.0)
    with torch.no_grad():
        moved = actions.detach()  # starts win ties: they are finite
        return best(Judged(torch.cat([first.actions, moved]), torch.cat([first.costs, objective(moved)])))


gradient = Solver(white, _search)
