"""Learning how far predictions are likely to be off, from how far they were."""

from __future__ import annotations

import torch
from torch import Tensor

from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.uncertainty import Uncertainty

STEPS = 1500
_BATCH, _LR, _WEIGHT_DECAY = 512, 1e-3, 1e-2


def fit_uncertainty(model: WorldModel, horizon: int, inputs: Tensor, scores: Tensor, weights: Tensor) -> Uncertainty:
    """Fit a network by the likelihood of normal residuals of the scale that it tells.

    Args:
        inputs: (N, I), see `flattened`.
        scores: whitened residuals after `horizon` steps, root mean square (N,).
        weights: how much each counts (N,).
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Uncertainty(model.config.latent_dim, model.contract, horizon).to(model.device)
    network.mean.copy_(inputs.mean(0))
    network.std.copy_(inputs.std(0) + 1e-3)  # of what never changes, too
    squares = scores.square()
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.AdamW(network.parameters(), _LR, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, STEPS)
    with torch.enable_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(STEPS):
            rows = torch.randint(len(inputs), (_BATCH,), generator=generator).to(inputs.device)
            log_variance = network.log_variance(inputs[rows])
            loss = (weights[rows] * (log_variance + squares[rows] * (-log_variance).exp())).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval().requires_grad_(False)
