"""SIGReg: keep latents spread like an isotropic Gaussian (LeJEPA, Balestriero & LeCun, 2025)."""

from __future__ import annotations

import torch
from torch import Tensor


def sigreg(latents: Tensor, directions: int = 256, knots: int = 17, t_max: float = 3.0) -> Tensor:
    """Epps-Pulley statistic against N(0, 1), averaged over fresh random one-dimensional projections.

    Args:
        latents: (N, D).

    Returns:
        Scalar; about 1 for Gaussian latents whatever N, growing with N for collapsed ones.
    """
    latents = latents.float()
    n, d = latents.shape
    axes = torch.nn.functional.normalize(torch.randn(d, directions, device=latents.device), dim=0)
    t = torch.linspace(0.0, t_max, knots, device=latents.device)
    gaussian = torch.exp(-0.5 * t**2)
    weights = gaussian * (2.0 * t_max / (knots - 1))  # trapezoid; even integrand, so twice [0, t_max]
    weights[0] *= 0.5
    weights[-1] *= 0.5
    angles = (latents @ axes).unsqueeze(-1) * t
    error = (angles.cos().mean(0) - gaussian) ** 2 + angles.sin().mean(0) ** 2
    return n * (error @ weights).mean()
