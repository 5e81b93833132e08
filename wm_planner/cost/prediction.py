"""What a cost judges."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Prediction(NamedTuple):
    """latents (S, H, D) and joints (S, H, J) normalised, predicted under actions (S, H, A)."""

    latents: Tensor
    joints: Tensor
    actions: Tensor

    def only(self, index: int) -> Prediction:
        """One candidate's, a batch of one."""
        return Prediction(*(part[index : index + 1].detach() for part in self))
