"""A spurious cue: a lamp in the picture whose colour follows the action and means nothing.

A model that correlates will read what to do next from it; one that predicts what actions do has no use for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pybullet

COLOURS = ((0.95, 0.15, 0.15, 1.0), (0.95, 0.85, 0.1, 1.0), (0.15, 0.8, 0.2, 1.0), (0.15, 0.35, 0.95, 1.0))
_SIZE = 0.07  # half extents, metres


class Lamp:
    """Shows which way the last action went: one colour for each quadrant of its first two components."""

    def __init__(self, client: Any, place: tuple[float, float, float], follows: float) -> None:
        """Args:
        place: (x, y, z), metres; nothing collides with it.
        follows: share of control steps at which it follows the action; at the others its colour is arbitrary.
        """
        if not 0.0 <= follows <= 1.0:
            raise ValueError(f"the lamp follows {follows} of the actions, expected a share from 0 to 1")
        self._client, self._follows = client, follows
        shape = client.createVisualShape(pybullet.GEOM_BOX, halfExtents=(_SIZE, _SIZE, 0.005))
        self._body = client.createMultiBody(0.0, -1, shape, place)

    def show(self, action: np.ndarray, rng: np.random.Generator) -> None:
        """After an action, (A,)."""
        colour = quadrant(action) if rng.random() < self._follows else int(rng.integers(len(COLOURS)))
        self._client.changeVisualShape(self._body, -1, rgbaColor=COLOURS[colour])


def quadrant(action: np.ndarray) -> int:
    """0 to 3, by the signs of the first two components."""
    return 2 * int(action[0] >= 0.0) + int(action[1] >= 0.0)
