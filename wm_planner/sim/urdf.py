"""Robot descriptions made in the program."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any


def load_urdf(client: Any, text: str, **options: Any) -> int:
    """Load a body from URDF text; see PyBullet's loadURDF, which reads files only, for the options."""
    with tempfile.NamedTemporaryFile("w", suffix=".urdf", delete=False) as file:
        file.write(text)
    try:
        return client.loadURDF(file.name, **options)
    finally:
        Path(file.name).unlink()
