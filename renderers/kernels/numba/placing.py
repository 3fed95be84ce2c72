"""Placing new rows on top of a picture: best colour and opacity, exact gain, lazy greedy choice.

A new topmost row with coverage m, colour c and opacity α adds α m (c - C) to the composite C. With the
difference d = t - C to the target t and pixel shares w, it lowers the loss by

    2 α (c Σ w m d - Σ w m d C) - α² (c² Σ w m² - 2 c Σ w m² C + Σ w m² C²),   summed over channels:

quadratic in c for a given α and in α for a given c, so that five sums over its pixels give both alternately.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...canvas import Canvas
from ...primitives.base import SHAPE
from ...primitives.falloff import FALLOFFS
from ...row_layout import check_finite
from .candidates import CELL, COMPOSITE, LINES, PLANES, SHARES, TARGET, choose
from .shapes.dispatch import packed
from .simd import LANES

Array = np.ndarray[Any, Any]


def place(
    image: Array,
    canvas: Canvas,
    target: Array,
    shares: Array,
    candidates: Array,
    kinds: Array,
    costs: Array,
    count: int,
    opacity_min: float,
) -> tuple[Array, Array]:
    """See `kernels.base.Kernel.place`.

    Lazy greedy (Minoux, Accelerated greedy algorithms, 1978): a gain is recomputed only when its candidate reaches
    the top of the heap and a row was painted near it since. A gain that rises by painting another candidate is
    therefore noticed late; plain greedy notices it at once, at many times the cost and about the same loss.
    """
    chosen, rows = _place_or_colour(image, canvas, target, shares, candidates, kinds, costs, count, opacity_min)
    return chosen, rows[chosen]


def coloured(image: Array, canvas: Canvas, target: Array, shares: Array, rows: Array, kinds: Array) -> Array:
    """See `kernels.base.Kernel.coloured`."""
    return _place_or_colour(image, canvas, target, shares, rows, kinds, np.ones(len(rows), np.float32), 0, 1.0)[1]


def _place_or_colour(
    image: Array, canvas: Canvas, target: Array, shares: Array,
    candidates: Array, kinds: Array, costs: Array, count: int, opacity_min: float,
) -> tuple[Array, Array]:  # fmt: skip
    """Indices of the painted candidates, and all candidates with their fitted colours and opacities."""
    rows = np.array(candidates, np.float32)
    check_finite(rows)
    packed_rows, codes = packed(rows, kinds)
    chosen = np.empty(min(count, len(rows)), np.int64)
    painted_at = np.zeros((-(-canvas.height // CELL), -(-canvas.width // CELL)), np.int32)
    costs = np.require(costs, np.float32, ["C", "W"])
    buffers = _buffers(image, canvas, target, shares)
    size = len(rows)
    scratch = np.empty(size, np.float32), np.empty(size, np.float32), np.zeros(size, np.int32), np.empty(size, np.int64)
    painted_count = choose(*buffers, packed_rows, codes, costs, np.float32(opacity_min), painted_at, *scratch, chosen)
    chosen = chosen[:painted_count]
    rows[:, :SHAPE] = packed_rows[:, :SHAPE]
    return chosen, rows


def _buffers(image: Array, canvas: Canvas, target: Array, shares: Array) -> tuple[Array, Array, int, int, int, int]:
    """The first arguments of `choose`: planes, lines, height, width, padded width, and the code of the falloff."""
    padded = canvas.width + 2 * LANES  # a vector may extend past the right end of a row
    planes = np.zeros((PLANES, canvas.height, padded), np.float32)
    planes[COMPOSITE : COMPOSITE + 3, :, : canvas.width] = np.moveaxis(image, 2, 0)
    planes[TARGET : TARGET + 3, :, : canvas.width] = target
    planes[SHARES, :, : canvas.width] = shares
    line = np.zeros((LINES, padded), np.float32)
    line[0] = np.arange(padded, dtype=np.float32) + 0.5
    return planes.reshape(-1), line.reshape(-1), canvas.height, canvas.width, padded, FALLOFFS[canvas.edge].code
