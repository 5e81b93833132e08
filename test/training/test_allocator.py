"""Freed memory stays with the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import resource, sys
import torch
from wm_planner.training.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
torch.ones(1 << 24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(1 << 24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="about glibc")
def test_memory_is_not_faulted_in_again() -> None:
    kept, usual = (
        int(subprocess.run([sys.executable, "-c", _PROGRAM, mode], capture_output=True, text=True, check=True).stdout)
        for mode in ("keep", "as usual")
    )
    assert kept < 0.1 * usual
