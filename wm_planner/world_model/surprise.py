"""Surprise: how much worse than usual the model predicted what is seen now.

What is seen is compared with what the model predicted for now, several steps ago, under the actions taken since
(violation of expectation, as in LeWM, 2026). Residuals are whitened by what they are on held-out play and by how
latents change with light and colours, so one is ordinary, and what does not matter counts little. Where a calibration
can tell beforehand that predictions will be further off than usual, surprise is divided by how much.
"""

from __future__ import annotations

import base64
import math

import numpy as np
import torch
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field
from torch import Tensor

from wm_planner.memory.context import Memory
from wm_planner.world_model.model import Context, WorldModel
from wm_planner.world_model.uncertainty import Uncertainty, flattened

HORIZONS = (1, 2, 4)  # steps: one notices a jump at once; several notice that what should move does not
SLOW, STOP = 0.5, 0.1  # false alarms per ten minutes at which a planner slows and stops, unless set otherwise


class Calibration(BaseModel):
    """What prediction errors usually are, measured on held-out play; travels in the checkpoint's facts.

    The largest surprises have an exponential tail: P(surprise > x) = share * exp(-(x - level) / excess) for
    x >= level (peaks over threshold), which reaches false-alarm rates that the recorded minutes are too few to show.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dt: float = Field(gt=0, description="s between moments")
    whitening: dict[int, Base64Bytes] = Field(
        description="by horizon: the lower triangle, float16, row by row, of the triangular matrix (D + J, D + J) "
        "that residuals of latents and joints are multiplied by"
    )
    uncertainty: dict[int, Base64Bytes] = Field(
        default={}, description="by horizon: the numbers of an `Uncertainty`, float16; empty: none is told beforehand"
    )
    level: float = Field(gt=0)
    share: float = Field(gt=0, lt=1)
    excess: float = Field(gt=0, description="mean of what the largest surprises have above the level")
    moments: int = Field(description="how many were measured")
    source: str = Field(description="where they came from")

    def matrices(self, size: int) -> dict[int, Tensor]:
        """The whitening matrices (size, size) by horizon.

        Raises:
            ValueError: they are of another size.
        """
        out = {}
        rows, columns = np.tril_indices(size)
        for horizon, data in self.whitening.items():
            if len(data) != 2 * len(rows):
                raise ValueError(
                    f"the calibration of surprise has {len(data) // 2} numbers at horizon {horizon}, expected "
                    f"{len(rows)} for {size} latents and joints; calibrate again with `wm_planner calibrate`"
                )
            matrix = np.zeros((size, size), np.float32)
            matrix[rows, columns] = np.frombuffer(data, np.float16)
            out[horizon] = torch.from_numpy(matrix)
        return out

    def uncertainties(self, model: WorldModel) -> dict[int, Uncertainty]:
        """By horizon, on the model's device.

        Raises:
            ValueError: they are of another model.
        """
        size, contract = model.config.latent_dim, model.contract
        return {h: Uncertainty(size, contract, h).unpack(data).to(model.device) for h, data in self.uncertainty.items()}

    def threshold(self, per_ten_minutes: float) -> float:
        """The surprise that nominal running exceeds so often; at least the level, exceeded `share` of the time."""
        if per_ten_minutes <= 0:
            raise ValueError(f"false alarms per ten minutes are {per_ten_minutes}, expected more than 0")
        probability = per_ten_minutes * self.dt / 600.0
        return self.level + self.excess * math.log(self.share / min(probability, self.share))


def packed(matrix: Tensor) -> bytes:
    """A lower triangular matrix as `Calibration` takes it."""
    return base64.b64encode(matrix.cpu().numpy().astype(np.float16)[np.tril_indices(len(matrix))].tobytes())


class Surprise:
    """Scores what was observed last. Owns nothing but the calibration; one thread calls it."""

    def __init__(self, model: WorldModel, calibration: Calibration) -> None:
        self.calibration = calibration
        self._model = model
        size = model.config.latent_dim + len(model.contract.joints.names)
        self._whitening = {h: matrix.to(model.device) for h, matrix in calibration.matrices(size).items()}
        self._uncertainty = calibration.uncertainties(model)

    @torch.no_grad()
    def __call__(self, memory: Memory) -> float | None:
        """Surprise of the newest moment; about 1 is ordinary.

        None while the memory does not reach back (after a start, a reset or a lost stretch of images).
        """
        now = memory.newest
        if now is None:
            return None
        dt, scores = self.calibration.dt, []
        for horizon, whitening in self._whitening.items():
            context = memory.context_at(now.time - horizon * dt)
            if context is None:
                continue
            actions = memory.actions_from(now.time - horizon * dt, horizon, now.latent)
            residual = residuals(self._model, context, actions, now.latent, now.joints)
            inputs = flattened(context, actions)
            scores.append(surprise(residual, whitening, self._uncertainty.get(horizon), inputs))
        return float(torch.stack(scores).amax()) if scores else None


def residuals(model: WorldModel, context: Context, actions: Tensor, latent: Tensor, joints: Tensor) -> Tensor:
    """Observed minus predicted after all actions (B, H, A): (B, D + J), latents, then joints."""
    latents, predicted = model.rollout(context, actions)
    return torch.cat([latent - latents[:, -1], joints - predicted[:, -1]], -1)


def surprise(residual: Tensor, whitening: Tensor, uncertainty: Uncertainty | None, inputs: Tensor) -> Tensor:
    """Score of residuals (N, D + J), relative to what was to be expected of `inputs` (N, I): (N,)."""
    found = score(residual, whitening)
    return found if uncertainty is None else found / uncertainty(inputs)


def score(residual: Tensor, whitening: Tensor) -> Tensor:
    """Root mean square of whitened residuals (..., D + J): (...)."""
    return (residual @ whitening).square().mean(-1).sqrt()
