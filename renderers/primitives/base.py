"""The table of primitives: which columns a row has, how each is optimised, and between which limits.

Every primitive starts with the same seven columns (place, colour, opacity, softness) and then has columns
of its own for its shape. A row of a scene is as wide as the widest primitive in it; columns that a
primitive does not use hold zero. A new primitive is one `Primitive` in `PRIMITIVES` plus its coverage
(forward and backward) in each renderer: nothing that stores, moves or optimises rows changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Transform = Literal["identity", "log", "logit"]

# Column indices that every renderer shares. The shape columns of a primitive begin at SHAPE.
X, Y, RED, GREEN, BLUE, OPACITY, SOFTNESS, SHAPE = range(8)
RADIUS = SHAPE  # the only shape column of a circle

# Centres may leave the canvas by this much (pixels) during a fit; farther out a row has no gradient to
# come back by.
MARGIN = 8.0


@dataclass(frozen=True)
class Column:
    """One column of a row.

    Attributes:
        name: the word for it in files and options.
        rate: the key of the learning rate that moves it (see `base.Rates`).
        transform: the optimiser moves `transform(value)`, so that steps fit the quantity's nature.
        limits: `(width, height, smallest softness) -> (low, high)`, the values a fit may reach.
    """

    name: str
    rate: str
    transform: Transform
    limits: Callable[[int, int, float], tuple[float, float]]


# Opacity as its logit in -6..8: 0.0025 to 0.99966. Beyond that the gradient has vanished.
OPACITY_LIMITS = (0.0024726232, 0.9996646499)

COMMON_COLUMNS = (
    Column("x", "position", "identity", lambda w, h, s: (-MARGIN, w + MARGIN)),
    Column("y", "position", "identity", lambda w, h, s: (-MARGIN, h + MARGIN)),
    Column("red", "colour", "identity", lambda w, h, s: (0.0, 1.0)),
    Column("green", "colour", "identity", lambda w, h, s: (0.0, 1.0)),
    Column("blue", "colour", "identity", lambda w, h, s: (0.0, 1.0)),
    Column("opacity", "opacity", "logit", lambda w, h, s: OPACITY_LIMITS),
    Column("softness", "softness", "log", lambda w, h, s: (s, max(w, h, 2 * s))),
)


@dataclass(frozen=True)
class Primitive:
    """A kind of row: its name, its code in `Scene.kinds`, and its columns in order."""

    name: str
    code: int
    columns: tuple[Column, ...]


CIRCLE = Primitive(
    name="circle",
    code=0,
    columns=(*COMMON_COLUMNS, Column("radius", "radius", "log", lambda w, h, s: (0.5, max(w / 2, h / 2, 1.0)))),
)

PRIMITIVES: dict[str, Primitive] = {CIRCLE.name: CIRCLE}

DRAWN_PRIMITIVES = (CIRCLE,)
"""The primitives that every renderer and exporter draws. A scene takes no other: a new one is named here once it has
its form in the kernels, the dense paths and the SVG export."""
