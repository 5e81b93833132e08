"""Uncertainty is learned from how far predictions were off."""

from __future__ import annotations

import torch

from wm_planner.training.uncertainty import fit_uncertainty
from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.uncertainty import Uncertainty


def test_the_scale_of_surprise_is_told_where_it_follows_from_the_inputs(small_model: WorldModel) -> None:
    size = Uncertainty(small_model.config.latent_dim, small_model.contract, 1).mean.shape[0]
    torch.manual_seed(0)
    inputs, fresh = torch.randn(4000, size), torch.randn(1000, size)
    scores = torch.where(inputs[:, 2] > 0.5, 1.6, 0.5) * torch.randn(4000).abs()
    network = fit_uncertainty(small_model, 1, inputs, scores, torch.ones(4000))
    scale = network(fresh)
    assert scale[fresh[:, 2] > 0.8].mean() > 1.4
    assert scale[fresh[:, 2] < 0.2].mean() < 1.1


def test_what_weighs_nothing_teaches_nothing(small_model: WorldModel) -> None:
    size = Uncertainty(small_model.config.latent_dim, small_model.contract, 1).mean.shape[0]
    torch.manual_seed(0)
    inputs = torch.randn(2000, size)
    scores, weights = torch.full((2000,), 0.5), torch.ones(2000)
    scores[::2], weights[::2] = 5.0, 0.0
    assert fit_uncertainty(small_model, 1, inputs, scores, weights)(inputs).max() < 1.1
