"""The table of edges: how a circle's coverage falls from 1 to 0, in float64 and plain numpy.

These are the formulas that every renderer follows; the reference renderer calls them directly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# The logistic edge never reaches 0. Beyond this many softnesses outside the rim (in r² - d²) its coverage
# is below 4.2e-8, less than float32 resolves next to 1, and the tiled kernel stops drawing.
LOGISTIC_REACH = 17.0


@dataclass(frozen=True)
class Edge:
    """One way to fade a rim.

    Attributes:
        name: the word for it in files and options.
        code: its number in the compiled kernel.
        coverage: `(distance, radius, softness) -> m` in 0..1.
        slopes: `(distance, radius, softness) -> (dm/ddistance, dm/dradius, dm/dsoftness)`.
        support: `(radius, softness) -> distance` beyond which coverage is 0 (to float32).
    """

    name: str
    code: int
    coverage: Callable[[Array, Array, Array], Array]
    slopes: Callable[[Array, Array, Array], tuple[Array, Array, Array]]
    support: Callable[[Array, Array], Array]


def _linear_coverage(distance: Array, radius: Array, softness: Array) -> Array:
    return np.clip(0.5 + (radius - distance) / (2 * softness), 0.0, 1.0)


def _linear_slopes(distance: Array, radius: Array, softness: Array) -> tuple[Array, Array, Array]:
    ramp = 0.5 + (radius - distance) / (2 * softness)
    inside = ((ramp > 0) & (ramp < 1)).astype(np.float64)
    slope = inside / (2 * softness)
    return -slope, slope, -slope * (radius - distance) / softness


def _logistic(distance: Array, radius: Array, softness: Array) -> Array:
    z = (radius**2 - distance**2) / softness
    half = np.exp(-np.abs(z))  # never overflows
    return np.where(z >= 0, 1.0, half) / (1.0 + half)


def _logistic_slopes(distance: Array, radius: Array, softness: Array) -> tuple[Array, Array, Array]:
    z = (radius**2 - distance**2) / softness
    m = _logistic(distance, radius, softness)
    slope = m * (1.0 - m)
    return -2 * distance * slope / softness, 2 * radius * slope / softness, -z * slope / softness


LINEAR = Edge(
    name="linear",
    code=0,
    coverage=_linear_coverage,
    slopes=_linear_slopes,
    support=lambda radius, softness: radius + softness,
)
"""A straight ramp in distance, `softness` pixels either side of the radius: what a two-stop SVG
`radialGradient` draws. A softness of 0.5 px is an anti-aliased disc; softness > radius is a soft blob."""

LOGISTIC = Edge(
    name="logistic",
    code=1,
    coverage=_logistic,
    slopes=_logistic_slopes,
    support=lambda radius, softness: np.sqrt(radius**2 + LOGISTIC_REACH * softness),
)
"""`sigmoid((r² - d²) / softness)` with softness in px²: the edge of the fixed-count baseline."""

EDGES: dict[str, Edge] = {LINEAR.name: LINEAR, LOGISTIC.name: LOGISTIC}
"""Every edge that the reference can draw."""

DRAWN_EDGES = (LINEAR.name, LOGISTIC.name)
"""The edges that every renderer and exporter draws. A scene takes no other: a new edge is named here once it has its
form in the kernels, the dense paths and the SVG export."""
