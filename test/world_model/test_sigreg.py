"""SIGReg: about 1 for Gaussian latents, large for any collapse, and a gradient that undoes it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wm_planner.world_model.sigreg import sigreg


def _average(make, draws: int = 20, **options) -> float:
    return float(torch.stack([sigreg(make(), **options) for _ in range(draws)]).mean())


@pytest.mark.parametrize("n", [32, 128, 512])
@pytest.mark.parametrize("d", [2, 16])
def test_about_one_for_gaussians(n: int, d: int) -> None:
    assert _average(lambda: torch.randn(n, d)) == pytest.approx(1.0, abs=0.35)


def _rank_one(n: int) -> Tensor:
    return torch.randn(n, 1).expand(n, 8)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: torch.zeros(n, 8),
        lambda n: 0.05 * torch.randn(n, 8),
        lambda n: 4.0 * torch.randn(n, 8),
        lambda n: torch.randn(n, 8) + 2.0,
        _rank_one,
        lambda n: 3.0 * torch.randn(n, 8).sign(),
    ],
    ids=["point", "small", "wide", "shifted", "rank one", "clusters"],
)
def test_large_and_growing_for_anything_else(make) -> None:
    few, many = _average(lambda: make(64)), _average(lambda: make(512))
    assert few > 3.0
    assert many > 4.0 * few


def test_invariant_under_rotation() -> None:
    latents = torch.randn(256, 6) * torch.tensor([3.0, 1, 1, 1, 1, 1])
    rotation = torch.linalg.qr(torch.randn(6, 6))[0]
    ours, theirs = (_average(lambda x=x: x, 50) for x in (latents, latents @ rotation))
    assert ours == pytest.approx(theirs, rel=0.1)


def test_matches_the_exact_statistic_in_one_dimension() -> None:
    """Quadrature over a wide, fine grid agrees with the integral in closed form.

    n * integral of |phi_n(t) - exp(-t^2/2)|^2 exp(-t^2/2) dt, each term a Gaussian integral.
    """
    x = torch.randn(40, 1, dtype=torch.float64)
    n, root = len(x), (2 * torch.pi) ** 0.5
    pairs = torch.exp(-0.5 * (x - x.T) ** 2).mean()
    cross = torch.exp(-0.25 * x**2).mean() / 2**0.5
    exact = n * root * (pairs - 2 * cross + 1 / 3**0.5)
    approximate = sigreg(x, directions=2, knots=2001, t_max=12.0)
    assert float(approximate) == pytest.approx(float(exact), rel=1e-3)
    # The coarse default grid is close.
    assert float(sigreg(x, directions=2)) == pytest.approx(float(exact), rel=0.1)


def test_gradient_spreads_a_collapsed_cloud() -> None:
    latents = (0.05 * torch.randn(128, 4) + 1.0).requires_grad_(True)
    optimiser = torch.optim.Adam([latents], lr=0.05)
    for _ in range(200):
        optimiser.zero_grad()
        sigreg(latents, directions=32).backward()
        optimiser.step()
    spread = latents.detach()
    torch.testing.assert_close(spread.mean(0), torch.zeros(4), atol=0.25, rtol=0)
    covariance = spread.T.cov()
    torch.testing.assert_close(covariance, torch.eye(4), atol=0.4, rtol=0)


def test_half_precision_latents_are_judged_in_single() -> None:
    assert sigreg(torch.randn(64, 8).bfloat16()).dtype == torch.float32
