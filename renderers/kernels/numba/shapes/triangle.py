"""The triangle in the kernel. Floats: x and y of the corners; 1 / length² of the edges; the orientation, ±1 or 0.

The nearest point of the rim lies on edge k, at a fraction t of its length. It is stored as one number, the rim position
k + t. The corners are at 0, 1, 2 and 3 = 0; the weight of each in the gradient falls from 1 at its position to 0 at its
neighbours.
"""

from __future__ import annotations

import math

from numba import njit

from ..simd import (
    absolute,
    clamp,
    greatest,
    inverse_square_root,
    load,
    spread,
    store,
    where_partial,
    where_positive,
)
from .layout import FAR, HALF, LANES, ONE, P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, TINY, TWO, ZERO, A, D, F, S
from .spans import disc_span, edge_span
from .sums import store_sums


@njit
def prepare(rows, i, out):
    """Computes the floats of a row from its columns."""
    ax, ay, bx, by, cx, cy = rows[i, P0], rows[i, P1], rows[i, P2], rows[i, P3], rows[i, P4], rows[i, P5]
    out[i, P0], out[i, P1], out[i, P2], out[i, P3], out[i, P4], out[i, P5] = ax, ay, bx, by, cx, cy
    ab = (bx - ax) * (bx - ax) + (by - ay) * (by - ay)
    bc = (cx - bx) * (cx - bx) + (cy - by) * (cy - by)
    ca = (ax - cx) * (ax - cx) + (ay - cy) * (ay - cy)
    out[i, P6] = ONE / ab if ab > ZERO else ZERO
    out[i, P7] = ONE / bc if bc > ZERO else ZERO
    out[i, P8] = ONE / ca if ca > ZERO else ZERO
    area = (D(bx) - D(ax)) * (D(cy) - D(ay)) - (D(cx) - D(ax)) * (D(by) - D(ay))
    out[i, P9] = F(-1) if area < 0 else (ONE if area > 0 else ZERO)


@njit
def _side_span(ax, ay, bx, by, inverse, reach, low, high, left, right):
    """The span, widened by an edge offset by `reach` to both sides, and by the disc around its first corner."""
    left, right = disc_span(ax, ay, reach, low, high, left, right)
    scale = reach * math.sqrt(inverse)
    nx, ny = -scale * (by - ay), scale * (bx - ax)
    left, right = edge_span(ax + nx, ay + ny, bx + nx, by + ny, low, high, left, right)
    return edge_span(ax - nx, ay - ny, bx - nx, by - ny, low, high, left, right)


@njit
def span(rows, i, low, high, transposed):
    """See `dispatch.span`."""
    ax, ay, bx, by, cx, cy = rows[i, P0], rows[i, P1], rows[i, P2], rows[i, P3], rows[i, P4], rows[i, P5]
    if transposed:
        ax, ay, bx, by, cx, cy = ay, ax, by, bx, cy, cx
    reach = rows[i, S]
    left, right = _side_span(ax, ay, bx, by, rows[i, P6], reach, low, high, FAR, -FAR)
    left, right = _side_span(bx, by, cx, cy, rows[i, P7], reach, low, high, left, right)
    return _side_span(cx, cy, ax, ay, rows[i, P8], reach, low, high, left, right)


@njit
def _edge(dx, dy, ex, ey, inverse, orientation):
    """The vector from an edge's nearest point to the pixel, t, squared distance, and signed side of the edge."""
    t = clamp((dx * ex + dy * ey) * inverse)
    qx, qy = dx - t * ex, dy - t * ey
    return qx, qy, t, qx * qx + qy * qy, (dx * ey - dy * ex) * orientation


@njit
def _normal(ex, ey, inverse, orientation):
    """The outward unit normal of an edge; (0, 0) for a triangle of zero area."""
    scale = orientation * spread(F(math.sqrt(inverse)))
    return ey * scale, (spread(ZERO) - ex) * scale


