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
from ....primitives.stroke import STROKE
from ....primitives.triangle import TRIANGLE
from ..cache import compiled
from . import circle, ellipse, stroke, triangle
from .layout import FAR, HALF, NARROW, ONE, P0, P1, TILE, WIDE, ZERO, F, U

Array = np.ndarray[Any, Any]

_CIRCLE, _ELLIPSE, _STROKE, _TRIANGLE = CIRCLE.code, ELLIPSE.code, STROKE.code, TRIANGLE.code

# Planes that an entry keeps for the backward pass: coverage, transmittance, and those that its shape needs.
PLANES_KEPT = 3
TRIANGLE_PLANES_KEPT = 5
PLANES_KEPT_MOST = 5

# Extents are widened by this much (pixels), so that float32 rounding loses no pixel.
SLACK = F(1e-3)

_LAST_CENTRE = F(TILE - 0.5)


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


@compiled(error_model="numpy")
def pack_rows(rows, kinds, packed):
    """Fills the kernel's rows, (N, WIDE) float32, from the scene's rows, (N, P)."""
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
def apply_chain_rules(rows, kinds, packed, sums):
    """Converts the sums of all rows, (N, WIDE) float64, to gradients with respect to their columns, in place."""
    for i in range(U(rows.shape[0])):
        kind = kinds[i]
        if kind == _ELLIPSE:
            ellipse.apply_chain_rule(rows, packed, i, sums[i])
        elif kind == _STROKE:
            stroke.apply_chain_rule(rows, packed, i, sums[i])
        elif kind == _TRIANGLE:
            triangle.apply_chain_rule(rows, packed, i, sums[i])
        else:
            for k in range(U(NARROW), U(sums.shape[1])):  # not stored by `circle.backward`
                sums[i, k] = 0.0


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
    first = min(int(max(above - top - SLACK + HALF, ZERO)), TILE)
    last = max(min(int(max(below - top + SLACK + HALF, ZERO)), TILE), first)
    if above > below:
        last = first
    return U(first * TILE), U(last * TILE)


def planes_of(kinds: Array) -> int:
    """The largest `planes_kept` of these kinds."""
    return TRIANGLE_PLANES_KEPT if np.any(kinds == _TRIANGLE) else PLANES_KEPT


@njit(inline="always")
def planes_kept(kind):
    """Number of planes that an entry of this kind keeps."""
    return U(TRIANGLE_PLANES_KEPT) if kind == _TRIANGLE else U(PLANES_KEPT)


@njit(inline="always")
def cover(buffer, px, py, covered, kept, size, first, last, rows, i, kind, edge, left, top):
    """Computes the coverage of the pixels first..last, and the planes that `backward` needs.

    Args:
        buffer: flat float32, which holds all planes.
        px: offset of the plane of pixel-centre x, relative to (left, top).
        py: offset of the plane of pixel-centre y.
        covered: offset of the plane of coverages.
        kept: offset of the planes that `backward` reads.
        size: distance between these planes, floats.
        first: index of the first pixel in the planes.
        last: past the last; a multiple of 8 after the first.
        rows: (N, W) the kernel's rows.
        i: index of the row.
        kind: code of its primitive.
        edge: code of the falloff.
        left: subtracted from the row's x.
        top: subtracted from the row's y.
    """
    if kind == _CIRCLE:
        circle.cover(buffer, px, py, covered, kept, first, last, rows, i, edge, left, top)
    else:
        _cover_others(buffer, px, py, covered, kept, size, first, last, rows, i, kind, left, top)


@njit
def _cover_others(buffer, px, py, covered, kept, size, first, last, rows, i, kind, left, top):
    """`cover` of all but circles; only the code of circles is worth inlining."""
    if kind == _ELLIPSE:
        ellipse.cover(buffer, px, py, covered, kept, first, last, rows, i, left, top)
    elif kind == _STROKE:
        stroke.cover(buffer, px, py, covered, kept, first, last, rows, i, left, top)
    else:
        triangle.cover(buffer, px, py, covered, kept, size, first, last, rows, i, left, top)


@njit(inline="always")
def backward(
    buffer, px, py, covered, da, kept, size, first, last, rows, i, kind, edge, left, top,
    red, green, blue, opacity, results, slot,
):  # fmt: skip
    """Stores the sums of an entry that `apply_chain_rules` converts to its gradient; for circles, the gradient itself.

    Args as for `cover`, and:
        da: offset of the plane of dL/da.
        red: sums for the entry's paint, eight lanes each; also green, blue and opacity.
        results: (M, W) float32.
        slot: the row of `results` to fill.
    """
    if kind == _CIRCLE:
        circle.backward(
            buffer, px, py, covered, da, kept, first, last, rows, i, edge, left, top,
            red, green, blue, opacity, results, slot,
        )  # fmt: skip
    else:
        _backward_of_others(
            buffer, px, py, covered, da, kept, size, first, last, rows, i, kind, left, top,
            red, green, blue, opacity, results, slot,
        )  # fmt: skip


@njit
def _backward_of_others(
    buffer, px, py, covered, da, kept, size, first, last, rows, i, kind, left, top,
    red, green, blue, opacity, results, slot,
):  # fmt: skip
    """`backward` of all but circles."""
    if kind == _ELLIPSE:
        ellipse.backward(
            buffer, px, py, covered, da, kept, first, last, rows, i, left, top, red, green, blue, opacity, results, slot
        )
    elif kind == _STROKE:
        stroke.backward(
            buffer, px, py, covered, da, kept, first, last, rows, i, left, top, red, green, blue, opacity, results, slot
        )
    else:
        triangle.backward(
            buffer, covered, da, kept, size, first, last, rows, i, red, green, blue, opacity, results, slot
        )
