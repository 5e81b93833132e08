"""What every solver has in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

# Actions (S, H, A) in [-1, 1] -> costs (S,), lower is better.
Objective = Callable[[Tensor], Tensor]


class SolverConfig(BaseModel):
    """Budget and shape of the search. Deviations are of normalised actions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["cem", "icem", "mppi", "gradient"] = "icem"
    samples: int = Field(default=8, ge=2)
    iterations: int = Field(default=1, ge=1, description="the first candidates are one; gradient: steps")
    elites: int = Field(default=8, ge=1)
    initial_std: float = Field(default=0.5, gt=0)
    min_std: float = Field(default=0.05, gt=0)
    noise_exponent: float = Field(default=1.0, ge=0, description="colour of iCEM's noise: 0 white, 2 brown")
    temperature: float = Field(default=0.5, gt=0, description="MPPI: cost difference that divides a sample's say by e")
    step_size: float = Field(default=0.1, gt=0, description="gradient: Adam's learning rate")


class Judged(NamedTuple):
    """Candidates and what they cost: actions (S, H, A) in [-1, 1], costs (S,)."""

    actions: Tensor
    costs: Tensor


class Solution(NamedTuple):
    """actions (H, A) in [-1, 1] and their cost."""

    actions: Tensor
    cost: float


class Sample(Protocol):
    """Draw candidates (S, H, A) in [-1, 1] around a mean (H, A)."""

    def __call__(self, mean: Tensor, config: SolverConfig, generator: torch.Generator) -> Tensor: ...


class Search(Protocol):
    """Go on from candidates that have been judged, which are the first of `config.iterations`.

    `mean` (H, A) is one of them: what `Sample` drew around.
    """

    def __call__(
        self, objective: Objective, mean: Tensor, first: Judged, config: SolverConfig, generator: torch.Generator
    ) -> Solution: ...


class Solver(NamedTuple):
    """Minimises an objective over action sequences.

    The first candidates are drawn apart from the search, so that whoever has others to try predicts all in one batch.
    """

    sample: Sample
    search: Search


def white(mean: Tensor, config: SolverConfig, generator: torch.Generator) -> Tensor:
    """See `Sample`: independent Gaussian noise at every step."""
    noise = torch.randn(config.samples, *mean.shape, generator=generator, device=mean.device)
    return (mean + config.initial_std * noise).clamp(-1.0, 1.0)


def nan_last(costs: Tensor) -> Tensor:
    """Costs with NaN as infinity, so that what cannot be judged never wins."""
    return torch.where(costs.isnan(), torch.inf, costs)


def best(candidates: Judged) -> Solution:
    """The cheapest candidate; NaN costs never win."""
    costs = nan_last(candidates.costs)
    index = int(costs.argmin())
    return Solution(candidates.actions[index], float(costs[index]))
