"""Where bf16 pays: on GPUs, and on CPUs that multiply it faster than float32."""

from __future__ import annotations

import functools
import time

import torch

_SIDE = 512  # of the matrices multiplied to find out, about what planning multiplies
_TRIES = 7


def half_precision(device: torch.device) -> bool:
    """Whether to compute in bf16: decided once in a process, for a CPU by trying."""
    return device.type == "cuda" or _bf16_pays()


@functools.cache
def _bf16_pays() -> bool:
    # The instructions alone do not tell: of two processors with AVX512-bf16 one was twice as fast in bf16 as in
    # float32, the other half as fast.
    return torch.cpu._is_avx512_bf16_supported() and _seconds(torch.bfloat16) < _seconds(torch.float32)


def _seconds(dtype: torch.dtype) -> float:
    """The quickest of a few multiplications: what else the machine does shows less in it."""
    matrix = torch.ones(_SIDE, _SIDE, dtype=dtype)
    times = []
    for _ in range(_TRIES):
        began = time.perf_counter()
        torch.mm(matrix, matrix)
        times.append(time.perf_counter() - began)
    return min(times)
