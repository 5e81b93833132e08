"""Where installed files lie: a source tree, a pip environment and a colcon workspace differ."""

from __future__ import annotations

import os
import sys
from pathlib import Path

PACKAGE = "wm_planner"
_ROOT = Path(__file__).resolve().parents[2]


def share_directory() -> Path:
    """The package's share directory (config/, launch/), or the source tree when not installed."""
    if (_ROOT / "setup.py").is_file() and (_ROOT / "config").is_dir():
        return _ROOT
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) + [sys.prefix]
    for prefix in prefixes:
        share = Path(prefix) / "share" / PACKAGE
        if prefix and share.is_dir():
            return share
    raise FileNotFoundError(f"{PACKAGE} has no share directory under any of {prefixes}; reinstall the package")


def config_directory() -> Path:
    return share_directory() / "config"


def checkpoint_path(task: str) -> Path:
    """The checkpoint shipped for a task."""
    return Path(__file__).resolve().parents[1] / "checkpoints" / f"{task}.safetensors"
