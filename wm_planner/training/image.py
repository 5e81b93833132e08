"""Drawing: a network learns what was seen, from whatever goes with each moment. Of no consequence to the latents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from wm_planner.world_model.precision import half_precision


class ImageLoss:
    """Draws moments and returns the loss terms of one optimiser step.

    network: (B, K) -> images (B, C, S, S) in [0, 1]; inputs: (N, T+1, K); frames: (N, T+1, S, S, C) uint8; stream: of
    random numbers; batch: moments.
    """

    def __init__(
        self, network: nn.Module, inputs: Tensor, frames: np.ndarray, stream: Sequence[int], batch: int
    ) -> None:
        self._network, self._inputs, self._frames = network, inputs, frames
        self._stream, self._batch = stream, batch

    def __call__(self, step: int) -> dict[str, Tensor]:
        device = self._inputs.device
        moments = np.random.default_rng([*self._stream, step]).integers(self._frames.shape[:2], size=(self._batch, 2)).T
        episode, index = moments
        with torch.autocast(device.type, torch.bfloat16, enabled=half_precision(device)):
            image = self._network(self._inputs[episode, index])
        return {"image": 10.0 * (image.float() - seen(self._frames[episode, index], device)).square().mean()}


def seen(frames: np.ndarray, device: torch.device) -> Tensor:
    """Frames (B, S, S, C) uint8 as a network draws them, (B, C, S, S) in [0, 1]."""
    return torch.from_numpy(frames).to(device).permute(0, 3, 1, 2) / 255.0
