"""Keeps freed memory for the next optimiser step."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # glibc's malloc.h


def keep_freed_memory() -> None:
    """Stop glibc from handing large freed blocks back to the kernel; with another C library: nothing.

    Activations are freed and asked for again at every step, and the kernel's clearing them page by page took half of a
    CPU's training time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, -1)
