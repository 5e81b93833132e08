"""What turns gradients into steps: AdamW, and Muon for the square matrices where it is asked for."""

from __future__ import annotations

import torch
from torch import nn

Optimisers = dict[str, torch.optim.Optimizer]  # by the name their state is saved under


def make_optimisers(parameters: list[nn.Parameter], lr: float, muon_lr: float = 0.0) -> Optimisers:
    """AdamW for all; with `muon_lr` the square matrices are Muon's (Jordan et al., 2024).

    Square are those between two layers of the same width; the maps into and out of them are better left to AdamW.

    Raises:
        ValueError: Muon is asked for and this torch has none, or there is no square matrix.
    """
    square = [p for p in parameters if p.ndim == 2 and p.shape[0] == p.shape[1]] if muon_lr else []
    optimisers: Optimisers = {}
    if muon_lr:
        if not hasattr(torch.optim, "Muon"):
            raise ValueError(f"predictor_muon_lr needs torch 2.9, found {torch.__version__}; upgrade torch, or set 0")
        if not square:
            raise ValueError("predictor_muon_lr: expected square matrices, found none; set 0")
        optimisers["muon"] = torch.optim.Muon(square, muon_lr, weight_decay=1e-3)
    theirs = {id(p) for p in square}
    rest = [p for p in parameters if id(p) not in theirs]
    return {"optimiser": torch.optim.AdamW(rest, lr, weight_decay=1e-3), **optimisers}
