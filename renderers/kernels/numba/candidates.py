"""The compiled loops of placing: what a row on top would gain, and which of many to paint first."""

from __future__ import annotations

import numpy as np
from numba import njit

from .cache import compiled
from .shapes.dispatch import PLANES_KEPT_MOST, box, cover, span
from .shapes.layout import A, B, R
from .simd import LANES, load, spread, store, total

# Planes of the flat buffer, each (H, padded W): the composite's and the target's red, green and blue, the
# pixels' shares.
COMPOSITE, TARGET, SHARES = 0, 3, 6
PLANES = 7
# Lines of the second buffer, each (padded W,): x and y of the pixels' centres, and what `cover` fills.
_ACROSS, _DOWN, _COVERED, _KEPT = range(4)
LINES = 2 + PLANES_KEPT_MOST - 1
# Side of the cells (pixels) in which it is noted when something was last painted there.
CELL = 8

_F = np.float32
_U = np.uintp
_ZERO, _HALF, _ONE = _F(0), _F(0.5), _F(1)
_LANES = _U(LANES)


@njit(inline="always")
def _whole(low, high, size):
    """The first and past-last pixel of a line of `size` whose squares an interval touches."""
    most = _F(size)
    first = int(min(max(low, _ZERO), most))
    last = int(min(max(high + _ONE, _ZERO), most))
    return first, max(first, last)


@njit(error_model="numpy")
def _box(rows, i, kind, edge, height, width):
    """First and past-last pixel column and row of what a row covers on the canvas."""
    left, right, top, bottom = box(rows, i, kind, edge)
    left, right = _whole(left, right, width)
    top, bottom = _whole(top, bottom, height)
    return left, right, top, bottom


@njit(error_model="numpy")
def _cover_line(line, padded, width, rows, i, kind, edge, row):
    """Fills the coverage of a line of pixels; returns the first and past-last pixel that it may reach."""
    y = _F(row) + _HALF
    low, high = span(rows, i, kind, edge, y, y, False)
    if low > high:
        return _U(0), _U(0)
    left, right = _whole(low, high, width)
    first, size = _U(left), _U(padded)
    last = first + (_U(right) - first + _LANES - _U(1)) // _LANES * _LANES
    centre = spread(y)
    for p in range(first, last, _LANES):
        store(line, _U(_DOWN) * size + p, centre)
    cover(
        line, _U(_ACROSS) * size, _U(_DOWN) * size, _U(_COVERED) * size, _U(_KEPT) * size, size,
        first, last, rows, i, kind, edge, _ZERO, _ZERO,
    )  # fmt: skip
    return first, last


@njit(nogil=True, error_model="numpy")
def _gain(planes, line, height, width, padded, edge, rows, kinds, i, opacity_min):
    """How much row i on top lowers the loss; sets its colour and opacity to the best within their limits."""
    kind = kinds[i]
    _, _, top, bottom = _box(rows, i, kind, edge, height, width)
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
    weight = total(mm)
    if weight <= _ZERO or rows[i, A] <= _ZERO:
        return _ZERO
    along = (total(md_r), total(md_g), total(md_b))
    beneath = (total(mmc_r), total(mmc_g), total(mmc_b))
    along_beneath, beneath2 = total(mdc), total(mmcc)
    opacity_max = rows[i, A]
    opacity = opacity_max
    gain = pull = push = _ZERO
    for turn in range(1 if opacity_min >= opacity_max else 3):
        if turn > 0:
            best = pull / push if push > _ZERO else opacity_max
            opacity = min(max(best, opacity_min), opacity_max)
        pull, push = -along_beneath, beneath2
        for k in range(3):
            colour = min(max((along[k] / opacity + beneath[k]) / weight, _ZERO), _ONE)
            rows[i, R + _U(k)] = colour
            pull += colour * along[k]
            push += colour * (colour * weight - _F(2) * beneath[k])
        gain = opacity * (_F(2) * pull - opacity * push)
    rows[i, A] = opacity
    return gain


@njit(nogil=True, error_model="numpy")
def _paint(planes, line, height, width, padded, edge, rows, kinds, i):
    """Paints row i over the composite."""
    kind = kinds[i]
    _, _, top, bottom = _box(rows, i, kind, edge, height, width)
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
def choose(planes, line, height, width, padded, edge, rows, kinds, costs, opacity_min, stamps, chosen):
    """Paints candidates, each time the one with the largest gain; see `placing.place`.

    If none is to be chosen, all get their best colours at their own opacities (`placing.coloured`). (A function of its
    own would take as long to compile as this one.)

    Args:
        planes: flat float32 buffer of PLANES planes of (height, padded).
        line: flat float32 buffer of LINES lines of (padded,); the first holds the x of the pixels' centres.
        height: pixel rows.
        width: pixels of a row that are on the canvas.
        padded: pixels of a row in memory, at least width + 2 LANES.
        edge: code of the falloff.
        rows: (M, W) float32 candidates, as `shapes.layout` says; their colours and opacities are filled in.
        kinds: (M,) uint8, codes of primitives.
        costs: (M,) float32, what each gain is divided by.
        opacity_min: the least opacity that a candidate may be given; its own is the most.
        stamps: (cells down, cells across) int32 zeros.
        chosen: (K,) int64, filled with candidate indices in painting order.

    Returns:
        How many were painted.
    """
    size = rows.shape[0]
    if chosen.shape[0] == 0:
        for i in range(size):
            _gain(planes, line, height, width, padded, edge, rows, kinds, i, rows[i, A])
        return 0
    most = rows[:, A].copy()
    gains = np.empty(size, np.float32)
    seen = np.zeros(size, np.int32)  # how many had been painted when the gain was computed
    heap = np.empty(size, np.int64)
    for i in range(size):
        gains[i] = _gain(planes, line, height, width, padded, edge, rows, kinds, i, opacity_min) / costs[i]
        heap[i] = i
    for k in range(size // 2 - 1, -1, -1):
        _sift_down(heap, gains, size, k)
    painted = 0
    while painted < chosen.shape[0] and size > 0:
        i = heap[0]
        if gains[i] <= 0:
            break
        left, right, top, bottom = _box(rows, i, kinds[i], edge, height, width)
        newest = 0
        for cell_y in range(top // CELL, (bottom + CELL - 1) // CELL):
            for cell_x in range(left // CELL, (right + CELL - 1) // CELL):
                newest = max(newest, stamps[cell_y, cell_x])
        if newest > seen[i]:
            rows[i, A] = most[i]
            gains[i] = _gain(planes, line, height, width, padded, edge, rows, kinds, i, opacity_min) / costs[i]
            seen[i] = painted
            _sift_down(heap, gains, size, 0)
            continue
        _paint(planes, line, height, width, padded, edge, rows, kinds, i)
        chosen[painted] = i
        painted += 1
        for cell_y in range(top // CELL, (bottom + CELL - 1) // CELL):
            for cell_x in range(left // CELL, (right + CELL - 1) // CELL):
                stamps[cell_y, cell_x] = painted
        size -= 1
        heap[0] = heap[size]
        _sift_down(heap, gains, size, 0)
    return painted
