"""The ellipse in the kernel.

Floats: x, y; the inverse of its matrix (11, 12, 22); softness / minor semi-axis, sigma; the square of its matrix
(11, 12, 22), whose diagonal holds the squared half-extents; 1 / minor semi-axis; the product of the semi-axes.

With u = inverse (pixel - centre), rho = |u|: m = clamp(1/2 - (rho - 1) / (2 sigma)).
"""

from __future__ import annotations

import math

from numba import njit

from ....primitives.base import THINNEST
from ....primitives.ellipse import STRETCH_MAX
from ..simd import clamp, inverse_square_root, spread, where_partial
from .layout import HALF, ONE, P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, TINY, ZERO, A, D, F, S
from .sums import store_sums

KEPT = 0

_LOG_THINNEST, _STRETCH_MAX = F(math.log(THINNEST)), F(STRETCH_MAX)

# Below this e², quotients of hyperbolic functions are computed by their series.
_NEAR = 1e-3


@njit
def _matrix(size, stretch, shear):
    """exp(-size), cosh e, sinh(e) / e, (cosh e - sinh(e) / e) / e², and e = hypot(stretch, shear); float64."""
    square = stretch * stretch + shear * shear
    e = math.sqrt(square)
    if square < _NEAR:
        cosh = 1 + square / 2 * (1 + square / 12)
        ratio = 1 + square / 6 * (1 + square / 20)
        third = (1 + square / 10 * (1 + square / 28)) / 3
    else:
        grown = math.exp(e)
        cosh = (grown + 1 / grown) / 2
        ratio = (grown - 1 / grown) / (2 * e)
        third = (cosh - ratio) / square
    return math.exp(-size), cosh, ratio, third, e


@njit
def prepare(rows, i, out):
    """Computes the floats of a row from its columns."""
    size, stretch, shear = D(rows[i, P2]), D(rows[i, P3]), D(rows[i, P4])
    shrink, cosh, ratio, _, e = _matrix(size, stretch, shear)
    out[i, P0], out[i, P1] = rows[i, P0], rows[i, P1]
    out[i, P2] = shrink * (cosh - ratio * stretch)
    out[i, P3] = -shrink * ratio * shear
    out[i, P4] = shrink * (cosh + ratio * stretch)
    inverse_minor = shrink * math.exp(e)
    out[i, P5] = D(rows[i, S]) * inverse_minor
    forward, across, down = 1 / shrink, cosh + ratio * stretch, cosh - ratio * stretch
    both = ratio * shear
    forward *= forward
    out[i, P6] = forward * (across * across + both * both)
    out[i, P7] = forward * both * (across + down)
    out[i, P8] = forward * (down * down + both * both)
    out[i, P9] = inverse_minor
    out[i, P10] = forward


@njit
def span(rows, i, low, high, transposed):
    """See `dispatch.span`."""
    x, y, xx, yy = rows[i, P0], rows[i, P1], rows[i, P6], rows[i, P8]
    if transposed:
        x, y, xx, yy = y, x, yy, xx
    grown = ONE + rows[i, P5]
    grown = grown * grown
    xx, xy, yy = grown * xx, grown * rows[i, P7], grown * yy
    half = math.sqrt(yy)
    low, high = max(low - y, -half), min(high - y, half)
    if low > high:
        return ONE, ZERO
    # The slope of the line through the midpoints of the chords, and half-chord / sqrt(1 - y² / yy)
    lean, chord = xy / yy, grown * rows[i, P10] / half
    farthest = xy / math.sqrt(xx)  # y of the rightmost point
    at = min(max(farthest, low), high)
    right = lean * at + chord * math.sqrt(max(ONE - at * at / yy, ZERO))
    at = min(max(-farthest, low), high)
    left = lean * at - chord * math.sqrt(max(ONE - at * at / yy, ZERO))
    return x + left, x + right


@njit
def limit(raw, i, least, most):
    """See `dispatch.limit`: keeps (stretch, shear) in a disc in which both semi-axes keep their limits."""
    size = raw[i, P2]
    square = raw[i, P3] * raw[i, P3] + raw[i, P4] * raw[i, P4]
    farthest = size - _LOG_THINNEST
    if most > ZERO:
        farthest = min(size - F(math.log(least)), F(math.log(most)) - size)
    farthest = min(max(farthest, ZERO), _STRETCH_MAX)
    if square > farthest * farthest:
        factor = farthest / math.sqrt(square)
        raw[i, P3] *= factor
        raw[i, P4] *= factor


