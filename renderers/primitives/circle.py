"""The circle: a centre and a radius."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .base import FARTHEST, Array, Column, Outline, Primitive, position, radius_limits, root


class Circle(Primitive):
    """All points within `radius` of (x, y)."""

    name = "circle"
    code = 0
    columns = (
        position("x", "x"),
        position("y", "y"),
        Column("radius", "length", "log", "radius", radius_limits, 0.0, FARTHEST),
    )
    falloffs = ("linear", "logistic")
    is_radial = True
    is_directed = False
    example = (0.0, 0.0, 1.0)

    def distance(self, xp: Any, px: Any, py: Any, shape: Sequence[Any]) -> Any:
        """See `Primitive.distance`."""
        x, y, radius = shape
        dx, dy = px - x, py - y
        return root(xp, dx * dx + dy * dy) - radius

    def bounds(self, shape: Sequence[Array], margin: Array) -> tuple[Array, Array, Array, Array]:
        """See `Primitive.bounds`."""
        x, y, radius = shape
        reach = radius + margin
        return x - reach, y - reach, x + reach, y + reach

    def radii(self, shape: Sequence[Array]) -> tuple[Array, Array]:
        """The radius."""
        return shape[2], shape[2]

    def thickness(self, shape: Sequence[Array]) -> Array:
        """The radius."""
        return shape[2]

    def centre(self, shape: Sequence[Array]) -> tuple[Array, Array]:
        """The centre."""
        return shape[0], shape[1]

    def seed(
        self, x: Array, y: Array, radius: Array, coherence: Array, angle: Array, rng: np.random.Generator
    ) -> tuple[Array, ...]:
        """See `Primitive.seed`."""
        del coherence, angle, rng
        return x, y, radius

    def outline(self, shape: Sequence[float], outset: float) -> Outline:
        """See `Primitive.outline`."""
        x, y, radius = shape
        return Outline("circle", {"cx": x, "cy": y, "r": radius + outset})

    def area(self, shape: Sequence[Array], outset: Array) -> Array:
        """See `Primitive.area`."""
        return np.pi * (shape[2] + outset) ** 2


CIRCLE = Circle()
