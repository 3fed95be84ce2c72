"""The operations of the kernel on rows of any primitive: a branch on the kind of each entry.

A new primitive adds a branch to each of these functions. Scenes of circles alone are read as they are (`NARROW` floats
per row); all others are packed first (`pack_rows`), and their sums become gradients at the end (`apply_chain_rules`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from ....primitives.circle import CIRCLE
from ....primitives.ellipse import ELLIPSE
from ....primitives.falloff import LINEAR
from ....primitives.stroke import STROKE
from ....primitives.triangle import TRIANGLE
from ..cache import compiled
from . import circle, ellipse, logistic, stroke, triangle
from .layout import FAR, HALF, LANES, NARROW, ONE, P0, P1, TILE_HEIGHT, TILE_WIDTH, WIDE, ZERO, F, U
from .passes import passes_of

Array = np.ndarray[Any, Any]

_CIRCLE, _ELLIPSE, _STROKE, _TRIANGLE = CIRCLE.code, ELLIPSE.code, STROKE.code, TRIANGLE.code

_LINEAR = LINEAR.code

_CIRCLES = passes_of(circle, inline="always")
_LOGISTICS, _ELLIPSES, _STROKES, _TRIANGLES = map(passes_of, (logistic, ellipse, stroke, triangle))

# Planes that an entry keeps for the backward pass: the transmittance above it, and those of its shape.
PLANES_KEPT_MOST = 1 + triangle.KEPT

# Extents are widened by this much (pixels), so that float32 rounding loses no pixel.
SLACK = F(1e-3)

_LAST_CENTRE = F(TILE_WIDTH - 0.5)


def packed(rows: Array, kinds: Array) -> tuple[Array, Array]:
    """The kernel's rows, (N, NARROW or WIDE) float32, and their kinds, uint8.

    Rows of circles alone are returned unchanged, without a copy.
    """
    codes = np.require(kinds, np.uint8, ["C", "W"])
    if rows.shape[1] == NARROW and not np.any(codes != _CIRCLE):
        return rows, codes
    ready = np.zeros((len(rows), WIDE), np.float32)
    pack_rows(rows, codes, ready)
    return ready, codes


@njit(nogil=True, error_model="numpy")
def pack_row(rows, kind, i, packed):
    """Fills a row of the kernel's rows, (N, WIDE) float32, from the scene's rows, (N, P)."""
    for k in range(P0):
        packed[i, k] = rows[i, k]
    if kind == _ELLIPSE:
        ellipse.prepare(rows, i, packed)
    elif kind == _STROKE:
        stroke.prepare(rows, i, packed)
    elif kind == _TRIANGLE:
        triangle.prepare(rows, i, packed)
    else:
        for k in range(P0, P0 + U(3)):
            packed[i, k] = rows[i, k]


@compiled(error_model="numpy")
def pack_rows(rows, kinds, packed):
    """`pack_row` of all rows."""
    for i in range(U(rows.shape[0])):
        pack_row(rows, kinds[i], i, packed)


@njit(nogil=True, error_model="numpy")
def chain_rule(rows, kind, packed, i, sums):
    """Converts the sums of a row, (WIDE,) float64, to the gradient with respect to its columns, in place."""
    if kind == _ELLIPSE:
        ellipse.apply_chain_rule(rows, packed, i, sums)
    elif kind == _STROKE:
        stroke.apply_chain_rule(rows, packed, i, sums)
    elif kind == _TRIANGLE:
        triangle.apply_chain_rule(rows, packed, i, sums)
    else:
        for k in range(U(NARROW), U(sums.shape[0])):  # not stored by `circle.finish`
            sums[k] = 0.0


@compiled(error_model="numpy")
def apply_chain_rules(rows, kinds, packed, sums):
    """`chain_rule` of all rows, (N, WIDE)."""
    for i in range(U(rows.shape[0])):
        chain_rule(rows, kinds[i], packed, i, sums[i])


@njit(nogil=True, error_model="numpy")
def limit(raw, i, kind, least, most):
    """Moves the raw parameters of a row to the joint limits of several columns; see `Primitive.limited`.

    The sizes `least` and `most` are 0 if only the canvas limits them.
    """
    if kind == _ELLIPSE:
        ellipse.limit(raw, i, least, most)
    elif kind == _TRIANGLE and most > ZERO:
        triangle.limit(raw, i, least, most)


@njit(inline="always")
def span(rows, i, kind, edge, low, high, transposed):
    """Left and right end of a row's support between the lines y = low and y = high; empty where left > right.

    If transposed: top and bottom end between the lines x = low and x = high.
    """
    if kind == _CIRCLE:
        left, right = circle.span(rows, i, edge, low, high, transposed)
    else:
        left, right = _span_of_others(rows, i, kind, low, high, transposed)
    return left, right


@njit
def _span_of_others(rows, i, kind, low, high, transposed):
    """`span` of all but circles; only the code of circles is worth inlining."""
    if kind == _ELLIPSE:
        left, right = ellipse.span(rows, i, low, high, transposed)
    elif kind == _STROKE:
        left, right = stroke.span(rows, i, low, high, transposed)
    else:
        left, right = triangle.span(rows, i, low, high, transposed)
    if left > right:
        return ONE, ZERO
    return left - SLACK, right + SLACK


@njit(inline="always")
def box(rows, i, kind, edge):
    """Left, right, top and bottom of a row's support."""
    if kind == _CIRCLE:
        x, y, reach = rows[i, P0], rows[i, P1], circle.reach(rows, i, edge)
        left, right, top, bottom = x - reach, x + reach, y - reach, y + reach
    else:
        left, right = _span_of_others(rows, i, kind, -FAR, FAR, False)
        top, bottom = _span_of_others(rows, i, kind, -FAR, FAR, True)
    return left, right, top, bottom


