"""The triangle: three corners."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .base import FARTHEST, Array, Column, Look, Outline, Piece, Primitive, pairs, root

# The circumradius of the equilateral triangle with the area of a circle of radius 1.
CIRCUMRADIUS = (4 * np.pi / (3 * np.sqrt(3))) ** 0.5
# Logarithm of a newcomer's stretch along the picture's direction where it has one.
STRETCH_SEED = 0.6

# A triangle that reaches less far from its centroid (pixels) is a point: it grows as an equilateral one.
POINT = 1e-3
EQUILATERAL = (0.0, -1.0, 0.75**0.5, 0.5, -(0.75**0.5), 0.5)


def _corner(name: str, unit: Any) -> Column:
    def limits(width: int, height: int, look: Look) -> tuple[float, float]:
        """Corners may lie far outside: only the part of a triangle that lies on the canvas shows."""
        side = width if unit == "x" else height
        return -0.5 * side, 1.5 * side

    return Column(name, unit, "identity", "position", limits, -FARTHEST, FARTHEST)


class Triangle(Primitive):
    """All points between three corners, in either order; the distance is Euclidean."""

    name = "triangle"
    code = 3
    columns = tuple(_corner(f"{unit}{k}", unit) for k in range(3) for unit in ("x", "y"))
    example = (0.0, -1.0, 1.0, 1.0, -1.0, 1.0)

    def distance(self, xp: Any, px: Any, py: Any, shape: Sequence[Any]) -> Any:
        """See `Primitive.distance`."""
        corners = [(shape[2 * k], shape[2 * k + 1]) for k in range(3)]
        nearest: Any = None
        left, right = True, True
        for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
            ex, ey, wx, wy = bx - ax, by - ay, px - ax, py - ay
            square = ex * ex + ey * ey
            safe = xp.where(square > 0, square, 1.0)
            along, cross = (wx * ex + wy * ey) / safe, wx * ey - wy * ex
            t = xp.clip(along, 0.0, 1.0)
            qx, qy = wx - t * ex, wy - t * ey
            # Beside an edge the distance is that to its line, exact near the rim; beyond its ends, to the corner.
            beside = (along > 0) & (along < 1)
            line = xp.abs(cross) / xp.sqrt(safe)
            corner = root(xp, xp.where(beside, 1.0, qx * qx + qy * qy))
            own = xp.where(beside, line, corner)
            nearest = own if nearest is None else xp.minimum(nearest, own)
            left, right = left & (cross >= 0), right & (cross <= 0)
        return xp.where(left ^ right, -nearest, nearest)

    def bounds(self, shape: Sequence[Array], margin: Array) -> tuple[Array, Array, Array, Array]:
        """See `Primitive.bounds`."""
        across, down = shape[0::2], shape[1::2]
        return (
            np.minimum.reduce(across) - margin, np.minimum.reduce(down) - margin,
            np.maximum.reduce(across) + margin, np.maximum.reduce(down) + margin,
        )  # fmt: skip

    def radii(self, shape: Sequence[Array]) -> tuple[Array, Array]:
        """The distance of the farthest corner from the centroid; a triangle may be thinner."""
        x, y = self.centre(shape)
        reach = np.maximum.reduce([np.hypot(shape[k] - x, shape[k + 1] - y) for k in (0, 2, 4)])
        return reach, reach

    def thickness(self, shape: Sequence[Array]) -> Array:
        """The radius of the inscribed circle."""
        area, perimeter, _ = _inscribed(shape)
        return 2 * area / np.maximum(perimeter, 1e-30)

    def centre(self, shape: Sequence[Array]) -> tuple[Array, Array]:
        """The centroid."""
        return (shape[0] + shape[2] + shape[4]) / 3, (shape[1] + shape[3] + shape[5]) / 3

    def seed(
        self, x: Array, y: Array, radius: Array, coherence: Array, angle: Array, rng: np.random.Generator
    ) -> tuple[Array, ...]:
        """See `Primitive.seed`."""
        turn = rng.random(len(x)) * 2 * np.pi
        stretch = np.exp(STRETCH_SEED * coherence)
        columns = []
        for k in range(3):
            along = CIRCUMRADIUS * radius * stretch * np.cos(turn + 2 * np.pi * k / 3)
            across = CIRCUMRADIUS * radius / stretch * np.sin(turn + 2 * np.pi * k / 3)
            columns += [
                x + along * np.cos(angle) - across * np.sin(angle),
                y + along * np.sin(angle) + across * np.cos(angle),
            ]
        return tuple(columns)

    def limited(self, xp: Any, shape: Sequence[Any], radius: Any = None) -> Sequence[Any]:
        """Scales about the centroid until the farthest corner keeps its limits; corners may then leave their own."""
        if radius is None:
            return shape
        middle = (shape[0] + shape[2] + shape[4]) / 3, (shape[1] + shape[3] + shape[5]) / 3
        arms = [value - middle[k % 2] for k, value in enumerate(shape)]
        squares = [arms[k] * arms[k] + arms[k + 1] * arms[k + 1] for k in (0, 2, 4)]
        reach = root(xp, xp.maximum(xp.maximum(squares[0], squares[1]), squares[2]))
        tiny = reach < POINT
        wanted = xp.clip(reach, radius[0], radius[1])
        factor = wanted / xp.where(tiny, 1.0, reach)
        kept = wanted == reach
        found = []
        for k, (value, arm) in enumerate(zip(shape, arms, strict=True)):
            arm = xp.where(tiny, wanted * EQUILATERAL[k], arm * factor)
            found.append(xp.where(kept, value, middle[k % 2] + arm))
        return found

    def outline(self, shape: Sequence[float], outset: float) -> Outline:
        """See `Primitive.outline`. Inwards the triangle shrinks towards the centre of its inscribed circle."""
        if outset > 0:
            corners, outward = _clockwise(shape)
            rim = [corner + away * outset for k, corner in enumerate(corners) for away in (outward[k - 1], outward[k])]
            return Outline("path", {}, points=pairs(rim), arc=outset)
        area, perimeter, (across, down) = _inscribed(shape)
        share = 1 + outset * perimeter / (2 * area) if area > 0 else 1.0
        middle = complex(across, down)
        return Outline("polygon", {}, points=pairs([middle + share * (corner - middle) for corner in _corners(shape)]))

    def pieces(self, shape: Sequence[float], reach: float) -> Sequence[Piece]:
        """See `Primitive.pieces`: the regions nearest to each edge, in and outside, and around each corner."""
        corners, outward = _clockwise(shape)
        across, down = _inscribed(shape)[2]
        middle = complex(across, down)
        found = []
        for k, (start, end) in enumerate(zip(corners, corners[1:] + corners[:1], strict=True)):
            before, away = outward[k - 1], outward[k]
            if away != before:
                # A polygon around the sector, of the tangents at its ends and at its middle.
                middling = 1j * (before - away) / abs(before - away)
                tips = [(a + b) / (1 + (a.conjugate() * b).real) for a, b in ((before, middling), (middling, away))]
                part = [start + reach * tip for tip in (0, before, *tips, away)]
                found.append(Piece(pairs(part), start.real, start.imag, 0.0))
            if end != start:
                foot = (start + end) / 2
                part = [middle, start, start + away * reach, end + away * reach, end]
                found.append(Piece(pairs(part), foot.real, foot.imag, 0.0, math.degrees(cmath.phase(away))))
        return found

    def area(self, shape: Sequence[Array], outset: Array) -> Array:
        """See `Primitive.area`."""
        area, perimeter, _ = _inscribed(shape)
        share = 1 + outset * perimeter / np.maximum(2 * area, 1e-30)
        return np.where(outset < 0, area * share**2, area + perimeter * outset + np.pi * outset**2)


def _corners(shape: Sequence[float]) -> list[complex]:
    return [complex(x, y) for x, y in zip(shape[0::2], shape[1::2], strict=True)]


def _clockwise(shape: Sequence[float]) -> tuple[list[complex], list[complex]]:
    """The distinct corners, clockwise on screen, and the outward normal of the edge that begins at each.

    A triangle that is one point has an edge of length 0, there and back.
    """
    a, b, c = _corners(shape)
    clockwise = ((b - a).conjugate() * (c - a)).imag >= 0
    corners = list(dict.fromkeys((a, b, c) if clockwise else (c, b, a)))
    if len(corners) == 1:
        return corners * 2, [1.0 + 0j, -1.0 + 0j]
    edges = [end - start for start, end in zip(corners, corners[1:] + corners[:1], strict=True)]
    return corners, [-1j * edge / abs(edge) for edge in edges]


def _inscribed(shape: Sequence[Any]) -> tuple[Array, Array, tuple[Array, Array]]:
    """Area, perimeter, and the centre of the inscribed circle."""
    x, y = shape[0::2], shape[1::2]
    area = np.abs((x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])) / 2
    opposite = [np.hypot(x[(k + 2) % 3] - x[(k + 1) % 3], y[(k + 2) % 3] - y[(k + 1) % 3]) for k in range(3)]
    perimeter = opposite[0] + opposite[1] + opposite[2]
    safe = np.maximum(perimeter, 1e-30)
    middle = (
        sum(side * across for side, across in zip(opposite, x, strict=True)) / safe,
        sum(side * down for side, down in zip(opposite, y, strict=True)) / safe,
    )
    return area, perimeter, middle


TRIANGLE = Triangle()
