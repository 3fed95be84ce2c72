"""The circle in the kernel. Floats: x, y, radius. The only primitive with the logistic falloff."""

from __future__ import annotations

import math

from numba import njit

from ....primitives.falloff import LOGISTIC, LOGISTIC_REACH
from ..sigmoid import sigmoid
from ..simd import clamp, inverse_square_root, load, pack, spread, store, store_row, totals, where_partial
from .layout import HALF, LANES, ONE, P0, P1, P2, TINY, TWO, ZERO, A, F, S, U

_LOGISTIC = LOGISTIC.code
_REACH = F(LOGISTIC_REACH)


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
def disc_overlaps_square(x, y, radius_squared, left, top, side):
    """Whether a disc around (x, y) overlaps an axis-aligned square."""
    dx = max(left - x, ZERO, x - (left + side))
    dy = max(top - y, ZERO, y - (top + side))
    return dx * dx + dy * dy < radius_squared


@njit(inline="always")
def cover(buffer, px, py, covered, kept, first, last, rows, i, edge, left, top):
    """Computes the coverage, and for the linear falloff 1 / distance; see `dispatch.cover`."""
    x, y, radius, softness = rows[i, P0] - left, rows[i, P1] - top, rows[i, P2], rows[i, S]
    x8, y8 = spread(x), spread(y)
    if edge == _LOGISTIC:
        slope = spread(ONE / softness)
        square = spread(radius * radius)
        for p in range(first, last, LANES):
            dx = load(buffer, px + p) - x8
            dy = load(buffer, py + p) - y8
            store(buffer, covered + p, sigmoid((square - (dx * dx + dy * dy)) * slope))
    else:
        slope = spread(HALF / softness)
        middle = spread(HALF + radius * (HALF / softness))
        tiny = spread(TINY)
        for p in range(first, last, LANES):
            dx = load(buffer, px + p) - x8
            dy = load(buffer, py + p) - y8
            d2 = dx * dx + (dy * dy + tiny)
            inverse = inverse_square_root(d2)
            store(buffer, kept + p, inverse)
            store(buffer, covered + p, clamp(middle - d2 * inverse * slope))


@njit(inline="always")
def backward(
    buffer, px, py, covered, da, kept, first, last, rows, i, edge, left, top, red, green, blue, opacity, results, slot
):
    """Stores dL/drow of an entry, in the order of the columns; see `dispatch.backward`.

    With the linear falloff (distance - radius) / 2 softness = 1/2 - m, so that the softness needs no distance.
    """
    x, y, radius, softness = rows[i, P0] - left, rows[i, P1] - top, rows[i, P2], rows[i, S]
    x8, y8 = spread(x), spread(y)
    by_x = by_y = by_softness = by_radius = spread(ZERO)
    if edge == _LOGISTIC:
        square, one = spread(radius * radius), spread(ONE)
        for p in range(first, last, LANES):
            m = load(buffer, covered + p)
            v = load(buffer, da + p) * (m * (one - m))
            dx = load(buffer, px + p) - x8
            dy = load(buffer, py + p) - y8
            by_radius = by_radius + v
            by_softness = by_softness + v * ((dx * dx + dy * dy) - square)
            by_x = by_x + v * dx
            by_y = by_y + v * dy
        slope = rows[i, A] / softness
        radius_slope, slope, softness_slope = TWO * radius * slope, TWO * slope, slope / softness
    else:
        for p in range(first, last, LANES):
            m = load(buffer, covered + p)
            v = where_partial(m, load(buffer, da + p))
            by_radius = by_radius + v
            by_softness = by_softness + v * m
            v = v * load(buffer, kept + p)
            by_x = by_x + v * (load(buffer, px + p) - x8)
            by_y = by_y + v * (load(buffer, py + p) - y8)
        by_softness = by_radius * spread(HALF) - by_softness
        slope = HALF * rows[i, A] / softness
        radius_slope, softness_slope = slope, rows[i, A] / softness
    sums = totals(red, green, blue, opacity, by_softness, by_x, by_y, by_radius)
    scales = pack(ONE, ONE, ONE, ONE, softness_slope, slope, slope, radius_slope)
    store_row(results, slot, U(0), sums * scales)
