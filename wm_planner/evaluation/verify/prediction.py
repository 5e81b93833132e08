"""Prediction: how far ahead the model sees, against knowing nothing and against a linear model."""

from __future__ import annotations

import torch
from torch import Tensor

from wm_planner.evaluation.verify.figures import curves, pictures
from wm_planner.evaluation.verify.lab import Lab
from wm_planner.evaluation.verify.ridge import Ridge
from wm_planner.evaluation.verify.section import Figure, Section, Verdict
from wm_planner.training.jepa import context_at_start
from wm_planner.training.predictor import Latents
from wm_planner.world_model.model import Context

HORIZON = 16
JUDGED = 8  # steps ahead
_SHOWN = (1, 2, 4, 8, 16)
_EVERY = 5  # steps between windows


class LinearDynamics:
    """Ridge regression from what the predictor sees to what it predicts."""

    def __init__(self, data: Latents, context_length: int) -> None:
        windows = _windows(data, context_length + 1, 1)
        x = _features(context_at_start(*windows, context_length), windows.actions[:, context_length - 1])
        self._step = Ridge(x, torch.cat([windows.latents[:, -1], windows.joints[:, -1]], 1))

    def rollout(self, context: Context, actions: Tensor) -> Tensor:
        """Open-loop latents (B, H, D)."""
        latents = []
        for action in actions.unbind(1):
            y = self._step(_features(context, action))
            split = context.latents.shape[-1]
            context = context.shift(y[:, :split], y[:, split:], action)
            latents.append(y[:, :split])
        return torch.stack(latents, 1)


def _features(context: Context, action: Tensor) -> Tensor:
    return torch.cat([context.latents.flatten(1), context.joints.flatten(1), context.actions.flatten(1), action], 1)


def _windows(data: Latents, length: int, every: int) -> Latents:
    """All windows of `length` observations, `every` steps apart."""
    starts = range(0, data.latents.shape[1] + 1 - length, every)
    return Latents(
        torch.cat([data.latents[:, s : s + length] for s in starts]),
        torch.cat([data.joints[:, s : s + length] for s in starts]),
        torch.cat([data.actions[:, s : s + length - 1] for s in starts]),
    )


@torch.no_grad()
def prediction(lab: Lab) -> Section:
    """Open-loop latent error by horizon on held-out play."""
    model, c = lab.model, lab.model.contract.context_length
    windows = _windows(lab.held_out.latents, c + HORIZON, _EVERY)
    real, ahead = windows.latents[:, c:], windows.actions[:, c - 1 :]
    begin = context_at_start(*windows, c)
    imagined = model.rollout(begin, ahead)[0]
    one_step = torch.stack(
        [model.step(context_at_start(*_from(windows, h), c), ahead[:, h])[0] for h in range(HORIZON)], 1
    )
    series = {
        "world model, open loop": imagined,
        "last latent copied": windows.latents[:, c - 1 : c],
        "linear dynamics, open loop": LinearDynamics(lab.fit.latents, c).rollout(begin, ahead),
        "one step from the true encoding": one_step,
    }
    errors = {name: (guess - real).square().mean((0, 2)).tolist() for name, guess in series.items()}
    ours, copied, linear, _ = errors.values()
    section = Section(
        "prediction",
        f"Mean squared latent error on {len(real)} windows of held-out fresh play.",
        [
            Verdict(f"error at {JUDGED} steps / copying the last latent", ours[7] / copied[7], 0.2, "<="),
            Verdict(f"error at {JUDGED} steps / linear dynamics", ours[7] / linear[7], 0.7, "<="),
        ],
    )
    section.data["error_by_horizon"] = {name: [round(e, 5) for e in values] for name, values in errors.items()}
    steps = list(range(1, HORIZON + 1))
    labels = ("steps ahead", "mean squared latent error")
    section.figures.append(curves(steps, errors, labels, "Open-loop error by horizon.", log=True))
    if lab.model.config.encoder != "state":
        section.figures.append(_imagined(lab, windows, imagined))
    return section


def _from(windows: Latents, step: int) -> Latents:
    return Latents(windows.latents[:, step:], windows.joints[:, step:], windows.actions[:, step:])


def _imagined(lab: Lab, windows: Latents, imagined: Tensor) -> Figure:
    """What the decoder draws of the two windows in which most changes, beneath what was seen."""
    c, held = lab.model.contract.context_length, lab.held_out.episodes.frames
    change = (windows.latents[:, -1] - windows.latents[:, c - 1]).square().mean(-1)
    rows = {}
    for number, window in enumerate(change.topk(2).indices.tolist(), 1):
        start, episode = divmod(window, len(held))
        seen = [c - 1, *(c - 1 + h for h in _SHOWN)]
        latents = torch.cat([windows.latents[window, c - 1 : c], imagined[window, [h - 1 for h in _SHOWN]]])
        rows[f"real {number}"] = held[episode, [_EVERY * start + k for k in seen], ..., :3]
        rows[f"imagined {number}"] = lab.model.imagine(latents).numpy()[..., :3]
    titles = ["now", *(f"{h} step{'s' * (h > 1)} ahead" for h in _SHOWN)]
    return pictures(rows, titles, "Imagined frames beneath real ones; the decoder is for looking only.")
