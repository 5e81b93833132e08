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
    iterations: int = Field(default=1, ge=1)
    elites: int = Field(default=8, ge=1)
    initial_std: float = Field(default=0.5, gt=0)
    min_std: float = Field(default=0.05, gt=0)
    noise_exponent: float = Field(default=1.0, ge=0, description="colour of iCEM's noise: 0 white, 2 brown")
    temperature: float = Field(default=0.5, gt=0, description="MPPI: cost difference that divides a sample's say by e")
    step_size: float = Field(default=0.1, gt=0, description="gradient: Adam's learning rate")


class Proposals(NamedTuple):
    """Candidates from elsewhere, already judged: actions (P, H, A) in [-1, 1] and their costs (P,)."""

    actions: Tensor
    costs: Tensor


class Solution(NamedTuple):
    """actions (H, A) in [-1, 1] and their cost."""

    actions: Tensor
    cost: float


class Solver(Protocol):
    """Minimise an objective over action sequences."""

    def __call__(
        self,
        objective: Objective,
        mean: Tensor,
        proposals: Proposals,
        config: SolverConfig,
        generator: torch.Generator,
    ) -> Solution:
        """Search from `mean` (H, A), with `proposals` among the first candidates; their costs are not asked again."""
        ...


def nan_last(costs: Tensor) -> Tensor:
    """Costs with NaN as infinity, so that what cannot be judged never wins."""
    return torch.where(costs.isnan(), torch.inf, costs)


def best(candidates: Tensor, costs: Tensor) -> Solution:
    """The cheapest candidate; NaN costs never win."""
    costs = nan_last(costs)
    index = int(costs.argmin())
    return Solution(candidates[index], float(costs[index]))
