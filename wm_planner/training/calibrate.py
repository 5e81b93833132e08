"""What prediction errors usually are: the calibration of surprise, on held-out episodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from wm_planner.training.augment import recoloured
from wm_planner.training.jepa import context_at_start
from wm_planner.training.loop import Progress, silent
from wm_planner.training.predictor import Latents
from wm_planner.training.uncertainty import fit_uncertainty
from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.surprise import HORIZONS, Calibration, packed, residuals, score, surprise
from wm_planner.world_model.uncertainty import Uncertainty, flattened

LATE = 0.3  # steps: commands act up to this much later than the planner is told, so the calibration expects it
SHRINKAGE = 0.1  # of correlations between residuals
HARMLESS = 0.1  # strength of the augmentation whose effect on latents must not surprise
HARMLESS_EVERY = 6  # frames of which one is used
NOMINAL_WEIGHT = 3.0  # of a moment of nominal running, where one of other episodes weighs 1
TAIL, TAIL_MOMENTS = 0.02, 60  # share, and number, of the largest surprises that the tail is fitted to at most


class Moments(NamedTuple):
    """By horizon: residuals (M, D + J), and what they come of, (M, I) as `flattened` has it."""

    residuals: dict[int, Tensor]
    inputs: dict[int, Tensor]


class Fitted(NamedTuple):
    """By horizon: whitening (D + J, D + J), and uncertainty where that is told."""

    whitening: dict[int, Tensor]
    uncertainty: dict[int, Uncertainty]

    def surprises(self, moments: Moments) -> Tensor:
        """Of every moment, the largest over horizons: (M,)."""
        found = [
            surprise(moments.residuals[h], matrix, self.uncertainty.get(h), moments.inputs[h])
            for h, matrix in self.whitening.items()
        ]
        return torch.stack(found).amax(0)


def all_moments(model: WorldModel, data: Latents) -> Moments:
    """All moments of episodes that have enough past.

    Raises:
        ValueError: none has.
    """
    c = model.contract.context_length
    first, steps = c - 1 + max(HORIZONS), data.actions.shape[1]
    if steps < first:
        raise ValueError(f"episodes of {steps} steps are too short to measure surprise on, expected {first} or more")
    out = Moments({}, {})
    for horizon in HORIZONS:
        errors, inputs = [], []
        for now in range(first, steps + 1):
            begin = now - horizon - c + 1
            z, q, a = data.latents[:, begin:now], data.joints[:, begin:now], data.actions[:, begin:now]
            context, actions = context_at_start(z, q, a, c), a[:, c - 1 :]
            errors.append(residuals(model, context, actions, data.latents[:, now], data.joints[:, now]))
            inputs.append(flattened(context, actions))
        out.residuals[horizon], out.inputs[horizon] = torch.cat(errors), torch.cat(inputs)
    return out


@torch.no_grad()
def calibrate(
    model: WorldModel,
    recordings: Sequence[Latents],
    harmless: Tensor,
    source: str,
    late: float = LATE,
    other: Sequence[Latents] = (),
    whiten_other: bool = True,
    progress: Progress = silent,
) -> Calibration:
    """Measure surprise on episodes the model was not trained on.

    The thresholds come from a half of the episodes under what was fitted to the other: residuals that something was
    fitted to are less surprising than those to come.

    Args:
        recordings: encoded episodes of nominal running, from which the thresholds come; half of each is every other
            episode.
        harmless: changes of latents (N, D) that must not surprise; see `harmless_changes`.
        source: says where they come from.
        late: of a step, the most that commands act later than the planner is told; 0 to 1.
        other: any episodes it was not trained on, which show what nominal running seldom meets. Where predictions will
            be far off is learned from these and the recordings; without, it is not.
        whiten_other: what is usual is measured on the others, too, not on nominal running alone.

    Raises:
        ValueError: a recording has fewer than two episodes.
    """
    if few := [len(data.actions) for data in recordings if len(data.actions) < 2]:
        raise ValueError(f"{few[0]} episode(s) in a recording to calibrate surprise on, expected two or more")
    recordings = [_later(data, late) for data in recordings]
    even, odd = (_joined([all_moments(model, _every_other(d, first)) for d in recordings]) for first in (0, 1))
    shown = _joined([all_moments(model, _later(data, late)) for data in other]) if other else None
    surprises = []
    for done, (fitted, scored) in enumerate(((even, odd), (odd, even)), start=1):
        surprises.append(_fit(model, fitted, shown, whiten_other, harmless).surprises(scored))
        progress("calibrating", done, 3, {})
    fit = _fit(model, _joined([even, odd]), shown, whiten_other, harmless)
    progress("calibrating", 3, 3, {})
    values = torch.cat(surprises)
    # As far out as the record allows: not all tails are exponential from two in a hundred on, and a rover's is not.
    beyond = min(TAIL, TAIL_MOMENTS / len(values))
    level, excess = tail(values.cpu().numpy(), beyond)
    return Calibration(
        dt=model.contract.dt,
        whitening={h: packed(matrix) for h, matrix in fit.whitening.items()},
        uncertainty={h: network.packed() for h, network in fit.uncertainty.items()},
        level=round(level, 4),
        share=beyond,
        excess=round(excess, 4),
        moments=len(values),
        source=source,
    )


def _later(data: Latents, late: float) -> Latents:
    """Episodes, the commands of each made late by an own share of `late` steps."""
    generator = torch.Generator().manual_seed(0)
    share = (late * torch.rand(len(data.actions), 1, 1, generator=generator)).to(data.actions)
    before = torch.cat([torch.zeros_like(data.actions[:, :1]), data.actions[:, :-1]], 1)
    return data._replace(actions=(1.0 - share) * data.actions + share * before)


def _every_other(data: Latents, first: int) -> Latents:
    return Latents(*(values[first::2] for values in data))


def _joined(parts: Sequence[Moments]) -> Moments:
    return Moments(*({h: torch.cat([part[h] for part in each]) for h in HORIZONS} for each in zip(*parts)))


def _fit(model: WorldModel, nominal: Moments, other: Moments | None, whiten_other: bool, harmless: Tensor) -> Fitted:
    every = nominal if other is None else _joined([nominal, other])
    usual = every if whiten_other else nominal
    out = Fitted({h: _whitening(each, harmless) for h, each in usual.residuals.items()}, {})
    if other is not None:
        for h, matrix in out.whitening.items():
            scores = score(every.residuals[h], matrix)
            weights = torch.ones_like(scores)
            weights[: len(nominal.residuals[h])] = NOMINAL_WEIGHT
            out.uncertainty[h] = fit_uncertainty(model, h, every.inputs[h], scores, weights)
    return out


@torch.no_grad()
def harmless_changes(model: WorldModel, frames: np.ndarray) -> Tensor:
    """How latents (N, D) change with light, colours, noise and blur; frames (E, T, S, S, C), of which some are used."""
    part = torch.from_numpy(np.ascontiguousarray(frames[:, ::HARMLESS_EVERY])).to(model.device)
    torch.manual_seed(0)
    changed = recoloured(part, HARMLESS, 0.0)
    return torch.cat([model.encode(b).float() - model.encode(a).float() for a, b in zip(part, changed)])


def _whitening(residuals: Tensor, harmless: Tensor) -> Tensor:
    """The matrix under which residuals (N, D + J) score 1 on average.

    Whitened twice: the second time the more surprising weigh more, a step towards the least ellipsoid around all of
    them, since it is the most surprising of ordinary moments that cause false alarms.
    """
    weight = score(residuals, whiten(residuals, harmless)).square()
    matrix = whiten(residuals * (weight / weight.square().mean().sqrt())[:, None], harmless)
    return matrix / score(residuals, matrix).square().mean().sqrt()


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
