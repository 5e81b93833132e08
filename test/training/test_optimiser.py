"""Which optimiser has which parameter."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from wm_planner.training.optimiser import make_optimisers
from wm_planner.world_model.heads import ResidualMLP


def _of(optimiser: torch.optim.Optimizer) -> set[int]:
    return {id(parameter) for group in optimiser.param_groups for parameter in group["params"]}


def test_muon_has_the_matrices_between_layers_and_adamw_the_rest() -> None:
    network = ResidualMLP(20, 12, width=16, blocks=2)
    parameters = [*network.parameters()]
    optimisers = make_optimisers(parameters, 1e-3, muon_lr=0.02)
    muon, rest = _of(optimisers["muon"]), _of(optimisers["optimiser"])
    assert muon == {id(p) for name, p in network.named_parameters() if name.startswith("blocks") and p.ndim == 2}
    assert len(muon) == 4 and muon | rest == {id(p) for p in parameters} and not muon & rest
    assert make_optimisers(parameters, 1e-3).keys() == {"optimiser"}


def test_muon_without_a_matrix_for_it_or_a_torch_that_has_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"expected square matrices, found none; set 0"):
        make_optimisers([*nn.Linear(2, 3).parameters()], 1e-3, muon_lr=0.02)
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(ValueError, match=r"predictor_muon_lr needs torch 2.9, found .*; upgrade torch, or set 0"):
        make_optimisers([*nn.Linear(3, 3).parameters()], 1e-3, muon_lr=0.02)
