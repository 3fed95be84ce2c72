"""The ellipse: a centre and the logarithm of the matrix that maps the unit circle to it.

The matrix is exp(((size + stretch, shear), (shear, size - stretch))): with e = hypot(stretch, shear) the semi-axes are
exp(size + e) and exp(size - e), and the longer one points at the angle atan2(shear, stretch) / 2. No angle wraps
around, and nothing is singular at the circle, stretch = shear = 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .base import THINNEST, Array, Column, Look, Outline, Primitive, position, radius_limits, root

# Half the logarithm of the largest aspect ratio of a fit, and of a scene.
STRETCH_MAX = 2.0
STRETCH_FARTHEST = 4.0
# Half the logarithm of a newcomer's aspect ratio where the picture has one direction, and its spread.
STRETCH_SEED, STRETCH_SPREAD = 0.6, 0.2


def _size_limits(width: int, height: int, look: Look) -> tuple[float, float]:
    low, high = radius_limits(width, height, look)
    return math.log(low), math.log(high)


def _stretch_limits(width: int, height: int, look: Look) -> tuple[float, float]:
    return -STRETCH_MAX, STRETCH_MAX


class Ellipse(Primitive):
    """All points that the inverse of the matrix maps into the unit circle.

    The distance is (rho - 1) b, with rho the distance from the centre after the inverse matrix and b the minor
    semi-axis: exact along the minor axis, and a constant share of the radius in other directions, exactly as a radial
    gradient in SVG draws it.
    """

    name = "ellipse"
    code = 1
    columns = (
        position("x", "x"),
        position("y", "y"),
        Column("size", "log length", "identity", "radius", _size_limits, -7.0, 14.0),
        *(
            Column(name, "share", "identity", "radius", _stretch_limits, -STRETCH_FARTHEST, STRETCH_FARTHEST, 5 / 3)
            for name in ("stretch", "shear")
        ),
    )
    is_radial = True
    example = (0.0, 0.0, 0.0, 0.0, 0.0)

    def distance(self, xp: Any, px: Any, py: Any, shape: Sequence[Any]) -> Any:
        """See `Primitive.distance`."""
        x, y, size, stretch, shear = shape
        dx, dy = px - x, py - y
        square = stretch * stretch + shear * shear
        e = root(xp, square)
        # sinh(e) / e; its series near 0, where the quotient loses its digits
        near = square < 1e-3
        safe = xp.where(near, 1.0, e)
        ratio = xp.where(near, 1 + square / 6 * (1 + square / 20), xp.sinh(safe) / safe)
        cosh = xp.where(near, 1 + square / 2 * (1 + square / 12), xp.cosh(safe))
        u = (cosh - ratio * stretch) * dx - ratio * shear * dy
        v = (cosh + ratio * stretch) * dy - ratio * shear * dx
        # u and v lack the factor exp(-size), which cancels against that of the minor axis
        return root(xp, u * u + v * v) * xp.exp(-e) - xp.exp(size - e)

    def bounds(self, shape: Sequence[Array], margin: Array) -> tuple[Array, Array, Array, Array]:
        """See `Primitive.bounds`."""
        x, y, *_ = shape
        a, b, angle = axes(shape)
        grown = 1 + margin / b
        across = grown * np.hypot(a * np.cos(angle), b * np.sin(angle))
        down = grown * np.hypot(a * np.sin(angle), b * np.cos(angle))
        return x - across, y - down, x + across, y + down

    def radii(self, shape: Sequence[Array]) -> tuple[Array, Array]:
        """The semi-axes, the minor one first."""
        major, minor, _ = axes(shape)
        return minor, major

    def thickness(self, shape: Sequence[Array]) -> Array:
        """The minor semi-axis."""
        return axes(shape)[1]

    def centre(self, shape: Sequence[Array]) -> tuple[Array, Array]:
        """The centre."""
        return shape[0], shape[1]

    def seed(
        self, x: Array, y: Array, radius: Array, coherence: Array, angle: Array, rng: np.random.Generator
    ) -> tuple[Array, ...]:
        """See `Primitive.seed`."""
        e = STRETCH_SEED * coherence * np.exp(STRETCH_SPREAD * rng.standard_normal(len(x)))
        e = np.minimum(e, np.maximum(np.log(radius / THINNEST), 0.0))
        return x, y, np.log(radius), e * np.cos(2 * angle), e * np.sin(2 * angle)

    def outline(self, shape: Sequence[float], outset: float) -> Outline:
        """See `Primitive.outline`."""
        x, y, size, stretch, shear = shape
        e = math.hypot(stretch, shear)
        minor = math.exp(size - e) + outset
        mean, half = minor * (math.exp(2 * e) + 1) / 2, minor * (math.exp(2 * e) - 1) / 2
        along, across = (half * stretch / e, half * shear / e) if e > 0 else (0.0, 0.0)
        return Outline("circle", {"r": 1.0}, matrix=(mean + along, across, across, mean - along, x, y))

    def area(self, shape: Sequence[Array], outset: Array) -> Array:
        """See `Primitive.area`."""
        a, b, _ = axes(shape)
        return np.pi * a / b * (b + outset) ** 2

    def limited(self, xp: Any, shape: Sequence[Any], radius: Any = None) -> Sequence[Any]:
        """Keeps (stretch, shear) in a disc in which both semi-axes keep their limits."""
        x, y, size, stretch, shear = shape
        e = root(xp, stretch * stretch + shear * shear)
        if radius is None:
            most = xp.clip(size - math.log(THINNEST), 0.0, STRETCH_MAX)
        else:
            least, largest = xp.log(radius[0]), xp.log(radius[1])
            most = xp.clip(xp.minimum(size - least, largest - size), 0.0, STRETCH_MAX)
        factor = xp.where(e > most, most / xp.where(e > 0, e, 1.0), 1.0)
        return x, y, size, stretch * factor, shear * factor


def axes(shape: Sequence[Array]) -> tuple[Array, Array, Array]:
    """The major and minor semi-axes, pixels, and the angle of the major one from x towards y, radians."""
    _, _, size, stretch, shear = shape
    e = np.hypot(stretch, shear)
    return np.exp(size + e), np.exp(size - e), np.arctan2(shear, stretch) / 2


def from_axes(radius_x: Array, radius_y: Array, angle: Array) -> tuple[Array, Array, Array]:
    """Size, stretch and shear of semi-axes, pixels, turned by an angle from x towards y, radians."""
    size, e = (np.log(radius_x) + np.log(radius_y)) / 2, (np.log(radius_x) - np.log(radius_y)) / 2
    return size, e * np.cos(2 * angle), e * np.sin(2 * angle)


ELLIPSE = Ellipse()
