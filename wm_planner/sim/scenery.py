"""What stands still around the robots. Metres."""

from __future__ import annotations

from typing import Any, NamedTuple

import pybullet

RGBA = tuple[float, float, float, float]
_TABLE_RGBA = (0.22, 0.27, 0.33, 1.0)
_WALL_RGBA = (0.33, 0.35, 0.31, 1.0)


class Scenery(NamedTuple):
    """The bodies that stand still."""

    floor: int
    walls: tuple[int, ...]


def box(client: Any, half: tuple, mass: float, position: tuple, rgba: RGBA) -> int:
    """A body of half extents (3,); a mass of 0 stands still."""
    shape = client.createCollisionShape(pybullet.GEOM_BOX, halfExtents=half)
    visual = client.createVisualShape(pybullet.GEOM_BOX, halfExtents=half, rgbaColor=rgba)
    return client.createMultiBody(mass, shape, visual, position)


def table(client: Any) -> Scenery:
    """A table with two walls behind it, for an arm at the origin."""
    floor = box(client, (1.5, 1.5, 0.02), 0.0, (0.45, 0.0, -0.02), _TABLE_RGBA)
    behind = box(client, (0.02, 1.5, 1.0), 0.0, (-0.8, 0.0, 1.0), _WALL_RGBA)
    beside = box(client, (1.5, 0.02, 1.0), 0.0, (0.45, -1.2, 1.0), _WALL_RGBA)
    return Scenery(floor, (behind, beside))
