"""The stroke in the kernel. Its floats: x0, y0; from there to the other end, x and y; half the width; 1 / length².

With t = clamp((pixel - end) · along / length², 0, 1) and E = pixel - end - t along: m = clamp(1/2 - (|E| - half) / 2s).
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
    """Fills the floats of a row from its columns."""
    x0, y0 = rows[i, P0], rows[i, P1]
    dx, dy = rows[i, P2] - x0, rows[i, P3] - y0
    square = dx * dx + dy * dy
    out[i, P0], out[i, P1], out[i, P2], out[i, P3] = x0, y0, dx, dy
    out[i, P4] = HALF * rows[i, P4]
    out[i, P5] = ONE / square if square > ZERO else ZERO


@njit
def span(rows, i, low, high, turned):
    """Left and right of what is covered between the lines y = low and y = high; if turned, top and bottom between x."""
    x, y, dx, dy = rows[i, P0], rows[i, P1], rows[i, P2], rows[i, P3]
    if turned:
        x, y, dx, dy = y, x, dy, dx
    reach = rows[i, P4] + rows[i, S]
    left, right = disc_span(x, y, reach, low, high, FAR, -FAR)
    left, right = disc_span(x + dx, y + dy, reach, low, high, left, right)
    scale = reach * math.sqrt(rows[i, P5])
    nx, ny = -scale * dy, scale * dx
    left, right = edge_span(x + nx, y + ny, x + dx + nx, y + dy + ny, low, high, left, right)
    return edge_span(x - nx, y - ny, x + dx - nx, y + dy - ny, low, high, left, right)


@njit
def cover(s, px, py, covered, kept, first, last, rows, i, left, top):
    """Coverage of the pixels first..last of a buffer, and 1 / |E|; see `dispatch.cover`."""
    x, y, dx, dy = spread(rows[i, P0] - left), spread(rows[i, P1] - top), spread(rows[i, P2]), spread(rows[i, P3])
    ux, uy = spread(rows[i, P2] * rows[i, P5]), spread(rows[i, P3] * rows[i, P5])
    steep = HALF / rows[i, S]
    slope, middle, tiny = spread(steep), spread(HALF + rows[i, P4] * steep), spread(TINY)
    for p in range(first, last, LANES):
        wx = load(s, px + p) - x
        wy = load(s, py + p) - y
        t = clamp(wx * ux + wy * uy)
        wx = wx - t * dx
        wy = wy - t * dy
        square = wx * wx + (wy * wy + tiny)
        inverse = inverse_square_root(square)
        store(s, kept + p, inverse)
        store(s, covered + p, clamp(middle - square * inverse * slope))


@njit
def pull(s, px, py, covered, da, kept, first, last, rows, i, left, top, red, green, blue, opacity, results, slot):
    """Stores an entry's sums over the ramp of D = dL/dm: with g = D E / |E|, of g, t g and D; see `chain`."""
    x, y, dx, dy = spread(rows[i, P0] - left), spread(rows[i, P1] - top), spread(rows[i, P2]), spread(rows[i, P3])
    ux, uy = spread(rows[i, P2] * rows[i, P5]), spread(rows[i, P3] * rows[i, P5])
    by_x = by_y = by_tx = by_ty = by_m = by_all = spread(ZERO)
    for p in range(first, last, LANES):
        m = load(s, covered + p)
        d = where_partial(m, load(s, da + p))
        by_all = by_all + d
        by_m = by_m + d * m
        wx = load(s, px + p) - x
        wy = load(s, py + p) - y
        t = clamp(wx * ux + wy * uy)
        d = d * load(s, kept + p)
        gx = d * (wx - t * dx)
        gy = d * (wy - t * dy)
        by_x = by_x + gx
        by_y = by_y + gy
        by_tx = by_tx + t * gx
        by_ty = by_ty + t * gy
    none = spread(ZERO)
    store_sums(results, slot, red, green, blue, opacity, by_all, by_m, by_x, by_y, by_tx, by_ty, by_all, none)


@njit
def chain(rows, packed, i, sums):
    """Turns the sums of a row, (16,) float64, into its gradient in place; see `ellipse.chain`."""
    opacity, softness = D(rows[i, A]), D(rows[i, S])
    k = opacity / (2 * softness)
    x, y, tx, ty, by_all = sums[P0], sums[P1], sums[P2], sums[P3], sums[P4]
    sums[S] *= opacity / softness
    sums[P0], sums[P1] = k * (x - tx), k * (y - ty)
    sums[P2], sums[P3] = k * tx, k * ty
    sums[P4] = k * by_all / 2