@njit(inline="always")
def touched_pixels(rows, i, kind, edge, left, top):
    """First and past-last pixel, in row-major order, of the pixel rows of a tile that row i touches.

    Args:
        rows: (N, W) the kernel's rows.
        i: index of the row.
        kind: code of its primitive.
        edge: code of the falloff.
        left: of the tile, pixels.
        top: of the tile, pixels.
    """
    above, below = span(rows, i, kind, edge, left + HALF, left + _LAST_CENTRE, True)
    # int() of a non-negative number: calls of math.floor and math.ceil would take a tenth of all time.
    first = min(int(max(above - top - SLACK + HALF, ZERO)), TILE_HEIGHT)
    last = max(min(int(max(below - top + SLACK + HALF, ZERO)), TILE_HEIGHT), first)
    if above > below:
        last = first
    # Whole vectors, which may cross pixel rows.
    return U(first * TILE_WIDTH) // LANES * LANES, (U(last * TILE_WIDTH) + LANES - U(1)) // LANES * LANES


def planes_of(kinds: Array) -> int:
    """The largest `planes_kept` of these kinds."""
    return PLANES_KEPT_MOST if np.any(kinds == _TRIANGLE) else 1


@njit(inline="always")
def planes_kept(kind):
    """Number of planes that an entry of this kind keeps."""
    return U(PLANES_KEPT_MOST) if kind == _TRIANGLE else U(1)


@njit(inline="always")
def composite(scratch, rows, i, kind, edge, left, top, first, last, above, size):
    """Paints row i beneath what is painted in a tile, and keeps what `pull` needs.

    Args:
        scratch: flat float32, with the planes of `layout`.
        rows: (N, W) the kernel's rows.
        i: index of the row.
        kind: code of its primitive.
        edge: code of the falloff.
        left: of the tile, pixels.
        top: of the tile, pixels.
        first: index of the first pixel in the planes.
        last: past the last; a multiple of LANES after the first.
        above: offset of the planes kept, less `first`.
        size: distance between these planes, floats.
    """
    if kind == _CIRCLE and edge == _LINEAR:
        _CIRCLES.composite(scratch, rows, i, left, top, first, last, above, size)
    else:
        _composite_others(scratch, rows, i, kind, left, top, first, last, above, size)


@njit
def _composite_others(scratch, rows, i, kind, left, top, first, last, above, size):
    """`composite` of all but linear circles; only their code is worth inlining."""
    if kind == _ELLIPSE:
        _ELLIPSES.composite(scratch, rows, i, left, top, first, last, above, size)
    elif kind == _STROKE:
        _STROKES.composite(scratch, rows, i, left, top, first, last, above, size)
    elif kind == _TRIANGLE:
        _TRIANGLES.composite(scratch, rows, i, left, top, first, last, above, size)
    else:
        _LOGISTICS.composite(scratch, rows, i, left, top, first, last, above, size)


@njit(inline="always")
def pull(scratch, rows, i, kind, edge, left, top, first, last, above, size, results, slot):
    """The backward pass of an entry: stores the sums that `apply_chain_rules` converts to its gradient.

    For circles the gradient itself. Args as for `composite`, and:
        results: (M, W) float32.
        slot: the row of `results` to fill.
    """
    if kind == _CIRCLE and edge == _LINEAR:
        _CIRCLES.pull(scratch, rows, i, left, top, first, last, above, size, results, slot)
    else:
        _pull_others(scratch, rows, i, kind, left, top, first, last, above, size, results, slot)


@njit
def _pull_others(scratch, rows, i, kind, left, top, first, last, above, size, results, slot):
    """`pull` of all but linear circles."""
    if kind == _ELLIPSE:
        _ELLIPSES.pull(scratch, rows, i, left, top, first, last, above, size, results, slot)
    elif kind == _STROKE:
        _STROKES.pull(scratch, rows, i, left, top, first, last, above, size, results, slot)
    elif kind == _TRIANGLE:
        _TRIANGLES.pull(scratch, rows, i, left, top, first, last, above, size, results, slot)
    else:
        _LOGISTICS.pull(scratch, rows, i, left, top, first, last, above, size, results, slot)


@njit
def fill(buffer, px, py, covered, first, last, rows, i, kind, edge, left, top):
    """Fills the plane of coverages at the pixels first..last.

    Args as for `composite`, and:
        buffer: flat float32, which holds all planes.
        px: offset of the plane of pixel-centre x.
        py: offset of the plane of pixel-centre y.
        covered: offset of the plane to fill.
    """
    if kind == _ELLIPSE:
        _ELLIPSES.fill(buffer, px, py, covered, first, last, rows, i, left, top)
    elif kind == _STROKE:
        _STROKES.fill(buffer, px, py, covered, first, last, rows, i, left, top)
    elif kind == _TRIANGLE:
        _TRIANGLES.fill(buffer, px, py, covered, first, last, rows, i, left, top)
    elif edge == _LINEAR:
        _CIRCLES.fill(buffer, px, py, covered, first, last, rows, i, left, top)
    else:
        _LOGISTICS.fill(buffer, px, py, covered, first, last, rows, i, left, top)
