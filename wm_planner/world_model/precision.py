"""Where bf16 pays: half the memory traffic and twice the arithmetic, on machines that have it."""

from __future__ import annotations

import torch


def half_precision(device: torch.device) -> bool:
    """A GPU, or a CPU with the AVX512-bf16 instructions."""
    return device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
