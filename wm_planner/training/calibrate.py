"""What prediction errors usually are: the calibration of surprise, on held-out episodes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wm_planner.training.augment import recoloured
from wm_planner.training.jepa import context_at_start
from wm_planner.training.predictor import Latents
from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.surprise import HORIZONS, Calibration, packed, residuals, score

LATE = 0.3  # steps: commands act up to this much later than the planner is told, so the calibration expects it
SHRINKAGE = 0.1  # of correlations between residuals
HARMLESS = 0.1  # strength of the augmentation whose effect on latents must not surprise
HARMLESS_EVERY = 6  # frames of which one is used
TAIL, TAIL_MOMENTS = 0.02, 60  # share, and number, of the largest surprises that the tail is fitted to at most


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
def calibrate(model: WorldModel, data: Latents, harmless: Tensor, source: str, late: float = LATE) -> Calibration:
    """Measure surprise on episodes the model was not trained on.

    The thresholds come from a half of the episodes under the whitening of the other: residuals that the whitening was
    fitted to are less surprising than those to come.

    Args:
        data: encoded episodes; each episode's commands are made late by its own share of `late` steps.
        harmless: changes of latents (N, D) that must not surprise; see `harmless_changes`.
        source: says where they come from.
        late: of a step, the most that commands act later than the planner is told; 0 to 1.

    Raises:
        ValueError: fewer than two episodes.
    """
    if len(data.actions) < 2:
        raise ValueError(f"{len(data.actions)} episode(s) to calibrate surprise on, expected two or more")
    generator = torch.Generator().manual_seed(0)
    share = (late * torch.rand(len(data.actions), 1, 1, generator=generator)).to(data.actions)
    before = torch.cat([torch.zeros_like(data.actions[:, :1]), data.actions[:, :-1]], 1)
    data = data._replace(actions=(1.0 - share) * data.actions + share * before)
    errors = {h: all_residuals(model, data, h) for h in HORIZONS}
    even, odd = slice(0, None, 2), slice(1, None, 2)  # each has some of every recording
    surprises = torch.cat(
        [
            _surprises(_part(errors, scored), _whitening(_part(errors, fitted), harmless))
            for fitted, scored in ((even, odd), (odd, even))
        ]
    )
    whitening = _whitening(errors, harmless)
    # As far out as the record allows: not all tails are exponential from two in a hundred on, and a rover's is not.
    beyond = min(TAIL, TAIL_MOMENTS / len(surprises))
    level, excess = tail(surprises.cpu().numpy(), beyond)
    return Calibration(
        dt=model.contract.dt,
        whitening={h: packed(matrix) for h, matrix in whitening.items()},
        level=round(level, 4),
        share=beyond,
        excess=round(excess, 4),
        moments=len(surprises),
        source=source,
    )


@torch.no_grad()
def harmless_changes(model: WorldModel, frames: np.ndarray) -> Tensor:
    """How latents (N, D) change with light, colours, noise and blur; frames (E, T, S, S, C), of which some are used."""
    part = torch.from_numpy(np.ascontiguousarray(frames[:, ::HARMLESS_EVERY])).to(model.device)
    torch.manual_seed(0)
    changed = recoloured(part, HARMLESS, 0.0)
    return torch.cat([model.encode(b).float() - model.encode(a).float() for a, b in zip(part, changed)])


def _part(errors: dict[int, Tensor], part: slice) -> dict[int, Tensor]:
    """The same episodes of every horizon."""
    return {horizon: each[part] for horizon, each in errors.items()}


def _whitening(errors: dict[int, Tensor], harmless: Tensor) -> dict[int, Tensor]:
    """By horizon, the matrix under which residuals (N, T, D + J) score 1 on average.

    Whitened twice: the second time the more surprising weigh more, a step towards the least ellipsoid around all of
    them, since it is the most surprising of ordinary moments that cause false alarms.
    """
    out = {}
    for horizon, each in errors.items():
        flat = each.flatten(0, 1)
        weight = score(flat, whiten(flat, harmless)).square()
        matrix = whiten(flat * (weight / weight.square().mean().sqrt())[:, None], harmless)
        out[horizon] = matrix / score(flat, matrix).square().mean().sqrt()
    return out


def _surprises(errors: dict[int, Tensor], whitening: dict[int, Tensor]) -> Tensor:
    """Of every moment, the largest over horizons."""
    return torch.stack([score(errors[h].flatten(0, 1), matrix) for h, matrix in whitening.items()]).amax(0)


def whiten(residuals: Tensor, harmless: Tensor) -> Tensor:
    """What makes residuals (N, D + J), harmless changes (M, D) added, about white: lower triangular (D + J, D + J).

    Correlations are shrunk towards none (Ledoit & Wolf, 2004, with a fixed weight), as episodes are few.
    """
    covariance = residuals.T @ residuals / len(residuals)
    d = harmless.shape[1]
    covariance[:d, :d] += harmless.T @ harmless / max(len(harmless), 1)
    scale = covariance.diagonal().sqrt().clamp(min=1e-4)
    correlation = covariance / scale[:, None] / scale
    correlation = (1.0 - SHRINKAGE) * correlation + SHRINKAGE * torch.eye(len(scale)).to(scale)
    return torch.linalg.cholesky(torch.linalg.inv(correlation)) / scale[:, None]


def tail(values: np.ndarray, share: float) -> tuple[float, float]:
    """Level that a share of the values exceeds, and by how much those exceed it on average."""
    level = float(np.quantile(values, 1.0 - share))
    return level, max(float((values[values > level] - level).mean()), 1e-3)
