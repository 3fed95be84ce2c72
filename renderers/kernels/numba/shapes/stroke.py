"""The stroke in the kernel. Floats: x0, y0; the vector to the other end (x, y); half the width; 1 / length².

With the start A, the vector V to the other end, t = clamp((pixel - A) · V / length², 0, 1) and E = pixel - A - t V:
m = clamp(1/2 - (|E| - half width) / 2 softness).
"""

from __future__ import annotations

import math

from numba import njit

from ..simd import clamp, inverse_square_root, load, spread, store, where_partial
from .layout import FAR, HALF, LANES, ONE, P0, P1, P2, P3, P4, P5, TINY, ZERO, A, D, S
from .spans import disc_span, edge_span
from .sums import store_sums


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


@njit
def cover(buffer, px, py, covered, kept, first, last, rows, i, left, top):
    """Computes the coverage, and 1 / |E|; see `dispatch.cover`."""
    x, y, dx, dy = spread(rows[i, P0] - left), spread(rows[i, P1] - top), spread(rows[i, P2]), spread(rows[i, P3])
    ux, uy = spread(rows[i, P2] * rows[i, P5]), spread(rows[i, P3] * rows[i, P5])
    steep = HALF / rows[i, S]
    slope, middle, tiny = spread(steep), spread(HALF + rows[i, P4] * steep), spread(TINY)
    for p in range(first, last, LANES):
        wx = load(buffer, px + p) - x
        wy = load(buffer, py + p) - y
        t = clamp(wx * ux + wy * uy)
        wx = wx - t * dx
        wy = wy - t * dy
        square = wx * wx + (wy * wy + tiny)
        inverse = inverse_square_root(square)
        store(buffer, kept + p, inverse)
        store(buffer, covered + p, clamp(middle - square * inverse * slope))


@njit
def backward(
    buffer, px, py, covered, da, kept, first, last, rows, i, left, top, red, green, blue, opacity, results, slot
):
    """Stores the sums of g, t g and D, with D = dL/dm where 0 < m < 1 and g = D E / |E|."""
    x, y, dx, dy = spread(rows[i, P0] - left), spread(rows[i, P1] - top), spread(rows[i, P2]), spread(rows[i, P3])
    ux, uy = spread(rows[i, P2] * rows[i, P5]), spread(rows[i, P3] * rows[i, P5])
    by_x = by_y = by_tx = by_ty = by_m = by_all = spread(ZERO)
    for p in range(first, last, LANES):
        m = load(buffer, covered + p)
        d = where_partial(m, load(buffer, da + p))
        by_all = by_all + d
        by_m = by_m + d * m
        wx = load(buffer, px + p) - x
        wy = load(buffer, py + p) - y
        t = clamp(wx * ux + wy * uy)
        d = d * load(buffer, kept + p)
        gx = d * (wx - t * dx)
        gy = d * (wy - t * dy)
        by_x = by_x + gx
        by_y = by_y + gy
        by_tx = by_tx + t * gx
        by_ty = by_ty + t * gy
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
