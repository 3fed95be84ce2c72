"""Arcs of outlines as Bézier curves; points are complex numbers, y pointing downwards."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from typing import NamedTuple

Vertex = tuple[complex, complex, complex]


class Arc(NamedTuple):
    """A clockwise arc of a circle.

    Attributes:
        middle: of the circle.
        angle: of the arc, radians, at most pi; 0 if it is a point.
    """

    middle: complex
    angle: float


def arc_between(start: complex, end: complex, radius: float) -> Arc:
    """Return the clockwise arc of at most half a circle between two points."""
    half = abs(end - start) / 2
    if half == 0:
        return Arc(start, 0.0)
    middle = (start + end) / 2 + 1j * (end - start) / (2 * half) * math.sqrt(max(radius**2 - half**2, 0.0))
    return Arc(middle, 2 * math.asin(min(1.0, half / radius)))


def bezier_arc(start: complex, end: complex, radius: float) -> list[Vertex]:
    """Return cubic Bézier curves along `arc_between`: two control points and the end of each."""
    middle, angle = arc_between(start, end, radius)
    if angle == 0:
        return []
    count = max(1, math.ceil(angle / (math.pi / 2) - 1e-9))
    step = cmath.rect(1, angle / count)
    pull = 4 / 3 * math.tan(angle / count / 4) * 1j
    curves, here = [], start - middle
    for _ in range(count):
        there = here * step
        curves.append((middle + here * (1 + pull), middle + there * (1 - pull), middle + there))
        here = there
    return curves


def bezier_path(points: Sequence[tuple[float, float]], radius: float) -> list[Vertex]:
    """Return the vertices of a closed path with the controls before and after each.

    Args:
        points: between its sides; see `Outline.points`.
        radius: of every second side, an arc; 0 for a polygon.
    """
    corners = [complex(*point) for point in points]
    path = [[corners[0]] * 3]
    for k, point in enumerate(corners[1:], 1):
        if radius and k % 2:
            for leaving, arriving, end in bezier_arc(corners[k - 1], point, radius):
                path[-1][2] = leaving
                path.append([end, arriving, end])
        else:
            path.append([point] * 3)
    return [(vertex, before, after) for vertex, before, after in path]
