"""What a primitive is: its columns, its distance, and what follows from them.

A row of a scene is *paint* (red, green, blue, opacity, softness), the same for all primitives, and then a *shape*: the
columns of its own primitive. Rows are as wide as the widest primitive in the scene, and padded with 0. A new primitive
is one file with a subclass of `Primitive`, one row in `table.py`, and one file in `kernels/numba/shapes` for the
compiled kernel.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

Array = np.ndarray[Any, Any]

Transform = Literal["identity", "log", "logit"]
Unit = Literal["x", "y", "length", "log length", "share"]
# (width, height, look) -> (least, most) in a fit
Limits = Callable[[int, int, "Look"], tuple[float, float]]

# The columns of the paint, and where the shape begins.
RED, GREEN, BLUE, OPACITY, SOFTNESS, SHAPE = range(6)

# Lengths and coordinates beyond this many pixels leave float32 too few digits to place an edge.
FARTHEST = 1e6
# A ramp narrower than this (pixels) has slopes that overflow a float32 gradient.
SOFTNESS_MIN = 1e-3
_SOFTNESS_LEAST = SOFTNESS_MIN * (1 - 1e-6)  # for the rounding of the limit to float32
# Opacity as its logit in -6..8: 0.0025 to 0.99966. Beyond that the gradient has vanished.
OPACITY_LIMITS = (0.0024726232, 0.9996646499)
# Positions may leave the canvas by this much (pixels) during a fit; farther out a row has no gradient to return by.
MARGIN = 8.0
# Half the least thickness of a shape in a fit, pixels: thinner ones bead or vanish where the scene is drawn larger.
THINNEST = 0.5


# The logit of opacities beyond OPACITY_LIMITS, which only a look asks for; float32 gives exactly 0 or 1.
OPACITY_FARTHEST = 20.0


@dataclass(frozen=True)
class Look:
    """What the shapes of a fit may look like; each a least and a most.

    Attributes:
        radius: pixels, from `Primitive.radii`. 0 and infinity: only the canvas limits it.
        softness: pixels.
        opacity: 0..1.
    """

    radius: tuple[float, float] = (0.0, math.inf)
    softness: tuple[float, float] = (0.15, FARTHEST / 2)
    opacity: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class Column:
    """One column of a row.

    Attributes:
        name: in files and options.
        unit: what it measures: a position across or down, a length (pixels), a logarithm of one, or none of these.
        transform: the optimiser steps in `transform(value)`.
        rate: key of its learning rate (see `renderers.base.Rates`).
        limits: the values that a fit may reach.
        low: the least that a scene may hold.
        high: the most.
        pace: multiplies the learning rate.
    """

    name: str
    unit: Unit
    transform: Transform
    rate: str
    limits: Limits
    low: float
    high: float
    pace: float = 1.0


def position(name: str, unit: Literal["x", "y"], pace: float = 1.0) -> Column:
    """A column that holds a position across (`"x"`) or down (`"y"`)."""

    def limits(width: int, height: int, look: Look) -> tuple[float, float]:
        return -MARGIN, (width if unit == "x" else height) + MARGIN

    return Column(name, unit, "identity", "position", limits, -FARTHEST, FARTHEST, pace)


def radius_limits(width: int, height: int, look: Look) -> tuple[float, float]:
    """The radii that a fit may reach, pixels."""
    least, most = look.radius
    least = max(THINNEST, least)
    return least, most if most < math.inf else max(width / 2, height / 2, 1.0, least)


def _unit_interval(width: int, height: int, look: Look) -> tuple[float, float]:
    return 0.0, 1.0


def _opacity_limits(width: int, height: int, look: Look) -> tuple[float, float]:
    (least, most), (low, high) = OPACITY_LIMITS, look.opacity
    return max(least, low), max(low, min(most, high))


def _softness_limits(width: int, height: int, look: Look) -> tuple[float, float]:
    low, high = look.softness
    return low, min(max(width, height, 2 * low), high)


PAINT = (
    *(Column(name, "share", "identity", "colour", _unit_interval, 0.0, 1.0) for name in ("red", "green", "blue")),
    Column("opacity", "share", "logit", "opacity", _opacity_limits, 0.0, 1.0),
    Column("softness", "length", "log", "softness", _softness_limits, _SOFTNESS_LEAST, FARTHEST),
)
"""The columns that all primitives share."""


@dataclass(frozen=True)
class Outline:
    """The curve at a given distance from a shape, as an SVG element.

    Attributes:
        tag: the element's name.
        lengths: its attributes that are numbers in pixels, such as {"cx": 3.0, "r": 2.5}.
        points: corners, pixels: of a polygon, or of a path.
        arc: radius of the clockwise arcs of a path, pixels: from its first point to the second, then alternating with
            straight lines.
        matrix: (a, b, c, d, e, f) of an SVG `matrix(...)` that maps the element to where it is to be drawn.
        stroke: the width of a line with round ends, pixels.
    """

    tag: str
    lengths: dict[str, float]
    points: tuple[tuple[float, float], ...] = ()
    arc: float = 0.0
    matrix: tuple[float, ...] | None = None
    stroke: float = 0.0


@dataclass(frozen=True)
class Piece:
    """A region where the distance to a shape is the distance to one point or one line plus a constant.

    Attributes:
        corners: of the region, pixels, in order; it may extend beyond the reach of the shape.
        x: of the point, or of one on the line, pixels.
        y: likewise.
        distance: to the shape at (x, y); negative inside.
        turn: degrees clockwise from the x axis to the direction in which the distance from the line grows; None for a
            point.
        mirrored: whether the distance also grows on the other side of the line.
    """

    corners: tuple[tuple[float, float], ...]
    x: float
    y: float
    distance: float
    turn: float | None = None
    mirrored: bool = False


class Primitive(ABC):
    """A kind of row.

    Shapes are sequences of their columns in order: numbers, or arrays that broadcast against each other.

    Attributes:
        name: in files and options.
        code: its number in `Scene.kinds` and in the compiled kernel.
        columns: of its shape.
        falloffs: names of the falloffs that it can be drawn with.
        is_radial: whether every curve of equal coverage is the image of a circle, so that a radial gradient draws it.
        is_directed: whether newcomers are aligned with the picture's direction.
        example: a plain shape around (0, 0), drawn in place of rows of other primitives.
    """

    name: ClassVar[str]
    code: ClassVar[int]
    columns: ClassVar[tuple[Column, ...]]
    falloffs: ClassVar[tuple[str, ...]] = ("linear",)
    is_radial: ClassVar[bool] = False
    is_directed: ClassVar[bool] = True
    example: ClassVar[tuple[float, ...]]

    @property
    def width(self) -> int:
        """Columns of a row of this kind, paint included."""
        return SHAPE + len(self.columns)

    @abstractmethod
    def distance(self, xp: Any, px: Any, py: Any, shape: Sequence[Any]) -> Any:
        """Signed distance of points to the rim, pixels; negative inside. Differentiable wherever it is smooth.

        Args:
            xp: `numpy`, `jax.numpy` or `torch`, to compute with.
            px: x of the points.
            py: y of the points.
            shape: columns that broadcast against the points.
        """

    @abstractmethod
    def bounds(self, shape: Sequence[Array], margin: Array) -> tuple[Array, Array, Array, Array]:
        """Left, top, right and bottom of the region within this signed distance, pixels."""

    @abstractmethod
    def thickness(self, shape: Sequence[Array]) -> Array:
        """Half the extent across the thinnest direction, pixels: the radius of a circle.

        No point lies deeper inside than this.
        """

    @abstractmethod
    def centre(self, shape: Sequence[Array]) -> tuple[Array, Array]:
        """X and y of the middle."""

    @abstractmethod
    def seed(
        self, x: Array, y: Array, radius: Array, coherence: Array, angle: Array, rng: np.random.Generator
    ) -> tuple[Array, ...]:
        """Shapes of newcomers, with the areas of circles of these radii.

        Args:
            x: (N,) centres, pixels.
            y: (N,) centres, pixels.
            radius: (N,) of the circle with the same area, pixels.
            coherence: (N,) how clearly the picture has one direction there, 0..1.
            angle: (N,) of that direction (along edges, not across), radians from x towards y.
            rng: the generator.
        """

    @abstractmethod
    def outline(self, shape: Sequence[float], outset: float) -> Outline:
        """The curve at this signed distance from one shape, pixels; not deeper inside than its thickness."""

    def pieces(self, shape: Sequence[float], reach: float) -> Sequence[Piece]:
        """Disjoint regions that cover everything within this distance, above 0, of one shape.

        SVG draws a soft shape exactly with them. Empty if this primitive has no such division.
        """
        del shape, reach
        return ()

    @abstractmethod
    def area(self, shape: Sequence[Array], outset: Array) -> Array:
        """Area within this signed distance, pixels²; not deeper inside than the thickness."""

    @abstractmethod
    def radii(self, shape: Sequence[Array]) -> tuple[Array, Array]:
        """The least and the largest size, pixels, that the radius of a look limits."""

    def limited(self, xp: Any, shape: Sequence[Any], radius: Any = None) -> Sequence[Any]:
        """The shape moved to the joint limits of its columns in a fit; transformed values, see `Column`.

        Args:
            xp: `numpy`, `jax.numpy` or `torch`, to compute with.
            shape: columns, each within its own limits.
            radius: (2,) the least, at least `THINNEST`, and the most of the look; None if only the canvas limits it.
        """
        del xp, radius
        return shape

    def scaled(self, shape: Array, factor: float) -> Array:
        """(N, columns): the shapes with all lengths and positions multiplied."""
        scaled = np.array(shape)
        for k, column in enumerate(self.columns):
            if column.unit in ("x", "y", "length"):
                scaled[:, k] *= factor
            elif column.unit == "log length":
                scaled[:, k] += np.log(factor)
            scaled[:, k] = np.clip(scaled[:, k], column.low, column.high)
        return scaled


def root(xp: Any, square: Any) -> Any:
    """The square root, with a derivative of 0 instead of infinity at 0."""
    positive = square > 0
    return xp.sqrt(xp.where(positive, square, 1.0)) * positive


def pairs(points: Sequence[complex]) -> tuple[tuple[float, float], ...]:
    """X and y of points given as complex numbers."""
    return tuple((point.real, point.imag) for point in points)
