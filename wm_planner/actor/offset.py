"""Offset-free planning: what the predictor keeps missing, it is expected to miss again.

The disturbance model of offset-free model-predictive control (Pannocchia and Rawlings, 2003), for latents: a camera
that is not where it was, light, friction, or a model a little wrong make predictions err one way for a while. A goal
moved by that is reached where the true one would be missed by as much.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wm_planner.memory.context import Memory
from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.surprise import residuals

_KEPT = 0.8  # of the mean, from one control step to the next


class Offset:
    """Running mean of what was seen minus what had been predicted for it one control step before."""

    def __init__(self, model: WorldModel) -> None:
        self._model = model
        self.clear()

    def clear(self) -> None:
        self._mean = torch.zeros(self._model.config.latent_dim, device=self._model.device)
        self._time: float | None = None

    @torch.no_grad()
    def update(self, memory: Memory) -> None:
        """Take in the newest moment, if the memory reaches back a step from there."""
        dt, now = self._model.contract.dt, memory.newest
        if now is None:
            return
        if self._time is not None and now.time < self._time:
            self.clear()
        context = memory.context_at(now.time - dt)
        if context is None:
            return
        actions = memory.actions_from(now.time - dt, 1, now.latent)
        missed = residuals(self._model, context, actions, now.latent, now.joints)[0, : len(self._mean)]
        if not missed.isfinite().all():  # a mean would never forget it
            return
        steps = 1.0 if self._time is None else min((now.time - self._time) / dt, 1.0)
        self._mean = missed.lerp(self._mean, _KEPT**steps)
        self._time = now.time

    def __call__(self, goal: Tensor) -> Tensor:
        """A goal latent (D,), as the predictor has to be told it."""
        return goal - self._mean
