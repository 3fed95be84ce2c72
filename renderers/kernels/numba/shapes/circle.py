"""The circle in the kernel. Floats: x, y, radius.

m = clamp(1/2 - (distance - radius) / 2 softness); `logistic` has the other falloff, which only circles support.
"""

from __future__ import annotations

import math

from numba import njit

from ....primitives.falloff import LOGISTIC, LOGISTIC_REACH
from ..simd import clamp, inverse_square_root, pack, spread, store_row, totals, where_partial
from .layout import HALF, ONE, P0, P1, P2, TINY, ZERO, A, F, S, U

_LOGISTIC = LOGISTIC.code
_REACH = F(LOGISTIC_REACH)

KEPT = 0


@njit(inline="always")
def reach(rows, i, edge):
    """The distance from the centre at which the support ends; see `falloff.Falloff.margin`."""
    radius, softness = rows[i, P2], rows[i, S]
    if edge == _LOGISTIC:
        return math.sqrt(radius * radius + _REACH * softness)
    return radius + softness


@njit(inline="always")
def span(rows, i, edge, low, high, transposed):
    """See `dispatch.span`."""
    x, y = rows[i, P0], rows[i, P1]
    if transposed:
        x, y = y, x
    radius = reach(rows, i, edge)
    off = max(low - y, ZERO, y - high)
    square = radius * radius - off * off
    if square <= ZERO:
        return ONE, ZERO
    half = math.sqrt(square)
    return x - half, x + half


@njit(inline="always")
def disc_overlaps_box(x, y, radius_squared, left, top, width, height):
    """Whether a disc around (x, y) overlaps an axis-aligned box."""
    dx = max(left - x, ZERO, x - (left + width))
    dy = max(top - y, ZERO, y - (top + height))
    return dx * dx + dy * dy < radius_squared


@njit(inline="always")
def constants(rows, i, left, top):
    """See `passes`: x, y, the slope of the coverage, and its value at the centre."""
    steep = HALF / rows[i, S]
    return (
        spread(rows[i, P0] - left),
        spread(rows[i, P1] - top),
        spread(steep),
        spread(HALF + rows[i, P2] * steep),
    )


@njit(inline="always")
def cover(c, px, py):
    """See `passes`. Keeps dx, dy and 1 / distance."""
    x, y, slope, middle = c
    dx, dy = px - x, py - y
    square = dx * dx + (dy * dy + spread(TINY))
    inverse = inverse_square_root(square)
    return clamp(middle - square * inverse * slope), (dx, dy, inverse)


@njit(inline="always")
def no_sums():
    """See `passes`."""
    none = spread(ZERO)
    return none, none, none, none


@njit(inline="always")
def add(sums, c, m, kept, da):
    """See `passes`: adds D, D m, and D / distance times dx and dy, with D = dL/dm where 0 < m < 1."""
    by_all, by_m, by_x, by_y = sums
    dx, dy, inverse = kept
    d = where_partial(m, da)
    by_all, by_m = by_all + d, by_m + d * m
    d = d * inverse
    return by_all, by_m, by_x + d * dx, by_y + d * dy


@njit(inline="always")
def finish(rows, i, sums, red, green, blue, opacity, results, slot):
    """See `passes`. Stores the gradient itself, in the order of the columns.

    (distance - radius) / 2 softness = 1/2 - m, so that the softness needs no distance.
    """
    by_all, by_m, by_x, by_y = sums
    slope = HALF * rows[i, A] / rows[i, S]
    by_softness = by_all * spread(HALF) - by_m
    scales = pack(ONE, ONE, ONE, ONE, rows[i, A] / rows[i, S], slope, slope, slope)
    store_row(results, slot, U(0), totals(red, green, blue, opacity, by_softness, by_x, by_y, by_all) * scales)
