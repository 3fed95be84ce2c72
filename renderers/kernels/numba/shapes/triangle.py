"""The triangle in the kernel. Floats: x and y of the corners; 1 / length² of the edges; the orientation, ±1 or 0.

The nearest point of the rim lies on edge k, at a fraction t of its length. It is stored as one number, the rim position
k + t. The corners are at 0, 1, 2 and 3 = 0; the weight of each in the gradient falls from 1 at its position to 0 at its
neighbours.
"""

from __future__ import annotations

import math

from numba import njit

from ....primitives.triangle import EQUILATERAL, POINT
from ..simd import absolute, clamp, greatest, inverse_square_root, spread, where_partial, where_positive
from .layout import FAR, HALF, ONE, P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, TINY, TWO, ZERO, A, D, F, S, U
from .spans import disc_span, edge_span
from .sums import store_sums

KEPT = 4

_POINT, _EQUILATERAL = F(POINT), tuple(F(number) for number in EQUILATERAL)


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
def limit(raw, i, least, most):
    """See `dispatch.limit`: scales about the centroid until the farthest corner keeps its limits."""
    x = (raw[i, P0] + raw[i, P2] + raw[i, P4]) / F(3)
    y = (raw[i, P1] + raw[i, P3] + raw[i, P5]) / F(3)
    reach = ZERO
    for k in range(P0, P0 + U(6), 2):
        across, down = raw[i, k] - x, raw[i, k + U(1)] - y
        reach = max(reach, math.sqrt(across * across + down * down))
    wanted = min(max(reach, least), most)
    if wanted == reach:
        return
    for k in range(U(3)):
        across, down = U(P0) + U(2) * k, U(P1) + U(2) * k
        if reach < _POINT:
            raw[i, across] = x + wanted * _EQUILATERAL[U(2) * k]
            raw[i, down] = y + wanted * _EQUILATERAL[U(2) * k + U(1)]
        else:
            raw[i, across] = x + (raw[i, across] - x) * (wanted / reach)
            raw[i, down] = y + (raw[i, down] - y) * (wanted / reach)


@njit(inline="always")
def _edge(dx, dy, ex, ey, inverse, orientation):
    """The vector from an edge's nearest point to the pixel, t, squared distance, and signed side of the edge."""
    t = clamp((dx * ex + dy * ey) * inverse)
    qx, qy = dx - t * ex, dy - t * ey
    return qx, qy, t, qx * qx + qy * qy, (dx * ey - dy * ex) * orientation


@njit(inline="always")
def constants(rows, i, left, top):
    """See `passes`: the corners, 1 / length² of the edges, slope of the coverage, orientation, and a lower limit.

    A triangle of zero area has no inside: the limit on the signed sides puts every pixel outside.
    """
    return (
        (spread(rows[i, P0] - left), spread(rows[i, P1] - top)),
        (spread(rows[i, P2] - left), spread(rows[i, P3] - top)),
        (spread(rows[i, P4] - left), spread(rows[i, P5] - top)),
        (spread(rows[i, P6]), spread(rows[i, P7]), spread(rows[i, P8])),
        spread(HALF / rows[i, S]),
        spread(rows[i, P9]),
        spread(ONE if rows[i, P9] == ZERO else -FAR),
    )


@njit(inline="always")
def cover(c, px, py):
    """See `passes`. Keeps x and y of the outward unit vector, and the rim position."""
    (ax, ay), (bx, by), (cx, cy), (ab, bc, ca), slope, orientation, flat = c
    one, two, minus = spread(ONE), spread(TWO), spread(-ONE)
    abx, aby, bcx, bcy, cax, cay = bx - ax, by - ay, cx - bx, cy - by, ax - cx, ay - cy
    qx, qy, rim_position, square, out = _edge(px - ax, py - ay, abx, aby, ab, orientation)
    ex, ey, scale, along = abx, aby, ab, rim_position
    rx, ry, t, other, beyond = _edge(px - bx, py - by, bcx, bcy, bc, orientation)
    nearer = square - other
    qx, qy = where_positive(nearer, rx, qx), where_positive(nearer, ry, qy)
    ex, ey, scale = where_positive(nearer, bcx, ex), where_positive(nearer, bcy, ey), where_positive(nearer, bc, scale)
    along = where_positive(nearer, t, along)
    rim_position, square = where_positive(nearer, t + one, rim_position), where_positive(nearer, other, square)
    out = greatest(out, beyond)
    rx, ry, t, other, beyond = _edge(px - cx, py - cy, cax, cay, ca, orientation)
    nearer = square - other
    qx, qy = where_positive(nearer, rx, qx), where_positive(nearer, ry, qy)
    ex, ey, scale = where_positive(nearer, cax, ex), where_positive(nearer, cay, ey), where_positive(nearer, ca, scale)
    along = where_positive(nearer, t, along) * absolute(orientation)
    rim_position, square = where_positive(nearer, t + two, rim_position), where_positive(nearer, other, square)
    out = greatest(greatest(out, beyond), flat)
    square = square + spread(TINY)
    inverse = inverse_square_root(square)
    away = where_positive(out, one, minus) * inverse
    # Between corners the direction is the edge's normal: on the edge itself (qx, qy) is but rounding.
    to_corner = away - where_partial(along, away)
    normal = where_partial(along, orientation * scale * inverse_square_root(scale + spread(TINY)))
    return clamp(spread(HALF) - square * away * slope), (
        ey * normal + qx * to_corner,
        qy * to_corner - ex * normal,
        rim_position,
    )


@njit(inline="always")
def no_sums():
    """See `passes`."""
    none = spread(ZERO)
    return none, none, none, none, none, none, none, none


@njit(inline="always")
def add(sums, c, m, kept, da):
    """See `passes`: D, D m, g, and g weighted for corners 1 and 2, with g = dL/dm times the outward vector."""
    by_all, by_m, by_x, by_y, by_bx, by_by, by_cx, by_cy = sums
    nx, ny, rim_position = kept
    one, none = spread(ONE), spread(ZERO)
    d = where_partial(m, da)
    gx, gy = d * nx, d * ny
    b = greatest(one - absolute(rim_position - one), none)
    c2 = greatest(one - absolute(rim_position - spread(TWO)), none)
    return (
        by_all + d, by_m + d * m, by_x + gx, by_y + gy, by_bx + b * gx, by_by + b * gy, by_cx + c2 * gx, by_cy + c2 * gy
    )  # fmt: skip


@njit(inline="always")
def finish(rows, i, sums, red, green, blue, opacity, results, slot):
    """See `passes`."""
    by_all, by_m, by_x, by_y, by_bx, by_by, by_cx, by_cy = sums
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
