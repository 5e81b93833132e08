"""The likelihood of a policy's mixture."""

from __future__ import annotations

import torch

from wm_planner.training.imitation import mixture_nll


def test_likelihood_prefers_the_nearest_component() -> None:
    means = torch.tensor([[[0.0, 0.0], [1.0, 1.0]]])
    even = torch.full((1, 2), 0.5).log()
    near, between = (mixture_nll(even, means, torch.tensor([a])) for a in ([1.0, 1.0], [0.5, 0.5]))
    assert float(near) < float(between)
