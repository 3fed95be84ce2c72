"""What every shape but the circle stores of an entry."""

from __future__ import annotations

from numba import njit

from ..simd import spread, store_row, totals
from .layout import HALF, NARROW, ZERO, U


@njit(inline="always")
def store_sums(results, slot, red, green, blue, opacity, by_all, by_m, a, b, c, d, e, f):
    """Stores the sums of an entry, eight lanes each, in a row of `results`: paint, softness, and six of the shape.

    With D = dL/dm over the ramp, `by_all` is the sum of D and `by_m` that of D m: every shape's softness moves with
    D (1/2 - m). The sums a to f are those of the shape, in the order in which its `chain` reads them.
    """
    none = spread(ZERO)
    by_softness = by_all * spread(HALF) - by_m
    store_row(results, slot, U(0), totals(red, green, blue, opacity, by_softness, a, b, c))
    store_row(results, slot, U(NARROW), totals(d, e, f, none, none, none, none, none))
