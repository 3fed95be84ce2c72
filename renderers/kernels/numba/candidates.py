"""The compiled loops of placing: what a circle on top would gain, and which of many to paint first."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ...primitives.base import BLUE, OPACITY, RED, SHAPE, SOFTNESS
from ...primitives.falloff import LOGISTIC
from .cache import compiled
from .shapes.circle import reach as reach_of
from .sigmoid import sigmoid
from .simd import LANES, clamp, inverse_square_root, load, spread, store, total

# Planes of the flat buffer, each (H, padded W): the composite's and the target's red, green and blue, the
# pixels' shares, and the centre of each pixel along its row.
COMPOSITE, TARGET, SHARES, CENTRES = 0, 3, 6, 7
PLANES = 8
# Side of the cells (pixels) in which it is noted when something was last painted there.
CELL = 8

_F = np.float32
_U = np.uintp
_ZERO, _HALF, _ONE, _TINY = _F(0), _F(0.5), _F(1), _F(1e-12)
_LANES = _U(LANES)
_LOGISTIC = LOGISTIC.code
_X, _Y, _RED, _BLUE, _OPACITY, _SOFTNESS, _RADIUS = SHAPE, SHAPE + 1, RED, BLUE, OPACITY, SOFTNESS, SHAPE + 2


@njit(inline="always")
def _box(x, y, reach, height, width):
    """First and past-last pixel column and row of a disc's bounding box on the canvas."""
    left = min(max(math.floor(x - reach), 0), width)
    right = max(min(math.ceil(x + reach), width), left)
    top = min(max(math.floor(y - reach), 0), height)
    bottom = max(min(math.ceil(y + reach), height), top)
    return left, right, top, bottom


@njit(inline="always")
def _cover(edge, dx, dy2, radius, softness):
    """Coverage of eight pixels; the formulas of `falloff`. `softness` is 1/2s (linear) or 1/s (logistic)."""
    d2 = dx * dx + dy2
    if edge == _LOGISTIC:
        covered = sigmoid((radius * radius - d2) * softness)
    else:
        covered = clamp(spread(_HALF) + (radius - d2 * inverse_square_root(d2)) * softness)
    return covered


@njit(nogil=True, error_model="numpy")
def _gain(planes, height, width, padded, edge, rows, i, opacity_min):
    """How much row i on top lowers the loss; sets its colour and opacity to the best within their limits."""
    x, y, radius, softness = rows[i, _X], rows[i, _Y], rows[i, _RADIUS], rows[i, _SOFTNESS]
    left, right, top, bottom = _box(x, y, reach_of(rows, i, edge), height, width)
    plane = _U(height * padded)
    # Sums over pixels of w m d, w m d C, w m² C (a channel each), w m² C² (all channels), w m².
    md_r = md_g = md_b = mdc = mmc_r = mmc_g = mmc_b = mmcc = mm = spread(_ZERO)
    slope = spread(_ONE / softness if edge == _LOGISTIC else _HALF / softness)
    radius8, x8 = spread(radius), spread(x)
    for row in range(top, bottom):
        dy = _F(row) + _HALF - y
        dy2 = spread(dy * dy + _TINY)
        start = _U(row * padded + left)
        for p in range(start, start + _U(right - left), _LANES):
            m = _cover(edge, load(planes, _U(CENTRES) * plane + p) - x8, dy2, radius8, slope)
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
    if weight <= _ZERO or rows[i, _OPACITY] <= _ZERO:
        return _ZERO
    along = (total(md_r), total(md_g), total(md_b))
    beneath = (total(mmc_r), total(mmc_g), total(mmc_b))
    along_beneath, beneath2 = total(mdc), total(mmcc)
    opacity_max = rows[i, _OPACITY]
    opacity = opacity_max
    gain = pull = push = _ZERO
    for turn in range(1 if opacity_min >= opacity_max else 3):
        if turn > 0:
            best = pull / push if push > _ZERO else opacity_max
            opacity = min(max(best, opacity_min), opacity_max)
        pull, push = -along_beneath, beneath2
        for k in range(3):
            colour = min(max((along[k] / opacity + beneath[k]) / weight, _ZERO), _ONE)
            rows[i, _RED + k] = colour
            pull += colour * along[k]
            push += colour * (colour * weight - _F(2) * beneath[k])
        gain = opacity * (_F(2) * pull - opacity * push)
    rows[i, _OPACITY] = opacity
    return gain


