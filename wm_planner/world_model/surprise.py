"""Surprise: how much worse than usual the model predicted what is seen now.

What is seen is compared with what the model predicted for now, several steps ago, under the actions taken since.
Each residual is measured in units of what it usually is on held-out play, so one is ordinary (violation of
expectation; LeWM, 2026, compares prediction errors in the same way).
"""

from __future__ import annotations

import math

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from wm_planner.memory.context import Memory
from wm_planner.world_model.model import Context, WorldModel

HORIZONS = (1, 4)  # steps: one notices a jump at once; several notice that what should move does not
SLOW, STOP = 0.5, 0.1  # false alarms per ten minutes at which a planner slows and stops, unless set otherwise


class Calibration(BaseModel):
    """What prediction errors usually are, measured on held-out play; travels in the checkpoint's facts.

    The largest surprises have an exponential tail: P(surprise > x) = share * exp(-(x - level) / excess) for
    x >= level (peaks over threshold), which reaches false-alarm rates that the recorded minutes are too few to show.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dt: float = Field(gt=0, description="s between moments")
    scales: dict[int, list[float]] = Field(description="root mean square residual by horizon: latents, then joints")
    level: float = Field(gt=0)
    share: float = Field(gt=0, lt=1)
    excess: float = Field(gt=0, description="mean of what the largest surprises have above the level")
    moments: int = Field(description="how many were measured")
    source: str = Field(description="where they came from")

    def threshold(self, per_ten_minutes: float) -> float:
        """The surprise that nominal running exceeds so often."""
        if per_ten_minutes <= 0:
            raise ValueError(f"false alarms per ten minutes are {per_ten_minutes}, expected more than 0")
        probability = per_ten_minutes * self.dt / 600.0
        return self.level + self.excess * math.log(self.share / min(probability, self.share))


class Surprise:
    """Scores what was observed last. Owns nothing but the calibration; one thread calls it."""

    def __init__(self, model: WorldModel, calibration: Calibration) -> None:
        latents, joints = model.config.latent_dim, len(model.contract.joints.names)
        for horizon, scale in calibration.scales.items():
            if len(scale) != latents + joints:
                raise ValueError(
                    f"the surprise calibration has {len(scale)} scales at horizon {horizon}, expected {latents} of "
                    f"latents and {joints} of joints; calibrate again with `wm_planner verify`"
                )
        self.calibration = calibration
        self._model = model
        self._scales = {h: torch.tensor(s, device=model.device) for h, s in calibration.scales.items()}

    @torch.no_grad()
    def __call__(self, memory: Memory) -> float | None:
        """Surprise of the newest moment; about 1 is ordinary.

        None while the memory does not reach back (after a start, a reset or a lost stretch of images).
        """
        now = memory.newest
        if now is None:
            return None
        dt, scores = self.calibration.dt, []
        for horizon, scale in self._scales.items():
            context = memory.context_at(now.time - horizon * dt)
            if context is None:
                continue
            actions = memory.actions_from(now.time - horizon * dt, horizon, now.latent)
            scores.append(score(residuals(self._model, context, actions, now.latent, now.joints), scale))
        return float(torch.stack(scores).amax()) if scores else None


def residuals(model: WorldModel, context: Context, actions: Tensor, latent: Tensor, joints: Tensor) -> Tensor:
    """Observed minus predicted after all actions (B, H, A): (B, D + J), latents, then joints."""
    latents, predicted = model.rollout(context, actions)
    return torch.cat([latent - latents[:, -1], joints - predicted[:, -1]], -1)


def score(residual: Tensor, scale: Tensor) -> Tensor:
    """Root mean square of residuals (..., D + J) in units of their usual size (D + J,): (...)."""
    return (residual / scale).square().mean(-1).sqrt()
