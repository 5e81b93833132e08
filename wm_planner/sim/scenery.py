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

    @property
    def bodies(self) -> tuple[int, ...]:
        return self.floor, *self.walls


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


ROOMS = 1.0  # from the middle to each outer wall: two rooms of 1 m by 2 m
DOOR_Y, DOOR_WIDTH = 0.25, 0.65  # the door is in the wall along x = 0
DOOR_ENDS = (DOOR_Y - DOOR_WIDTH / 2, DOOR_Y + DOOR_WIDTH / 2)  # where that wall ends on either side of it
ASIDE = (ROOMS + 0.35, 0.0)  # on the floor, outside the rooms
_THICK, _HIGH = 0.03, 0.06  # half extents of the walls
_FLOOR_RGBA = (0.55, 0.53, 0.48, 1.0)
_ROOM_WALL_RGBA = (0.20, 0.24, 0.30, 1.0)


def rooms(client: Any) -> Scenery:
    """Two rooms, x < 0 and x > 0, joined by a door."""
    outer = ROOMS + _THICK
    floor = box(client, (1.6, 1.6, 0.05), 0.0, (0.0, 0.0, -0.05), _FLOOR_RGBA)
    places = [((_THICK, ROOMS + 2 * _THICK), (side * outer, 0.0)) for side in (-1, 1)]
    places += [((ROOMS, _THICK), (0.0, side * outer)) for side in (-1, 1)]
    for low, high in ((-ROOMS, DOOR_ENDS[0]), (DOOR_ENDS[1], ROOMS)):
        places.append(((_THICK, (high - low) / 2), (0.0, (low + high) / 2)))
    client.changeDynamics(floor, -1, lateralFriction=0.9)
    return Scenery(floor, tuple(box(client, (*half, _HIGH), 0.0, (*xy, _HIGH), _ROOM_WALL_RGBA) for half, xy in places))
