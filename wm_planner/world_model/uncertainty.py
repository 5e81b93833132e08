"""How far predictions are likely to be off, told beforehand: aleatoric uncertainty (Nix & Weigend, 1994).

Where a robot meets the end of a wall, millimetres that no camera shows decide what happens. A model cannot foretell it,
but it can be foretold that it cannot.
"""

from __future__ import annotations

import base64

import numpy as np
import torch
from torch import Tensor, nn

from wm_planner.configurator.contract import Contract
from wm_planner.world_model.heads import ResidualMLP
from wm_planner.world_model.model import Context

LARGEST = 2.0  # by which surprise is divided at most: a world that makes no sense must not be explained away
_WIDTH, _BLOCKS, _DROPOUT = 64, 1, 0.2


class Uncertainty(nn.Module):
    """The scale of surprise after some steps, by the context and the actions of these steps."""

    mean: Tensor
    std: Tensor

    def __init__(self, latent_dim: int, contract: Contract, horizon: int) -> None:
        super().__init__()
        c = contract.context_length
        inputs = c * (latent_dim + len(contract.joints.names)) + (c - 1 + horizon) * contract.action_dim
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("std", torch.ones(inputs))
        self.net = ResidualMLP(inputs, 1, _WIDTH, _BLOCKS, _DROPOUT)

    def log_variance(self, inputs: Tensor) -> Tensor:
        """Of surprise; `inputs` (..., I) of `flattened`: (...)."""
        return self.net((inputs - self.mean) / self.std).squeeze(-1)

    def forward(self, inputs: Tensor) -> Tensor:
        """What to divide surprise by, from 1, where no more than usual is to be expected, to `LARGEST`: (...)."""
        return (0.5 * self.log_variance(inputs)).exp().clamp(1.0, LARGEST)

    def packed(self) -> bytes:
        """All numbers in half precision, as `unpack` takes them."""
        flat = torch.cat([value.flatten() for value in self.state_dict().values()])
        return base64.b64encode(flat.cpu().numpy().astype(np.float16).tobytes())

    def unpack(self, data: bytes) -> Uncertainty:
        """Take the numbers that were `packed`, decoded from base64.

        Raises:
            ValueError: they are of another network.
        """
        state = self.state_dict()
        expected = sum(value.numel() for value in state.values())
        if len(data) != 2 * expected:
            raise ValueError(
                f"the calibration of surprise has an uncertainty of {len(data) // 2} numbers, expected {expected} for "
                "this model; calibrate again with `wm_planner calibrate`"
            )
        flat = torch.from_numpy(np.frombuffer(data, np.float16).astype(np.float32))
        parts = flat.split([value.numel() for value in state.values()])
        self.load_state_dict({name: part.view_as(value) for (name, value), part in zip(state.items(), parts)})
        return self.eval().requires_grad_(False)


def flattened(context: Context, actions: Tensor) -> Tensor:
    """What uncertainty is told from: a context of B and the actions after it (B, H, A), as (B, I)."""
    return torch.cat([part.flatten(1) for part in (*context, actions)], 1)
