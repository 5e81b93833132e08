"""Where installed files lie: a source tree, a pip environment and a colcon workspace differ."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "wm_planner"
# Of the source tree (also behind `colcon build --symlink-install` and `pip install -e`), or site-packages.
_ROOT = Path(__file__).resolve().parents[2]


def share_directory() -> Path:
    """The package's share directory (config/, launch/), or the source tree when running from one.

    Raises:
        FileNotFoundError: names the prefixes looked in.
    """
    if (_ROOT / "setup.py").is_file() and (_ROOT / "config").is_dir():
        return _ROOT
    prefixes = list(dict.fromkeys(_prefixes()))
    for prefix in prefixes:
        share = prefix / "share" / PACKAGE
        if (share / "config").is_dir():
            return share
    looked = ", ".join(map(str, prefixes))
    raise FileNotFoundError(f"{PACKAGE} has no share/{PACKAGE}/config under any of {looked}; reinstall the package")


def _prefixes() -> Iterator[Path]:
    """The prefix this very code is installed under comes first: an overlay may hold another version."""
    yield from (parent.parent for parent in _ROOT.parents if parent.name == "lib")
    yield from (Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix)
    yield Path(sys.prefix)


def config_directory() -> Path:
    return share_directory() / "config"


def checkpoint_path(task: str) -> Path:
    """The checkpoint shipped for a task."""
    return Path(__file__).resolve().parents[1] / "checkpoints" / f"{task}.safetensors"
