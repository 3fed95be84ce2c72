"""The compiled loops of placing: the gain of a row on top of a picture, and the greedy choice among many."""

from __future__ import annotations

import numpy as np
from numba import njit

from .cache import compiled
from .shapes.dispatch import box, fill, span
from .shapes.layout import A, B, R
from .simd import LANES, load, spread, store, total

# Planes of the flat buffer, (H, padded W) each: red, green and blue of composite and target, then the pixels' shares.
COMPOSITE, TARGET, SHARES = 0, 3, 6
PLANES = 7
# Lines of the second buffer, (padded W,) each: x and y of pixel centres, and coverages.
_ACROSS, _DOWN, _COVERED = range(3)
LINES = 3
# Side, in pixels, of the cells that record when a row was last painted there.
CELL = 8

_F = np.float32
_U = np.uintp
_ZERO, _HALF, _ONE = _F(0), _F(0.5), _F(1)
_LANES = _U(LANES)


@njit(inline="always")
def _pixel_range(low, high, size):
    """The first and past-last pixel, of `size` along one axis, that an interval touches."""
    limit = _F(size)
    first = int(min(max(low, _ZERO), limit))
    last = int(min(max(high + _ONE, _ZERO), limit))
    return first, max(first, last)


@njit(error_model="numpy")
def _pixel_box(rows, i, kind, edge, height, width):
    """First and past-last pixel column, then pixel row, of the bounding box of a row on the canvas."""
    left, right, top, bottom = box(rows, i, kind, edge)
    left, right = _pixel_range(left, right, width)
    top, bottom = _pixel_range(top, bottom, height)
    return left, right, top, bottom


@njit(error_model="numpy")
def _cover_line(line, padded, width, rows, i, kind, edge, row):
    """Fills the coverage of a pixel row; returns the first and past-last pixel that it may touch."""
    y = _F(row) + _HALF
    low, high = span(rows, i, kind, edge, y, y, False)
    if low > high:
        return _U(0), _U(0)
    left, right = _pixel_range(low, high, width)
    first, size = _U(left), _U(padded)
    last = first + (_U(right) - first + _LANES - _U(1)) // _LANES * _LANES
    centre = spread(y)
    for p in range(first, last, _LANES):
        store(line, _U(_DOWN) * size + p, centre)
    fill(
        line, _U(_ACROSS) * size, _U(_DOWN) * size, _U(_COVERED) * size, first, last, rows, i, kind, edge, _ZERO, _ZERO
    )
    return first, last


@njit(nogil=True, error_model="numpy")
def _best_gain(planes, line, height, width, padded, edge, rows, kinds, i, opacity_min):
    """The gain of row i on top, with its best colour and opacity, which are stored in the row."""
    kind = kinds[i]
    _, _, top, bottom = _pixel_box(rows, i, kind, edge, height, width)
    plane, covered = _U(height * padded), _U(_COVERED) * _U(padded)
    # Sums over pixels of w m d, w m d C, w m² C (a channel each), w m² C² (all channels), w m².
    md_r = md_g = md_b = mdc = mmc_r = mmc_g = mmc_b = mmcc = mm = spread(_ZERO)
    for row in range(top, bottom):
        first, last = _cover_line(line, padded, width, rows, i, kind, edge, row)
        start = _U(row * padded)
        for q in range(first, last, _LANES):
            p = start + q
            m = load(line, covered + q)
            wm = load(planes, _U(SHARES) * plane + p) * m
            wmm = wm * m
            cr, cg, cb = load(planes, p), load(planes, plane + p), load(planes, _U(2) * plane + p)
            dr = wm * (load(planes, _U(3) * plane + p) - cr)
            dg = wm * (load(planes, _U(4) * plane + p) - cg)
            db = wm * (load(planes, _U(5) * plane + p) - cb)
            md_r, md_g, md_b = md_r + dr, md_g + dg, md_b + db
            mdc = mdc + (dr * cr + (dg * cg + db * cb))
            er, eg, eb = wmm * cr, wmm * cg, wmm * cb
            mmc_r, mmc_g, mmc_b = mmc_r + er, mmc_g + eg, mmc_b + eb
            mmcc = mmcc + (er * cr + (eg * cg + eb * cb))
            mm = mm + wmm
    mm_sum = total(mm)
    if mm_sum <= _ZERO or rows[i, A] <= _ZERO:
        return _ZERO
    md_sums = (total(md_r), total(md_g), total(md_b))
    mmc_sums = (total(mmc_r), total(mmc_g), total(mmc_b))
    mdc_sum, mmcc_sum = total(mdc), total(mmcc)
    opacity_max = rows[i, A]
    opacity = opacity_max
    gain = linear = quadratic = _ZERO
    for iteration in range(1 if opacity_min >= opacity_max else 3):
        if iteration > 0:
            best = linear / quadratic if quadratic > _ZERO else opacity_max
            opacity = min(max(best, opacity_min), opacity_max)
        linear, quadratic = -mdc_sum, mmcc_sum
        for k in range(3):
            colour = min(max((md_sums[k] / opacity + mmc_sums[k]) / mm_sum, _ZERO), _ONE)
            rows[i, R + _U(k)] = colour
            linear += colour * md_sums[k]
            quadratic += colour * (colour * mm_sum - _F(2) * mmc_sums[k])
        gain = opacity * (_F(2) * linear - opacity * quadratic)
    rows[i, A] = opacity
    return gain