@compiled(error_model="numpy")
def colour(planes, height, width, padded, edge, rows):
    """Gives rows the best colours at their own opacities; see `placing.PlacingBoard.coloured`."""
    for i in range(rows.shape[0]):
        _gain(planes, height, width, padded, edge, rows, i, rows[i, _OPACITY])


@njit(nogil=True, error_model="numpy")
def _paint(planes, height, width, padded, edge, rows, i):
    """Paints row i over the composite."""
    x, y, radius, softness = rows[i, _X], rows[i, _Y], rows[i, _RADIUS], rows[i, _SOFTNESS]
    left, right, top, bottom = _box(x, y, reach_of(rows, i, edge), height, width)
    plane = _U(height * padded)
    slope = spread(_ONE / softness if edge == _LOGISTIC else _HALF / softness)
    opacity, radius8, x8 = spread(rows[i, _OPACITY]), spread(radius), spread(x)
    red, green, blue = spread(rows[i, _RED]), spread(rows[i, _RED + 1]), spread(rows[i, _BLUE])
    for row in range(top, bottom):
        dy = _F(row) + _HALF - y
        dy2 = spread(dy * dy + _TINY)
        start = _U(row * padded + left)
        for p in range(start, start + _U(right - left), _LANES):
            a = opacity * _cover(edge, load(planes, _U(CENTRES) * plane + p) - x8, dy2, radius8, slope)
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
def choose(planes, height, width, padded, edge, rows, opacity_min, stamps, chosen):
    """Paints candidates, each time the one with the largest gain; see `placing.PlacingBoard.choose`.

    Args:
        planes: flat float32 buffer of PLANES planes of (height, padded).
        height: pixel rows.
        width: pixels of a row that are on the canvas.
        padded: pixels of a row in memory, at least width + LANES.
        edge: an edge code.
        rows: (M, P) float32 candidates; their colours and opacities are filled in.
        opacity_min: the least opacity that a candidate may be given; its own is the most.
        stamps: (cells down, cells across) int32 zeros.
        chosen: (K,) int64, filled with candidate indices in painting order.

    Returns:
        How many were painted.
    """
    size = rows.shape[0]
    most = rows[:, _OPACITY].copy()
    gains = np.empty(size, np.float32)
    seen = np.zeros(size, np.int32)  # how many had been painted when the gain was computed
    heap = np.empty(size, np.int64)
    for i in range(size):
        gains[i] = _gain(planes, height, width, padded, edge, rows, i, opacity_min)
        heap[i] = i
    for k in range(size // 2 - 1, -1, -1):
        _sift_down(heap, gains, size, k)
    painted = 0
    while painted < chosen.shape[0] and size > 0:
        i = heap[0]
        if gains[i] <= 0:
            break
        reach = reach_of(rows, i, edge)
        left, right, top, bottom = _box(rows[i, _X], rows[i, _Y], reach, height, width)
        newest = 0
        for cell_y in range(top // CELL, (bottom + CELL - 1) // CELL):
            for cell_x in range(left // CELL, (right + CELL - 1) // CELL):
                newest = max(newest, stamps[cell_y, cell_x])
        if newest > seen[i]:
            rows[i, _OPACITY] = most[i]
            gains[i] = _gain(planes, height, width, padded, edge, rows, i, opacity_min)
            seen[i] = painted
            _sift_down(heap, gains, size, 0)
            continue
        _paint(planes, height, width, padded, edge, rows, i)
        chosen[painted] = i
        painted += 1
        for cell_y in range(top // CELL, (bottom + CELL - 1) // CELL):
            for cell_x in range(left // CELL, (right + CELL - 1) // CELL):
                stamps[cell_y, cell_x] = painted
        size -= 1
        heap[0] = heap[size]
        _sift_down(heap, gains, size, 0)
    return painted
