"""The circle with the logistic falloff in the kernel: m = sigmoid((radius² - distance²) / softness)."""

from __future__ import annotations

from numba import njit

from ..sigmoid import sigmoid
from ..simd import pack, spread, store_row, totals
from .circle import KEPT, no_sums
from .layout import ONE, P0, P1, P2, TWO, A, S, U

__all__ = ["KEPT", "add", "constants", "cover", "finish", "no_sums"]


@njit(inline="always")
def constants(rows, i, left, top):
    """See `passes`: x, y, radius², 1 / softness."""
    return (
        spread(rows[i, P0] - left),
        spread(rows[i, P1] - top),
        spread(rows[i, P2] * rows[i, P2]),
        spread(ONE / rows[i, S]),
    )


@njit(inline="always")
def cover(c, px, py):
    """See `passes`. Keeps dx, dy and radius² - distance²."""
    x, y, square, slope = c
    dx, dy = px - x, py - y
    inside = square - (dx * dx + dy * dy)
    return sigmoid(inside * slope), (dx, dy, inside)


@njit(inline="always")
def add(sums, c, m, kept, da):
    """See `passes`: adds v, v (distance² - radius²), v dx and v dy, with v = dL/dm m (1 - m)."""
    by_all, by_softness, by_x, by_y = sums
    dx, dy, inside = kept
    v = da * (m * (spread(ONE) - m))
    return by_all + v, by_softness - v * inside, by_x + v * dx, by_y + v * dy


@njit(inline="always")
def finish(rows, i, sums, red, green, blue, opacity, results, slot):
    """See `passes`. Stores the gradient itself, in the order of the columns."""
    by_all, by_softness, by_x, by_y = sums
    slope = rows[i, A] / rows[i, S]
    both = TWO * slope
    scales = pack(ONE, ONE, ONE, ONE, slope / rows[i, S], both, both, both * rows[i, P2])
    store_row(results, slot, U(0), totals(red, green, blue, opacity, by_softness, by_x, by_y, by_all) * scales)
