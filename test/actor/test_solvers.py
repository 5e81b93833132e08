"""Solvers: each one minimises, stays in bounds, uses proposals, survives NaN and repeats itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wm_planner.actor.agent import SOLVERS
from wm_planner.actor.icem import coloured_noise
from wm_planner.actor.solver import Judged, Solution, SolverConfig

HORIZON, DIM = 6, 2
TARGET = torch.linspace(-0.8, 0.8, HORIZON * DIM).reshape(HORIZON, DIM)
BUDGET = {
    "cem": SolverConfig(name="cem", samples=200, iterations=12, elites=20),
    "icem": SolverConfig(name="icem", samples=200, iterations=12, elites=20),
    "mppi": SolverConfig(name="mppi", samples=400, iterations=40, temperature=0.05, initial_std=0.25),
    "gradient": SolverConfig(name="gradient", samples=4, iterations=80),
}
NAMES = sorted(SOLVERS)
REST = torch.zeros(HORIZON, DIM)
NONE = REST[None][:0]


def quadratic(actions: Tensor) -> Tensor:
    return (actions - TARGET).square().sum((-2, -1))


def _solve(name: str, objective=quadratic, mean=REST, proposals=NONE, seed: int = 0, **changes) -> Solution:
    config, generator = BUDGET[name].model_copy(update=changes), torch.Generator().manual_seed(seed)
    first = torch.cat([proposals, SOLVERS[name].sample(mean, config, generator), mean[None]])
    return SOLVERS[name].search(objective, mean, Judged(first, objective(first).detach()), config, generator)


def test_every_solver_is_tested() -> None:
    assert sorted(BUDGET) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_finds_the_minimum(name: str) -> None:
    solution = _solve(name)
    assert solution.actions.shape == (HORIZON, DIM)
    torch.testing.assert_close(solution.actions, TARGET, atol=0.2, rtol=0)
    assert float(quadratic(solution.actions)) < 0.05 * float(quadratic(REST))


@pytest.mark.parametrize("name", ["cem", "icem", "gradient"])
def test_reports_the_cost_of_what_it_returns(name: str) -> None:
    solution = _solve(name)
    assert solution.cost == pytest.approx(float(quadratic(solution.actions)), rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_stays_within_bounds(name: str) -> None:
    """The minimum lies outside; every candidate ever tried and the result lie inside."""
    seen = []

    def beyond(actions: Tensor) -> Tensor:
        seen.append(float(actions.detach().abs().max()))
        return (actions - 3.0).square().sum((-2, -1))

    solution = _solve(name, beyond)
    assert max(seen) <= 1.0
    assert float(solution.actions.abs().max()) <= 1.0
    assert float(solution.actions.mean()) > 0.8  # pressed against the bound


@pytest.mark.parametrize("name", NAMES)
def test_uses_proposals(name: str) -> None:
    """A narrow valley that sampling misses is found when it is proposed."""

    def valley(actions: Tensor) -> Tensor:
        gap = (actions - 0.77).abs().amax((-2, -1))
        return torch.where(gap < 0.02, gap, 10.0 + gap)

    good = torch.full((HORIZON, DIM), 0.77)
    proposals = torch.stack([REST, good])
    few = {"samples": 16, "iterations": 1, "elites": 1}
    assert float(valley(_solve(name, valley, **few).actions[None])) > 9.0
    assert float(valley(_solve(name, valley, proposals=proposals, **few).actions[None])) < 0.02


@pytest.mark.parametrize("name", NAMES)
def test_ignores_nan_costs(name: str) -> None:
    """Where the objective is NaN nothing is chosen, however many candidates fall there."""

    def broken(actions: Tensor) -> Tensor:
        return quadratic(actions) + torch.where(actions[:, 0, 0] > 0.0, torch.nan, 0.0)

    solution = _solve(name, broken)
    assert torch.isfinite(solution.actions).all()
    assert solution.cost < float(quadratic(REST))
    assert float(solution.actions[0, 0]) <= 0.0


@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_nan_is_no_plan(name: str) -> None:
    """Finite actions of infinite cost, never a NaN command."""
    solution = _solve(name, lambda actions: actions.sum((-2, -1)) * torch.nan, proposals=REST[None])
    assert solution.cost == float("inf")
    assert torch.isfinite(solution.actions).all()


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_plan(name: str) -> None:
    far = torch.full((HORIZON, DIM), 0.9)  # any sample is better than the mean
    first, again, other = (_solve(name, mean=far, iterations=2, seed=s) for s in (1, 1, 2))
    assert torch.equal(first.actions, again.actions) and first.cost == again.cost
    assert not torch.equal(first.actions, other.actions)


@pytest.mark.parametrize("name", NAMES)
def test_does_not_touch_the_global_generator_or_its_inputs(name: str) -> None:
    before, mean, proposals = torch.get_rng_state(), REST.clone(), TARGET[None].clone()
    _solve(name, mean=mean, proposals=proposals)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(mean, REST) and torch.equal(proposals, TARGET[None])


@pytest.mark.parametrize("name", NAMES)
def test_more_elites_than_candidates(name: str) -> None:
    solution = _solve(name, samples=2, iterations=2, elites=50)
    assert torch.isfinite(solution.actions).all()


@pytest.mark.parametrize("name", NAMES)
def test_horizon_of_one(name: str) -> None:
    def objective(actions: Tensor) -> Tensor:
        return (actions - 0.5).square().sum((-2, -1))

    solution = _solve(name, objective, torch.zeros(1, 1), torch.zeros(0, 1, 1))
    assert float(solution.actions) == pytest.approx(0.5, abs=0.1)


def test_icem_never_forgets_its_best_proposal() -> None:
    solution = _solve("icem", proposals=TARGET[None], iterations=4)
    assert solution.cost == 0.0
    assert torch.equal(solution.actions, TARGET)


def test_gradient_solver_plans_inside_no_grad() -> None:
    with torch.no_grad():
        solution = _solve("gradient")
    torch.testing.assert_close(solution.actions, TARGET, atol=0.05, rtol=0)
    assert not solution.actions.requires_grad


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("horizon", [1, 2, 3, 8, 9, 16])
def test_coloured_noise_has_unit_variance(horizon: int, exponent: float) -> None:
    noise = _noise(20000, horizon, exponent)
    assert noise.shape == (20000, horizon, 2)
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.03)
    # The variance of an estimate from 40,000 independent rows is below 0.01.
    assert float(noise.square().mean()) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_coloured_noise_spectrum_slopes(exponent: float) -> None:
    horizon = 64
    power = torch.fft.rfft(_noise(4000, horizon, exponent), dim=1).abs().square().mean((0, 2))[1:-1]
    frequency = torch.fft.rfftfreq(horizon)[1:-1]
    x, y = frequency.log() - frequency.log().mean(), power.log() - power.log().mean()
    slope = float((x * y).sum() / x.square().sum())
    assert slope == pytest.approx(-exponent, abs=0.05)


def test_coloured_noise_is_independent_between_actions() -> None:
    a, b = _noise(20000, 8, 2.0).unbind(2)
    assert float((a * b).mean()) == pytest.approx(0.0, abs=0.03)


def _noise(samples: int, horizon: int, exponent: float) -> Tensor:
    shape = torch.Size([samples, horizon, 2])
    return coloured_noise(shape, exponent, torch.Generator().manual_seed(0), torch.device("cpu"))


@pytest.mark.parametrize(
    "change", [{"samples": 1}, {"iterations": 0}, {"elites": 0}, {"initial_std": 0.0}, {"name": "magic"}, {"x": 1}]
)
def test_impossible_budgets_are_refused(change: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        SolverConfig(**change)
