"""What prediction errors usually are: the calibration of surprise, on held-out episodes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wm_planner.training.jepa import context_at_start
from wm_planner.training.predictor import Latents
from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.surprise import HORIZONS, Calibration, residuals, score

LATE = 0.3  # steps: commands reach a real robot up to this much late, so the calibration expects it
TAIL = 0.02  # share of the largest surprises that the tail is fitted to


def all_residuals(model: WorldModel, data: Latents, horizon: int) -> Tensor:
    """Residuals of every moment that has enough past: (N, T + 1 - first, D + J), first = longest past needed."""
    c, steps = model.contract.context_length, data.latents.shape[1]
    first = c - 1 + max(HORIZONS)
    out = []
    for now in range(first, steps):
        begin = now - horizon - c + 1
        z, q, a = data.latents[:, begin:now], data.joints[:, begin:now], data.actions[:, begin:now]
        context = context_at_start(z, q, a, c)
        out.append(residuals(model, context, a[:, c - 1 :], data.latents[:, now], data.joints[:, now]))
    return torch.stack(out, 1)


@torch.no_grad()
def calibrate(model: WorldModel, data: Latents, source: str) -> Calibration:
    """Measure surprise on episodes the model was not trained on.

    Args:
        data: encoded episodes; each episode's commands are made late by its own share of LATE steps.
        source: says where they come from.
    """
    generator = torch.Generator().manual_seed(0)
    late = (LATE * torch.rand(len(data.actions), 1, 1, generator=generator)).to(data.actions)
    before = torch.cat([torch.zeros_like(data.actions[:, :1]), data.actions[:, :-1]], 1)
    data = data._replace(actions=(1.0 - late) * data.actions + late * before)
    errors = {h: all_residuals(model, data, h).flatten(0, 1) for h in HORIZONS}
    scales = {h: e.square().mean(0).sqrt().clamp(min=1e-4) for h, e in errors.items()}
    surprises = torch.stack([score(errors[h], scales[h]) for h in HORIZONS]).amax(0).cpu().numpy()
    level, excess = tail(surprises, TAIL)
    return Calibration(
        dt=model.contract.dt,
        scales={h: [round(float(v), 5) for v in scale] for h, scale in scales.items()},
        level=round(level, 4),
        share=TAIL,
        excess=round(excess, 4),
        moments=len(surprises),
        source=source,
    )


def tail(values: np.ndarray, share: float) -> tuple[float, float]:
    """Level that a share of the values exceeds, and by how much those exceed it on average."""
    level = float(np.quantile(values, 1.0 - share))
    return level, max(float((values[values > level] - level).mean()), 1e-3)
