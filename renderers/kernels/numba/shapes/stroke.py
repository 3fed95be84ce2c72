"""The stroke in the kernel. Floats: x0, y0; the vector to the other end (x, y); half the width; 1 / length².

With the start A, the vector V to the other end, t = clamp((pixel - A) · V / length², 0, 1) and E = pixel - A - t V:
m = clamp(1/2 - (|E| - half width) / 2 softness).
"""

from __future__ import annotations

import math

from numba import njit

from ..simd import clamp, inverse_square_root, spread, where_partial
from .layout import FAR, HALF, ONE, P0, P1, P2, P3, P4, P5, TINY, ZERO, A, D, S
from .spans import disc_span, edge_span
from .sums import store_sums

KEPT = 0


@njit
def prepare(rows, i, out):
    """Computes the floats of a row from its columns."""
    x0, y0 = rows[i, P0], rows[i, P1]
    dx, dy = rows[i, P2] - x0, rows[i, P3] - y0
    square = dx * dx + dy * dy
    out[i, P0], out[i, P1], out[i, P2], out[i, P3] = x0, y0, dx, dy
    out[i, P4] = HALF * rows[i, P4]
    out[i, P5] = ONE / square if square > ZERO else ZERO


@njit
def span(rows, i, low, high, transposed):
    """See `dispatch.span`."""
    x, y, dx, dy = rows[i, P0], rows[i, P1], rows[i, P2], rows[i, P3]
    if transposed:
        x, y, dx, dy = y, x, dy, dx
    reach = rows[i, P4] + rows[i, S]
    left, right = disc_span(x, y, reach, low, high, FAR, -FAR)
    left, right = disc_span(x + dx, y + dy, reach, low, high, left, right)
    scale = reach * math.sqrt(rows[i, P5])
    nx, ny = -scale * dy, scale * dx
    left, right = edge_span(x + nx, y + ny, x + dx + nx, y + dy + ny, low, high, left, right)
    return edge_span(x - nx, y - ny, x + dx - nx, y + dy - ny, low, high, left, right)


@njit(inline="always")
def constants(rows, i, left, top):
    """See `passes`: A, V, V / length², the slope of the coverage, and its value on the segment."""
    steep = HALF / rows[i, S]
    return (
        spread(rows[i, P0] - left),
        spread(rows[i, P1] - top),
        spread(rows[i, P2]),
        spread(rows[i, P3]),
        spread(rows[i, P2] * rows[i, P5]),
        spread(rows[i, P3] * rows[i, P5]),
        spread(steep),
        spread(HALF + rows[i, P4] * steep),
    )


@njit(inline="always")
def cover(c, px, py):
    """See `passes`. Keeps E / |E| and t."""
    x, y, dx, dy, ux, uy, slope, middle = c
    wx, wy = px - x, py - y
    t = clamp(wx * ux + wy * uy)
    wx, wy = wx - t * dx, wy - t * dy
    square = wx * wx + (wy * wy + spread(TINY))
    inverse = inverse_square_root(square)
    return clamp(middle - square * inverse * slope), (wx * inverse, wy * inverse, t)


@njit(inline="always")
def no_sums():
    """See `passes`."""
    none = spread(ZERO)
    return none, none, none, none, none, none


@njit(inline="always")
def add(sums, c, m, kept, da):
    """See `passes`: D, D m, g and t g, with D = dL/dm where 0 < m < 1 and g = D E / |E|."""
    by_all, by_m, by_x, by_y, by_tx, by_ty = sums
    nx, ny, t = kept
    d = where_partial(m, da)
    gx, gy = d * nx, d * ny
    return by_all + d, by_m + d * m, by_x + gx, by_y + gy, by_tx + t * gx, by_ty + t * gy


@njit(inline="always")
def finish(rows, i, sums, red, green, blue, opacity, results, slot):
    """See `passes`."""
    by_all, by_m, by_x, by_y, by_tx, by_ty = sums
    none = spread(ZERO)
    store_sums(results, slot, red, green, blue, opacity, by_all, by_m, by_x, by_y, by_tx, by_ty, by_all, none)


@njit
def apply_chain_rule(rows, packed, i, sums):
    """Converts the sums of a row to its gradient, in place; see `ellipse.apply_chain_rule`."""
    opacity, softness = D(rows[i, A]), D(rows[i, S])
    k = opacity / (2 * softness)
    x, y, tx, ty, by_all = sums[P0], sums[P1], sums[P2], sums[P3], sums[P4]
    sums[S] *= opacity / softness
    sums[P0], sums[P1] = k * (x - tx), k * (y - ty)
    sums[P2], sums[P3] = k * tx, k * ty
    sums[P4] = k * by_all / 2
