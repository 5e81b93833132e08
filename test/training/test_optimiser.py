"""Which optimiser has which parameter."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from wm_planner.training.optimiser import make_optimisers, wide
from wm_planner.world_model.heads import ResidualMLP


def _of(optimiser: torch.optim.Optimizer) -> set[int]:
    """Where what it changes lies."""
    return {parameter.data_ptr() for group in optimiser.param_groups for parameter in group["params"]}


def test_muon_has_the_matrices_between_layers_and_adamw_the_rest() -> None:
    network = ResidualMLP(20, 12, width=16, blocks=2)
    parameters = [*network.parameters()]
    optimisers = make_optimisers(parameters, 1e-3, muon_lr=0.02)
    muon, rest = _of(optimisers["muon"]), _of(optimisers["optimiser"])
    assert muon == {p.data_ptr() for name, p in network.named_parameters() if name.startswith("blocks") and p.ndim == 2}
    assert len(muon) == 4 and muon | rest == {p.data_ptr() for p in parameters} and not muon & rest
    assert make_optimisers(parameters, 1e-3).keys() == {"optimiser"}


def test_muon_takes_convolutions_as_matrices() -> None:
    network = nn.Sequential(nn.Conv2d(4, 32, 3), nn.Flatten(), nn.Linear(32, 8))
    convolution, narrow = network[0].weight, network[2].weight
    optimisers = make_optimisers([*network.parameters()], 1e-3, muon_lr=0.02, muons=wide)
    assert narrow.data_ptr() in _of(optimisers["optimiser"]) and _of(optimisers["muon"]) == {convolution.data_ptr()}
    matrix = nn.Parameter(convolution.detach().flatten(1).clone())
    alone = torch.optim.Muon([matrix], 0.02, weight_decay=1e-3)
    for _ in range(3):
        for optimiser in optimisers.values():
            optimiser.zero_grad(set_to_none=True)
        assert convolution.grad is None  # or a step's gradient would be left to the next
        network(torch.randn(8, 4, 3, 3)).square().sum().backward()
        matrix.grad = convolution.grad.flatten(1).clone()
        for optimiser in (*optimisers.values(), alone):
            optimiser.step()
    assert torch.equal(convolution.flatten(1), matrix)


def test_muon_without_a_matrix_for_it_or_a_torch_that_has_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"Muon: expected square matrices, found none; set its muon_lr to 0"):
        make_optimisers([*nn.Linear(2, 3).parameters()], 1e-3, muon_lr=0.02)
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(ValueError, match=r"Muon needs torch 2.9, found .*; upgrade torch, or set all muon_lr to 0"):
        make_optimisers([*nn.Linear(3, 3).parameters()], 1e-3, muon_lr=0.02)
