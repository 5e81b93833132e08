"""What turns gradients into steps: AdamW, and Muon for the matrices where it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

Optimisers = dict[str, torch.optim.Optimizer]  # by the name their state is saved under
Choice = Callable[[nn.Parameter], bool]

_WIDE = 32


def square(parameter: nn.Parameter) -> bool:
    """Whether it is a matrix between two layers of the same width, not a map into or out of them."""
    return parameter.ndim == 2 and parameter.shape[0] == parameter.shape[1]


def wide(parameter: nn.Parameter) -> bool:
    """Whether it is a matrix, or a convolution, which is one from patches to channels, with 32 rows and columns."""
    return parameter.ndim >= 2 and min(parameter.flatten(1).shape) >= _WIDE


def make_optimisers(
    parameters: list[nn.Parameter], lr: float, muon_lr: float = 0.0, muons: Choice = square
) -> Optimisers:
    """AdamW for all; with `muon_lr` those that `muons` chooses are Muon's (Jordan et al., 2024).

    Raises:
        ValueError: Muon is asked for and this torch has none, or there is no parameter for it.
    """
    chosen = [p for p in parameters if muons(p)] if muon_lr else []
    optimisers: Optimisers = {}
    if muon_lr:
        if not hasattr(torch.optim, "Muon"):
            raise ValueError(f"Muon needs torch 2.9, found {torch.__version__}; upgrade torch, or set all muon_lr to 0")
        if not chosen:
            raise ValueError(f"Muon: expected {muons.__name__} matrices, found none; set its muon_lr to 0")
        optimisers["muon"] = _muon(chosen, muon_lr)
    theirs = {id(p) for p in chosen}
    rest = [p for p in parameters if id(p) not in theirs]
    return {"optimiser": torch.optim.AdamW(rest, lr, weight_decay=1e-3), **optimisers}


def _muon(weights: list[nn.Parameter], lr: float) -> torch.optim.Optimizer:
    """torch's Muon, which takes matrices only: convolutions are given to it as views that are."""

    class Muon(torch.optim.Muon):
        def step(self, closure: Any = None) -> Any:
            for weight, matrix in zip(weights, self.param_groups[0]["params"]):
                matrix.grad = None if weight.grad is None else weight.grad.flatten(1)
            return super().step(closure)

        def zero_grad(self, set_to_none: bool = True) -> None:
            for weight in weights:
                weight.grad = None

    return Muon([nn.Parameter(weight.detach().view(len(weight), -1)) for weight in weights], lr, weight_decay=1e-3)
