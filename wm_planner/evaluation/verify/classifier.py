"""A small network that answers yes or no about latents, where the answer is no linear function of them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from wm_planner.world_model.heads import ResidualMLP

_STEPS, _BATCH, _LR = 1000, 512, 1e-3


class Classifier:
    """Fitted to features x (N, F) and answers y (N,) bool, both answers weighing the same."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self._mean, self._std = x.mean(0), x.std(0) + 1e-6
        generator = torch.Generator().manual_seed(0)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self._net = ResidualMLP(x.shape[1], 1, 128, 2, dropout=0.2)
        x, kinds = self._scaled(x), [torch.nonzero(y).squeeze(-1), torch.nonzero(~y).squeeze(-1)]
        optimiser = torch.optim.AdamW(self._net.parameters(), _LR, weight_decay=0.1)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _LR, total_steps=_STEPS)
        with torch.enable_grad():
            for _ in range(_STEPS):
                rows = torch.cat([k[torch.randint(len(k), (_BATCH // 2,), generator=generator)] for k in kinds])
                loss = F.binary_cross_entropy_with_logits(self._net(x[rows]).squeeze(-1), y[rows].float())
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
        self._net.eval()

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """(N, F) -> (N,) bool."""
        return self._net(self._scaled(x)).squeeze(-1) > 0

    def _scaled(self, x: Tensor) -> Tensor:
        return (x - self._mean) / self._std
