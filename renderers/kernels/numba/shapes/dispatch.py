"""What the kernel asks of a row, whatever its primitive: a branch on the kind of each entry.

A new primitive adds a branch to each of these functions. Circles alone (`rows` of `NARROW` floats) are drawn as their
columns are; all other scenes are packed first (`pack_rows`) and chained back at the end (`chain_rows`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from ....primitives.circle import CIRCLE
from ....primitives.ellipse import ELLIPSE
from ....primitives.stroke import STROKE
from ....primitives.triangle import TRIANGLE
from ..cache import compiled
from . import circle, ellipse, stroke, triangle
from .layout import FAR, HALF, NARROW, ONE, P0, P1, TILE, WIDE, ZERO, F, U

Array = np.ndarray[Any, Any]

_CIRCLE, _ELLIPSE, _STROKE, _TRIANGLE = CIRCLE.code, ELLIPSE.code, STROKE.code, TRIANGLE.code

# Planes that an entry keeps from the way down: coverage, transmittance, and what its `pull` needs.
PLANES_KEPT = 3
TRIANGLE_PLANES_KEPT = 5
PLANES_KEPT_MOST = 5

# Floats are rounded: extents are widened by this much (pixels), so that no pixel is lost.
SLACK = F(1e-3)

_LAST_CENTRE = F(TILE - 0.5)


def packed(rows: Array, kinds: Array) -> tuple[Array, Array]:
    """Rows as the kernel reads them, (N, NARROW or WIDE) float32, and their kinds, uint8.

    Rows of circles alone are given back as they are.
    """
    codes = np.require(kinds, np.uint8, ["C", "W"])
    if rows.shape[1] == NARROW and not np.any(codes != _CIRCLE):
        return rows, codes
    ready = np.zeros((len(rows), WIDE), np.float32)
    pack_rows(rows, codes, ready)
    return ready, codes


@compiled(error_model="numpy")
def pack_rows(rows, kinds, packed):
    """Fills the kernel's rows, (N, WIDE) float32, from the scene's, (N, P)."""
    for i in range(U(rows.shape[0])):
        for k in range(P0):
            packed[i, k] = rows[i, k]
        kind = kinds[i]
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
def chain_rows(rows, kinds, packed, sums):
    """Turns the sums of all rows, (N, WIDE) float64, into gradients by their columns, in place."""
    for i in range(U(rows.shape[0])):
        kind = kinds[i]
        if kind == _ELLIPSE:
            ellipse.chain(rows, packed, i, sums[i])
        elif kind == _STROKE:
            stroke.chain(rows, packed, i, sums[i])
        elif kind == _TRIANGLE:
            triangle.chain(rows, packed, i, sums[i])
        else:
            for k in range(U(NARROW), U(sums.shape[1])):  # which `circle.pull` does not store
                sums[i, k] = 0.0


@njit(inline="always")
def span(rows, i, kind, edge, low, high, turned):
    """Left and right of what a row covers between the lines y = low and y = high; empty where left > right.

    If turned: top and bottom between the lines x = low and x = high.
    """
    if kind == _CIRCLE:
        left, right = circle.span(rows, i, edge, low, high, turned)
    else:
        left, right = _span_of_others(rows, i, kind, low, high, turned)
    return left, right


@njit
def _span_of_others(rows, i, kind, low, high, turned):
    """`span` of all but circles, which alone are worth the machine code of being measured in place."""
    if kind == _ELLIPSE:
        left, right = ellipse.span(rows, i, low, high, turned)
    elif kind == _STROKE:
        left, right = stroke.span(rows, i, low, high, turned)
    else:
        left, right = triangle.span(rows, i, low, high, turned)
    if left > right:
        return ONE, ZERO
    return left - SLACK, right + SLACK


@njit(inline="always")
def box(rows, i, kind, edge):
    """Left, right, top and bottom of what a row covers."""
    if kind == _CIRCLE:
        x, y, reach = rows[i, P0], rows[i, P1], circle.reach(rows, i, edge)
        left, right, top, bottom = x - reach, x + reach, y - reach, y + reach
    else:
        left, right = _span_of_others(rows, i, kind, -FAR, FAR, False)
        top, bottom = _span_of_others(rows, i, kind, -FAR, FAR, True)
    return left, right, top, bottom


@njit(inline="always")
def touched(rows, i, kind, edge, left, top):
    """The first and past-last pixel (row by row) of a tile's rows that a row of the scene touches.

    Args:
        rows: (N, W) the kernel's rows.
        i: the row.
        kind: its primitive.
        edge: code of the falloff.
        left: of the tile, pixels.
        top: of the tile, pixels.
    """
    above, below = span(rows, i, kind, edge, left + HALF, left + _LAST_CENTRE, True)
    # int() of what is not negative, since Numba makes of math.floor and math.ceil calls that cost a tenth of all.
    first = min(int(max(above - top - SLACK + HALF, ZERO)), TILE)
    last = max(min(int(max(below - top + SLACK + HALF, ZERO)), TILE), first)
    if above > below:
        last = first
    return U(first * TILE), U(last * TILE)


def planes_of(kinds: Array) -> int:
    """The most planes that an entry of rows of these kinds keeps."""
    return TRIANGLE_PLANES_KEPT if np.any(kinds == _TRIANGLE) else PLANES_KEPT


@njit(inline="always")
def planes_kept(kind):
    """How many planes an entry of this kind keeps."""
    return U(TRIANGLE_PLANES_KEPT) if kind == _TRIANGLE else U(PLANES_KEPT)


@njit(inline="always")
def cover(s, px, py, covered, kept, size, first, last, rows, i, kind, edge, left, top):
    """Fills the coverage of the pixels first..last of a buffer, and what `pull` needs of them.

    Args:
        s: flat float32 buffer.
        px: where the plane of the pixels' x begins, relative to (left, top).
        py: the same of their y.
        covered: where the plane of coverages begins.
        kept: where the planes begin that `pull` reads.
        size: floats from one of these planes to the next.
        first: index of the first pixel in the planes.
        last: past the last; a multiple of 8 after the first.
        rows: (N, W) the kernel's rows.
        i: the row.
        kind: its primitive.
        edge: code of the falloff.
        left: subtracted from the row's x.
        top: subtracted from the row's y.
    """
    if kind == _CIRCLE:
        circle.cover(s, px, py, covered, kept, first, last, rows, i, edge, left, top)
    else:
        _cover_others(s, px, py, covered, kept, size, first, last, rows, i, kind, left, top)


@njit
def _cover_others(s, px, py, covered, kept, size, first, last, rows, i, kind, left, top):
    """`cover` of all but circles, which alone are worth the machine code of being drawn in place."""
    if kind == _ELLIPSE:
        ellipse.cover(s, px, py, covered, kept, first, last, rows, i, left, top)
    elif kind == _STROKE:
        stroke.cover(s, px, py, covered, kept, first, last, rows, i, left, top)
    else:
        triangle.cover(s, px, py, covered, kept, size, first, last, rows, i, left, top)


@njit(inline="always")
def pull(
    s, px, py, covered, da, kept, size, first, last, rows, i, kind, edge, left, top,
    red, green, blue, opacity, results, slot,
):  # fmt: skip
    """Stores the sums of an entry, from which `chain_rows` makes its gradient; for a circle the gradient itself.

    Args as of `cover`, and:
        da: where the plane of dL/da begins.
        red: sums of the entry's paint, eight lanes each, with green, blue and opacity.
        results: (M, W) float32.
        slot: the row of `results` to fill.
    """
    if kind == _CIRCLE:
        circle.pull(
            s, px, py, covered, da, kept, first, last, rows, i, edge, left, top,
            red, green, blue, opacity, results, slot,
        )  # fmt: skip
    else:
        _pull_others(
            s, px, py, covered, da, kept, size, first, last, rows, i, kind, left, top,
            red, green, blue, opacity, results, slot,
        )  # fmt: skip


@njit
def _pull_others(
    s, px, py, covered, da, kept, size, first, last, rows, i, kind, left, top,
    red, green, blue, opacity, results, slot,
):  # fmt: skip
    """`pull` of all but circles."""
    if kind == _ELLIPSE:
        ellipse.pull(
            s, px, py, covered, da, kept, first, last, rows, i, left, top, red, green, blue, opacity, results, slot
        )
    elif kind == _STROKE:
        stroke.pull(
            s, px, py, covered, da, kept, first, last, rows, i, left, top, red, green, blue, opacity, results, slot
        )
    else:
        triangle.pull(s, covered, da, kept, size, first, last, rows, i, red, green, blue, opacity, results, slot)