@njit(inline="always")
def constants(rows, i, left, top):
    """See `passes`: x, y, the inverse matrix, the slope of the coverage, and its value at the centre."""
    steep = HALF / rows[i, P5]
    return (
        spread(rows[i, P0] - left),
        spread(rows[i, P1] - top),
        spread(rows[i, P2]),
        spread(rows[i, P3]),
        spread(rows[i, P4]),
        spread(steep),
        spread(HALF + steep),
    )


@njit(inline="always")
def cover(c, px, py):
    """See `passes`. Keeps dx, dy and 1 / rho."""
    x, y, xx, xy, yy, slope, middle = c
    dx, dy = px - x, py - y
    u, v = xx * dx + xy * dy, xy * dx + yy * dy
    square = u * u + (v * v + spread(TINY))
    inverse = inverse_square_root(square)
    return clamp(middle - square * inverse * slope), (dx, dy, inverse)


@njit(inline="always")
def no_sums():
    """See `passes`."""
    none = spread(ZERO)
    return none, none, none, none, none, none, none


@njit(inline="always")
def add(sums, c, m, kept, da):
    """See `passes`: D, D m, and D / rho times dx, dy, dx², dx dy and dy², with D = dL/dm where 0 < m < 1."""
    by_all, by_m, by_x, by_y, by_xx, by_xy, by_yy = sums
    dx, dy, inverse = kept
    d = where_partial(m, da)
    by_all, by_m = by_all + d, by_m + d * m
    d = d * inverse
    u, v = d * dx, d * dy
    return by_all, by_m, by_x + u, by_y + v, by_xx + u * dx, by_xy + u * dy, by_yy + v * dy


@njit(inline="always")
def finish(rows, i, sums, red, green, blue, opacity, results, slot):
    """See `passes`."""
    by_all, by_m, by_x, by_y, by_xx, by_xy, by_yy = sums
    store_sums(results, slot, red, green, blue, opacity, by_all, by_m, by_x, by_y, by_xx, by_xy, by_yy, spread(ZERO))


@njit
def apply_chain_rule(rows, packed, i, sums):
    """Converts the sums of a row to its gradient, in place.

    Args:
        rows: (N, P) float32, the scene's rows.
        packed: (N, 16) float32, the kernel's rows.
        i: index of the row.
        sums: (16,) float64, as stored by `finish`, summed over entries.
    """
    opacity, softness = D(rows[i, A]), D(rows[i, S])
    a11, a12, a22 = D(packed[i, P2]), D(packed[i, P3]), D(packed[i, P4])
    k = opacity / (2 * softness * D(packed[i, P9]))
    by_u, by_v = a11 * sums[P0] + a12 * sums[P1], a12 * sums[P0] + a22 * sums[P1]
    by_xx = -k * (a11 * sums[P2] + a12 * sums[P3])
    by_yy = -k * (a12 * sums[P3] + a22 * sums[P4])
    by_xy = -k * (a12 * (sums[P2] + sums[P4]) + (a11 + a22) * sums[P3])
    by_log_sigma = opacity * sums[S]
    q, r = D(rows[i, P3]), D(rows[i, P4])
    shrink, _, ratio, third, e = _matrix(D(rows[i, P2]), q, r)
    along, beside = (q / e, r / e) if e > 0 else (0.0, 0.0)
    sums[S] = by_log_sigma / softness
    sums[P0] = k * (a11 * by_u + a12 * by_v)
    sums[P1] = k * (a12 * by_u + a22 * by_v)
    sums[P2] = -(by_xx * a11 + by_xy * a12 + by_yy * a22) - by_log_sigma
    sums[P3] = by_log_sigma * along + shrink * (
        by_xx * (ratio * q - third * q * q - ratio)
        - by_xy * third * q * r
        + by_yy * (ratio * q + third * q * q + ratio)
    )
    sums[P4] = by_log_sigma * beside + shrink * (
        by_xx * (ratio * r - third * q * r) - by_xy * (third * r * r + ratio) + by_yy * (ratio * r + third * q * r)
    )
