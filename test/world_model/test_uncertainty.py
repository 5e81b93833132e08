"""Uncertainty: bounded, and the same after it was stored."""

from __future__ import annotations

import base64

import pytest
import torch

from wm_planner.world_model.model import Context, WorldModel
from wm_planner.world_model.uncertainty import LARGEST, Uncertainty, flattened


def _network(model: WorldModel, horizon: int = 2) -> Uncertainty:
    torch.manual_seed(0)
    network = Uncertainty(model.config.latent_dim, model.contract, horizon).eval()
    torch.nn.init.normal_(network.net.leave[1].weight)
    network.std.fill_(2.0)
    return network


def _inputs(model: WorldModel, horizon: int = 2, count: int = 50) -> torch.Tensor:
    torch.manual_seed(1)
    c, a = model.contract.context_length, model.contract.action_dim
    context = Context(
        torch.randn(count, c, model.config.latent_dim), torch.randn(count, c, 7), torch.randn(count, c - 1, a)
    )
    return flattened(context, torch.randn(count, horizon, a))


def test_it_never_raises_surprise_and_never_explains_much_away(small_model: WorldModel) -> None:
    network, inputs = _network(small_model), _inputs(small_model)
    scale = network(100.0 * inputs)
    assert scale.min() == 1.0 and scale.max() == LARGEST
    assert network(inputs).unique().numel() > 2


def test_what_is_no_number_is_not_hidden(small_model: WorldModel) -> None:
    inputs = _inputs(small_model)
    inputs[0, 3] = float("nan")
    scale = _network(small_model)(inputs)
    assert scale[0].isnan() and scale[1:].isfinite().all()


def test_stored_it_tells_the_same(small_model: WorldModel) -> None:
    network, inputs = _network(small_model), _inputs(small_model)
    again = Uncertainty(small_model.config.latent_dim, small_model.contract, 2)
    again.unpack(base64.b64decode(network.packed()))
    torch.testing.assert_close(again(inputs), network(inputs), rtol=1e-2, atol=1e-2)  # half precision


def test_of_another_horizon_it_is_refused(small_model: WorldModel) -> None:
    data = base64.b64decode(_network(small_model).packed())
    with pytest.raises(ValueError, match="calibrate again"):
        Uncertainty(small_model.config.latent_dim, small_model.contract, 1).unpack(data)
