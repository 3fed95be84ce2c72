"""The table of falloffs: how coverage falls from 1 inside a shape to 0 outside, by the signed distance to its rim.

Every renderer follows these formulas; the reference and the dense drawings call them, in numpy, JAX or PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# The logistic falloff never reaches 0. Beyond this many softnesses outside the rim (in d² - r²) its coverage is below
# 4.2e-8, less than float32 resolves next to 1, and the tiled kernel stops drawing.
LOGISTIC_REACH = 17.0


@dataclass(frozen=True)
class Falloff:
    """A falloff of coverage at the rim.

    Attributes:
        name: in files and options.
        code: its number in the compiled kernel.
        power: of the unit of softness: 1 for pixels, 2 for pixels².
        coverage: `(xp, distance, softness, size) -> m` in 0..1. `xp` is `numpy`, `jax.numpy` or `torch`, `distance` the
            signed distance to the rim, `size` the shape's thickness (a circle's radius).
        slopes: `(distance, softness, size) -> (dm/ddistance, dm/dsoftness, dm/dsize)`, numpy. At a kink: 0.
        margin: `(softness, size) -> distance` beyond which coverage is 0 (to float32), numpy.
    """

    name: str
    code: int
    power: int
    coverage: Callable[[Any, Any, Any, Any], Any]
    slopes: Callable[[Array, Array, Array], tuple[Array, Array, Array]]
    margin: Callable[[Array, Array], Array]


def _linear(xp: Any, distance: Any, softness: Any, size: Any) -> Any:
    del size
    return xp.clip(0.5 - distance / (2 * softness), 0.0, 1.0)


def _linear_slopes(distance: Array, softness: Array, size: Array) -> tuple[Array, Array, Array]:
    ramp = 0.5 - distance / (2 * softness)
    slope = ((ramp > 0) & (ramp < 1)) / (2 * softness)
    return -slope, slope * distance / softness, np.zeros_like(slope)


def _logistic(xp: Any, distance: Any, softness: Any, size: Any) -> Any:
    z = -distance * (distance + 2 * size) / softness  # (r² - d²) / s of a circle
    half = xp.exp(-xp.abs(z))  # never overflows
    return xp.where(z >= 0, 1.0, half) / (1.0 + half)


def _logistic_slopes(distance: Array, softness: Array, size: Array) -> tuple[Array, Array, Array]:
    m = _logistic(np, distance, softness, size)
    slope = m * (1.0 - m) / softness
    return -2 * (distance + size) * slope, slope * distance * (distance + 2 * size) / softness, -2 * distance * slope


LINEAR = Falloff(
    name="linear",
    code=0,
    power=1,
    coverage=_linear,
    slopes=_linear_slopes,
    margin=lambda softness, size: softness,
)
"""A straight ramp in distance, `softness` pixels either side of the rim: what a two-stop SVG `radialGradient` draws. A
softness of 0.5 px is an anti-aliased edge; one that is larger than the shape makes a soft blob."""

LOGISTIC = Falloff(
    name="logistic",
    code=1,
    power=2,
    coverage=_logistic,
    slopes=_logistic_slopes,
    margin=lambda softness, size: np.sqrt(size**2 + LOGISTIC_REACH * softness) - size,
)
"""`sigmoid((r² - d²) / softness)` of the distance d to the centre, with softness in px²: the falloff of the fixed-count
baseline, for circles."""

FALLOFFS: dict[str, Falloff] = {falloff.name: falloff for falloff in (LINEAR, LOGISTIC)}
"""Name to falloff."""