@njit(nogil=True, error_model="numpy")
def _composite_row(planes, line, height, width, padded, edge, rows, kinds, i):
    """Paints row i over the composite."""
    kind = kinds[i]
    _, _, top, bottom = _pixel_box(rows, i, kind, edge, height, width)
    plane, covered = _U(height * padded), _U(_COVERED) * _U(padded)
    opacity = spread(rows[i, A])
    red, green, blue = spread(rows[i, R]), spread(rows[i, R + _U(1)]), spread(rows[i, B])
    for row in range(top, bottom):
        first, last = _cover_line(line, padded, width, rows, i, kind, edge, row)
        start = _U(row * padded)
        for q in range(first, last, _LANES):
            p = start + q
            a = opacity * load(line, covered + q)
            cr, cg, cb = load(planes, p), load(planes, plane + p), load(planes, _U(2) * plane + p)
            store(planes, p, cr + a * (red - cr))
            store(planes, plane + p, cg + a * (green - cg))
            store(planes, _U(2) * plane + p, cb + a * (blue - cb))


@njit(inline="always")
def _sift_down(heap, gains, size, k):
    while True:
        child = 2 * k + 1
        if child >= size:
            break
        if child + 1 < size and gains[heap[child + 1]] > gains[heap[child]]:
            child += 1
        if gains[heap[child]] <= gains[heap[k]]:
            break
        heap[k], heap[child] = heap[child], heap[k]
        k = child


@compiled(error_model="numpy")
def choose(
    planes, line, height, width, padded, edge, rows, kinds, costs, opacity_min,
    painted_at, opacity_max, gains, computed_at, heap, chosen,
):  # fmt: skip
    """Paints candidates greedily, by their last computed gain; see `placing.place`.

    If `chosen` is empty, all rows get their best colours at their own opacities (`placing.coloured`): a separate
    function would take as long to compile as this one.

    Args:
        planes: flat float32 buffer of PLANES planes of (height, padded).
        line: flat float32 buffer of LINES lines of (padded,); the first holds the x of pixel centres.
        height: pixel rows.
        width: pixels of a row that are on the canvas.
        padded: pixels of a row in memory, at least width + 2 LANES.
        edge: code of the falloff.
        rows: (M, W) float32 candidates, as in `shapes.layout`; their colours and opacities are filled in.
        kinds: (M,) uint8, codes of primitives.
        costs: (M,) float32, divisors of the gains.
        opacity_min: lower limit of the opacity; a candidate's own is its upper limit.
        painted_at: (cells down, cells across) int32 zeros: number of rows painted when a cell was last painted.
        opacity_max: (M,) float32, scratch: the candidates' own opacities.
        gains: (M,) float32, scratch.
        computed_at: (M,) int32 zeros: number of rows painted when a gain was computed.
        heap: (M,) int64, scratch.
        chosen: (K,) int64, filled with candidate indices in painting order.

    Returns:
        The number of painted candidates.
    """
    size = rows.shape[0]
    if chosen.shape[0] == 0:
        for i in range(size):
            _best_gain(planes, line, height, width, padded, edge, rows, kinds, i, rows[i, A])
        return 0
    for i in range(size):
        opacity_max[i] = rows[i, A]
        gains[i] = _best_gain(planes, line, height, width, padded, edge, rows, kinds, i, opacity_min) / costs[i]
        heap[i] = i
    for k in range(size // 2 - 1, -1, -1):
        _sift_down(heap, gains, size, k)
    painted = 0
    while painted < chosen.shape[0] and size > 0:
        i = heap[0]
        if gains[i] <= 0:
            break
        left, right, top, bottom = _pixel_box(rows, i, kinds[i], edge, height, width)
        last_painted = 0
        for cell_y in range(top // CELL, (bottom + CELL - 1) // CELL):
            for cell_x in range(left // CELL, (right + CELL - 1) // CELL):
                last_painted = max(last_painted, painted_at[cell_y, cell_x])
        if last_painted > computed_at[i]:
            rows[i, A] = opacity_max[i]
            gains[i] = _best_gain(planes, line, height, width, padded, edge, rows, kinds, i, opacity_min) / costs[i]
            computed_at[i] = painted
            _sift_down(heap, gains, size, 0)
            continue
        _composite_row(planes, line, height, width, padded, edge, rows, kinds, i)
        chosen[painted] = i
        painted += 1
        for cell_y in range(top // CELL, (bottom + CELL - 1) // CELL):
            for cell_x in range(left // CELL, (right + CELL - 1) // CELL):
                painted_at[cell_y, cell_x] = painted
        size -= 1
        heap[0] = heap[size]
        _sift_down(heap, gains, size, 0)
    return painted
