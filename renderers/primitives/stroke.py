"""The stroke: a straight line with round ends, also called a capsule."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .base import (
    FARTHEST,
    THINNEST,
    Array,
    Column,
    Look,
    Outline,
    Piece,
    Primitive,
    pairs,
    position,
    radius_limits,
    root,
)

# Logarithm of a newcomer's length over its width where the picture has one direction.
LENGTH_SEED = 1.6
# Ends move this much faster than centres (trials: 1 % of the loss).
END_PACE = 1.5


def _width_limits(width: int, height: int, look: Look) -> tuple[float, float]:
    low, high = radius_limits(width, height, look)
    return 2 * low, 2 * high


class Stroke(Primitive):
    """All points within half of `width` of the segment from (x0, y0) to (x1, y1)."""

    name = "stroke"
    code = 2
    columns = (
        position("x0", "x", END_PACE),
        position("y0", "y", END_PACE),
        position("x1", "x", END_PACE),
        position("y1", "y", END_PACE),
        Column("width", "length", "log", "radius", _width_limits, 0.0, FARTHEST),
    )
    example = (-1.0, 0.0, 1.0, 0.0, 1.0)

    def distance(self, xp: Any, px: Any, py: Any, shape: Sequence[Any]) -> Any:
        """See `Primitive.distance`."""
        x0, y0, x1, y1, width = shape
        dx, dy = x1 - x0, y1 - y0
        square = dx * dx + dy * dy
        # A stroke of no length is a disc.
        t = xp.clip(((px - x0) * dx + (py - y0) * dy) / xp.where(square > 0, square, 1.0), 0.0, 1.0)
        ex, ey = px - x0 - t * dx, py - y0 - t * dy
        return root(xp, ex * ex + ey * ey) - width / 2

    def bounds(self, shape: Sequence[Array], margin: Array) -> tuple[Array, Array, Array, Array]:
        """See `Primitive.bounds`."""
        x0, y0, x1, y1, width = shape
        reach = width / 2 + margin
        return (
            np.minimum(x0, x1) - reach, np.minimum(y0, y1) - reach,
            np.maximum(x0, x1) + reach, np.maximum(y0, y1) + reach,
        )  # fmt: skip

    def radii(self, shape: Sequence[Array]) -> tuple[Array, Array]:
        """Half the width; the length is free."""
        return shape[4] / 2, shape[4] / 2

    def thickness(self, shape: Sequence[Array]) -> Array:
        """Half the width."""
        return shape[4] / 2

    def centre(self, shape: Sequence[Array]) -> tuple[Array, Array]:
        """The middle of the segment."""
        x0, y0, x1, y1, _ = shape
        return (x0 + x1) / 2, (y0 + y1) / 2

    def seed(
        self, x: Array, y: Array, radius: Array, coherence: Array, angle: Array, rng: np.random.Generator
    ) -> tuple[Array, ...]:
        """See `Primitive.seed`."""
        del rng
        # Half the length of the segment is `ratio` half-widths: the area is (4 ratio + pi) half-widths squared.
        ratio = np.exp(LENGTH_SEED * coherence) - 1
        half_width = radius * np.sqrt(np.pi / (4 * ratio + np.pi))
        dx, dy = ratio * half_width * np.cos(angle), ratio * half_width * np.sin(angle)
        return x - dx, y - dy, x + dx, y + dy, np.maximum(2 * half_width, 2 * THINNEST)

    def outline(self, shape: Sequence[float], outset: float) -> Outline:
        """See `Primitive.outline`."""
        x0, y0, x1, y1, width = shape
        lengths = {"x1": x0, "y1": y0, "x2": x1, "y2": y1}
        return Outline("line", lengths, stroke=width + 2 * outset)

    def pieces(self, shape: Sequence[float], reach: float) -> Sequence[Piece]:
        """See `Primitive.pieces`: the straight part and both ends."""
        start, end, half = complex(*shape[0:2]), complex(*shape[2:4]), shape[4] / 2
        length = abs(end - start)
        along = (end - start) / length * (half + reach) if length > 0 else half + reach
        found = []
        for point, away in ((start, -along), (end, along)):
            corners = (point - 1j * away, point - 1j * away + away, point + 1j * away + away, point + 1j * away)
            found.append(Piece(pairs(corners), point.real, point.imag, -half))
        if length > 0:
            corners = (start - 1j * along, start + 1j * along, end + 1j * along, end - 1j * along)
            middle, turn = (start + end) / 2, math.degrees(cmath.phase(1j * along))
            found.append(Piece(pairs(corners), middle.real, middle.imag, -half, turn, mirrored=True))
        return found

    def area(self, shape: Sequence[Array], outset: Array) -> Array:
        """See `Primitive.area`."""
        x0, y0, x1, y1, width = shape
        reach = width / 2 + outset
        return 2 * np.hypot(x1 - x0, y1 - y0) * reach + np.pi * reach**2


STROKE = Stroke()
