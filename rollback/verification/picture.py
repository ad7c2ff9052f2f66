"""A picture of one spheroid whose outline is known, and whether a segmentation has found it."""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise
from math import pi
from typing import Any

__all__ = ["drawn", "found"]

SIZE, RADIUS = 128, 36.0
_BACKGROUND, _SPHEROID = 40, 210
#: By how much the area of what was found may differ: a model draws its own line.
_TOLERANCE = 0.3
_POINTS = 3


def drawn() -> bytes:
    """A grey PNG: a bright disc in the middle of a dark field."""
    middle = (SIZE - 1) / 2
    rows = (
        bytes(_SPHEROID if (x - middle) ** 2 + (y - middle) ** 2 <= RADIUS**2 else _BACKGROUND for x in range(SIZE))
        for y in range(SIZE)
    )
    head = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def found(polygons: Any) -> str:
    """What is wrong with a segmentation of the picture; empty if it is one spheroid of about its size in the middle."""
    try:
        points = [[(float(x), float(y)) for x, y in one] for one in polygons]
    except (TypeError, ValueError):
        return "what came back are no polygons"
    if len(points) != 1 or len(points[0]) < _POINTS:
        return f"{len(points)} polygons for one spheroid"
    share = _area(points[0]) / (pi * RADIUS**2)
    if abs(share - 1) > _TOLERANCE:
        return f"the polygon has {share:.0%} of the spheroid's area"
    off = max(abs(sum(axis) / len(axis) - SIZE / 2) for axis in zip(*points[0], strict=True))
    return f"the polygon is {off:.0f} pixels off" if off > RADIUS / 2 else ""


def _area(points: list[tuple[float, float]]) -> float:
    return abs(sum(x * v - u * y for (x, y), (u, v) in pairwise([*points, points[0]]))) / 2