@njit
def cover(buffer, px, py, covered, kept, size, first, last, rows, i, left, top):
    """Computes the coverage, x and y of the outward unit vector, and the rim position; see `dispatch.cover`."""
    ax, ay, bx, by = rows[i, P0] - left, rows[i, P1] - top, rows[i, P2] - left, rows[i, P3] - top
    cx, cy, orientation = rows[i, P4] - left, rows[i, P5] - top, spread(rows[i, P9])
    ax8, ay8, bx8, by8, cx8, cy8 = spread(ax), spread(ay), spread(bx), spread(by), spread(cx), spread(cy)
    abx, aby, bcx, bcy, cax, cay = bx8 - ax8, by8 - ay8, cx8 - bx8, cy8 - by8, ax8 - cx8, ay8 - cy8
    ab, bc, ca = spread(rows[i, P6]), spread(rows[i, P7]), spread(rows[i, P8])
    slope, half, tiny = spread(HALF / rows[i, S]), spread(HALF), spread(TINY)
    one, two, minus = spread(ONE), spread(TWO), spread(-ONE)
    # A triangle of zero area has no inside: this puts every pixel outside.
    flat = spread(ONE if rows[i, P9] == ZERO else -FAR)
    solid = absolute(orientation)
    abnx, abny = _normal(abx, aby, rows[i, P6], orientation)
    bcnx, bcny = _normal(bcx, bcy, rows[i, P7], orientation)
    canx, cany = _normal(cax, cay, rows[i, P8], orientation)
    for p in range(first, last, LANES):
        x = load(buffer, px + p)
        y = load(buffer, py + p)
        qx, qy, rim_position, square, out = _edge(x - ax8, y - ay8, abx, aby, ab, orientation)
        nx, ny, along = abnx, abny, rim_position
        rx, ry, t, other, beyond = _edge(x - bx8, y - by8, bcx, bcy, bc, orientation)
        nearer = square - other
        qx, qy = where_positive(nearer, rx, qx), where_positive(nearer, ry, qy)
        nx, ny = where_positive(nearer, bcnx, nx), where_positive(nearer, bcny, ny)
        along = where_positive(nearer, t, along)
        rim_position, square = where_positive(nearer, t + one, rim_position), where_positive(nearer, other, square)
        out = greatest(out, beyond)
        rx, ry, t, other, beyond = _edge(x - cx8, y - cy8, cax, cay, ca, orientation)
        nearer = square - other
        qx, qy = where_positive(nearer, rx, qx), where_positive(nearer, ry, qy)
        nx, ny = where_positive(nearer, canx, nx), where_positive(nearer, cany, ny)
        along = where_positive(nearer, t, along) * solid
        rim_position, square = where_positive(nearer, t + two, rim_position), where_positive(nearer, other, square)
        out = greatest(greatest(out, beyond), flat)
        square = square + tiny
        inverse = inverse_square_root(square)
        sign = where_positive(out, one, minus)
        away = sign * inverse
        # Between corners it is the edge's normal: on the edge itself (qx, qy) is but rounding.
        to_corner = away - where_partial(along, away)
        store(buffer, kept + p, where_partial(along, nx) + qx * to_corner)
        store(buffer, kept + size + p, where_partial(along, ny) + qy * to_corner)
        store(buffer, kept + size + size + p, rim_position)
        store(buffer, covered + p, clamp(half - square * away * slope))


@njit
def backward(buffer, covered, da, kept, size, first, last, rows, i, red, green, blue, opacity, results, slot):
    """Stores the sums of g, and of g weighted for corners 1 and 2, with g = dL/dm times the outward vector."""
    by_x = by_y = by_bx = by_by = by_cx = by_cy = by_m = by_all = spread(ZERO)
    one, two, none = spread(ONE), spread(TWO), spread(ZERO)
    for p in range(first, last, LANES):
        m = load(buffer, covered + p)
        d = where_partial(m, load(buffer, da + p))
        by_all = by_all + d
        by_m = by_m + d * m
        gx, gy = d * load(buffer, kept + p), d * load(buffer, kept + size + p)
        rim_position = load(buffer, kept + size + size + p)
        b = greatest(one - absolute(rim_position - one), none)
        c = greatest(one - absolute(rim_position - two), none)
        by_x = by_x + gx
        by_y = by_y + gy
        by_bx = by_bx + b * gx
        by_by = by_by + b * gy
        by_cx = by_cx + c * gx
        by_cy = by_cy + c * gy
    store_sums(results, slot, red, green, blue, opacity, by_all, by_m, by_x, by_y, by_bx, by_by, by_cx, by_cy)


@njit
def apply_chain_rule(rows, packed, i, sums):
    """Converts the sums of a row to its gradient, in place; see `ellipse.apply_chain_rule`."""
    opacity, softness = D(rows[i, A]), D(rows[i, S])
    k = opacity / (2 * softness)
    x, y, bx, by, cx, cy = sums[P0], sums[P1], sums[P2], sums[P3], sums[P4], sums[P5]
    sums[S] *= opacity / softness
    sums[P0], sums[P1] = k * (x - bx - cx), k * (y - by - cy)
    sums[P2], sums[P3], sums[P4], sums[P5] = k * bx, k * by, k * cx, k * cy
