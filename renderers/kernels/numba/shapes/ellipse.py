"""The ellipse in the kernel.

Floats: x, y; the inverse of its matrix (11, 12, 22); softness / minor semi-axis, sigma; the square of its matrix
(11, 12, 22), whose diagonal holds the squared half-extents; 1 / minor semi-axis; the product of the semi-axes.

With u = inverse (pixel - centre), rho = |u|: m = clamp(1/2 - (rho - 1) / (2 sigma)).
"""

from __future__ import annotations

import math

from numba import njit

from ..simd import clamp, inverse_square_root, load, spread, store, where_partial
from .layout import HALF, LANES, ONE, P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, TINY, ZERO, A, D, S
from .sums import store_sums

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
def cover(buffer, px, py, covered, kept, first, last, rows, i, left, top):
    """Computes the coverage, and 1 / rho; see `dispatch.cover`."""
    x, y = spread(rows[i, P0] - left), spread(rows[i, P1] - top)
    xx, xy, yy = spread(rows[i, P2]), spread(rows[i, P3]), spread(rows[i, P4])
    steep = HALF / rows[i, P5]
    slope, middle, tiny = spread(steep), spread(HALF + steep), spread(TINY)
    for p in range(first, last, LANES):
        dx = load(buffer, px + p) - x
        dy = load(buffer, py + p) - y
        u = xx * dx + xy * dy
        v = xy * dx + yy * dy
        square = u * u + (v * v + tiny)
        inverse = inverse_square_root(square)
        store(buffer, kept + p, inverse)
        store(buffer, covered + p, clamp(middle - square * inverse * slope))


@njit
def backward(
    buffer, px, py, covered, da, kept, first, last, rows, i, left, top, red, green, blue, opacity, results, slot
):
    """Stores the sums of D / rho times dx, dy, dx², dx dy and dy², with D = dL/dm where 0 < m < 1."""
    x, y = spread(rows[i, P0] - left), spread(rows[i, P1] - top)
    by_x = by_y = by_xx = by_xy = by_yy = by_m = by_all = spread(ZERO)
    for p in range(first, last, LANES):
        m = load(buffer, covered + p)
        d = where_partial(m, load(buffer, da + p))
        by_all = by_all + d
        by_m = by_m + d * m
        dx = load(buffer, px + p) - x
        dy = load(buffer, py + p) - y
        d = d * load(buffer, kept + p)
        u = d * dx
        v = d * dy
        by_x = by_x + u
        by_y = by_y + v
        by_xx = by_xx + u * dx
        by_xy = by_xy + u * dy
        by_yy = by_yy + v * dy
    none = spread(ZERO)
    store_sums(results, slot, red, green, blue, opacity, by_all, by_m, by_x, by_y, by_xx, by_xy, by_yy, none)


@njit
def apply_chain_rule(rows, packed, i, sums):
    """Converts the sums of a row to its gradient, in place.

    Args:
        rows: (N, P) float32, the scene's rows.
        packed: (N, 16) float32, the kernel's rows.
        i: index of the row.
        sums: (16,) float64, as stored by `backward`, summed over entries.
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
