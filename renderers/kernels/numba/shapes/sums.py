"""The sums per entry that every shape but the circle stores."""

from __future__ import annotations

from numba import njit

from ..simd import spread, store_row, totals
from .layout import HALF, NARROW, ZERO, U


@njit(inline="always")
def store_sums(results, slot, red, green, blue, opacity, by_all, by_m, a, b, c, d, e, f):
    """Stores the sums of an entry, eight lanes each, in a row of `results`: paint, softness, and six of the shape.

    With D = dL/dm where 0 < m < 1, `by_all` is the sum of D and `by_m` that of D m: the gradient of the softness is the
    sum of D (1/2 - m), up to a factor. The sums a to f are in the order in which `apply_chain_rule` reads them.
    """
    none = spread(ZERO)
    by_softness = by_all * spread(HALF) - by_m
    store_row(results, slot, U(0), totals(red, green, blue, opacity, by_softness, a, b, c))
    store_row(results, slot, U(NARROW), totals(d, e, f, none, none, none, none, none))
