"""iCEM (Pinneri et al., 2020): coloured noise and elites kept between iterations need fewer samples."""

from __future__ import annotations

import torch
from torch import Tensor

from wm_planner.actor.solver import Judged, Objective, Solution, Solver, SolverConfig, best, nan_last

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


def _noise(mean: Tensor, config: SolverConfig, generator: torch.Generator) -> Tensor:
    return coloured_noise(torch.Size([config.samples, *mean.shape]), config.noise_exponent, generator, mean.device)


def _sample(mean: Tensor, config: SolverConfig, generator: torch.Generator) -> Tensor:
    """See `Sample`."""
    return (mean + config.initial_std * _noise(mean, config, generator)).clamp(-1.0, 1.0)


def _search(
    objective: Objective, mean: Tensor, first: Judged, config: SolverConfig, generator: torch.Generator
) -> Solution:
    """See `Search`. Returns the best action sequence seen."""
    candidates = Judged(first.actions, nan_last(first.costs))
    for _ in range(config.iterations - 1):
        order = candidates.costs.topk(min(config.elites, len(candidates.costs)), largest=False)
        elites = candidates.actions[order.indices]
        mean, std = elites.mean(0), elites.std(0, correction=0).clamp(min=config.min_std)
        fresh = torch.cat([(mean + std * _noise(mean, config, generator)).clamp(-1.0, 1.0), mean[None]])
        kept = max(1, int(KEPT * len(elites)))
        costs = torch.cat([nan_last(objective(fresh)), order.values[:kept]])
        candidates = Judged(torch.cat([fresh, elites[:kept]]), costs)
    return best(candidates)


icem = Solver(_sample, _search)
