"""iCEM (Pinneri et al., 2020): coloured noise and elites kept between iterations need fewer samples."""

from __future__ import annotations

import torch
from torch import Tensor

from wm_planner.actor.solver import Objective, Proposals, Solution, SolverConfig, nan_last

KEPT = 0.3  # fraction of the elites carried into the next iteration


def coloured_noise(shape: torch.Size, exponent: float, generator: torch.Generator, device: torch.device) -> Tensor:
    """Unit-variance noise (S, H, A) with power spectrum 1 / f^exponent along H (Timmer & Koenig, 1995)."""
    samples, horizon, dim = shape
    white = torch.randn(samples, dim, horizon, generator=generator, device=device)
    if horizon < 2 or exponent == 0:
        return white.transpose(1, 2)
    frequency = torch.fft.rfftfreq(horizon, device=device)
    frequency[0] = frequency[1]
    scale = frequency ** (-exponent / 2)
    noise = torch.fft.irfft(torch.fft.rfft(white) * scale, n=horizon)
    mirrored = torch.full_like(scale, 2.0)  # how often each frequency occurs in the two-sided spectrum
    mirrored[0] = 1.0
    if horizon % 2 == 0:
        mirrored[-1] = 1.0
    power = (scale.square() * mirrored).sum() / horizon
    return (noise / power.sqrt()).transpose(1, 2)


def icem(
    objective: Objective, mean: Tensor, proposals: Proposals, config: SolverConfig, generator: torch.Generator
) -> Solution:
    """See `Solver`. Returns the best action sequence seen."""
    std = torch.full_like(mean, config.initial_std)
    kept, kept_costs = proposals.actions, nan_last(proposals.costs)
    for iteration in range(config.iterations):
        shape = torch.Size([config.samples, *mean.shape])
        noise = coloured_noise(shape, config.noise_exponent, generator, mean.device)
        fresh = (mean + std * noise).clamp(-1.0, 1.0)
        if iteration > 0:
            fresh = torch.cat([fresh, mean[None]])
        costs = nan_last(objective(fresh))
        candidates, costs = torch.cat([fresh, kept]), torch.cat([costs, kept_costs])
        order = costs.topk(min(config.elites, len(costs)), largest=False)
        elites = candidates[order.indices]
        mean, std = elites.mean(0), elites.std(0, correction=0).clamp(min=config.min_std)
        carry = max(1, int(KEPT * len(elites)))
        kept, kept_costs = elites[:carry], order.values[:carry]
    return Solution(kept[0], float(kept_costs[0]))
