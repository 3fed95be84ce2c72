"""The inner loops of the CPU renderer: everything that one tile needs, while it lies in the cache.

Rules of this file, each worth a factor when broken (measured on two AVX2 cores):

- indices are unsigned (`_U`): a possibly negative index gets a wrap-around select;
- one flat float32 scratch with constant plane offsets, eight pixels of a plane at a time (`simd`);
- a loop runs over all touched pixel rows of a tile at once, so that sums stay vectors until its end;
- coverage and compositing are separate loops: as fast as a fused one, and an edge or a primitive is then
  only a pair of loops (`_cover_*`, `_pull_*`) that write and read a plane of coverages.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from ...primitives.base import BLUE, GREEN, OPACITY, RADIUS, RED, SOFTNESS, X, Y
from ...primitives.falloff import LOGISTIC
from .bins import TILE, support_radius
from .cache import compiled
from .simd import (
    LANES,
    absolute,
    clamp,
    greatest,
    inverse_square_root,
    largest,
    least,
    load,
    pack,
    power_of_half,
    spread,
    store,
    store_row,
    total,
    totals,
    where_partial,
    where_positive,
    whole,
)  # fmt: skip

AREA = TILE * TILE

# What `paint_tiles` does after the forward pass.
RENDER, LOSS, PULL, WORTH = range(4)

# A tile stops going deeper when no pixel lets more than this share of light through. What lies below is
# then missing from the picture by at most this much: the only approximation of this renderer. A gradient
# (or a worth) goes on until the light is out a second time, counted afresh: what an opaque row hides does
# not show, but it decides what that row's opacity is worth.
TRANSMITTANCE_FLOOR = 1e-4
# The same for gradients of a loss that is not ours. What moves by them may make steps of full size from gradients of
# 1e-10, as Adam does, so that rows in the deep count too; it costs a step of the fixed-count baseline a quarter.
PULL_FLOOR = 1e-9

_F = np.float32
_U = np.uintp
_ZERO, _HALF, _ONE = _F(0), _F(0.5), _F(1)
_TINY = _F(1e-12)  # keeps 1/distance finite at the very centre, where the direction is 0 anyway
_FLOOR, _PULL_FLOOR = _F(TRANSMITTANCE_FLOOR), _F(PULL_FLOOR)
_LOGISTIC = LOGISTIC.code
_X, _Y, _RED, _GREEN, _BLUE = _U(X), _U(Y), _U(RED), _U(GREEN), _U(BLUE)
_OPACITY, _SOFTNESS, _RADIUS = _U(OPACITY), _U(SOFTNESS), _U(RADIUS)

# Planes of the scratch, AREA floats each. The three colour planes hold the composite on the way down and
# dL/dC on the way up; LIGHT holds the transmittance on the way down and g·(composite beneath) on the way up.
# The composite beneath (BR, BG, BB) and the shares are planes of their own: `_weigh` needs them beside the gradient.
_LIGHT, _CR, _CG, _CB, _PX, _PY, _BR, _BG, _BB, _SHARE = (_U(k * AREA) for k in range(10))
PLANES = 10
_SECOND_LIGHT = _BR  # on the way down, before the composite beneath is needed
# Behind them, for each entry visited and only for the pixels that it touches: its coverage, the transmittance above
# it (later dL/da), and one over the distance to its centre (which costs more to compute again than to keep).
PLANES_PER_ENTRY = 3
_VISITED = _U(PLANES * AREA)
_AREA = _U(AREA)
_LANES = _U(LANES)


# The words that the threads of one call share.
NEXT_TILE, READY, SCRATCH_SIZE, GAVE_UP, ENTERED, LEFT = range(6)
FLAG_COUNT = 6
# What READY says: the bins are being filled, go on, or there is nothing left to do.
WAIT, GO, DONE = range(3)
# How often a waiting thread looks before it leaves its core to others: for some 50 µs, longer than it takes to bin 2048
# circles or to finish a tile. Without an end, threads that wait would hold up those that they wait for wherever cores
# are short.
SPINS = 12_000

_FLAGS = types.Array(types.int64, 1, "C")


@intrinsic
def _fetch_add(typing_context: Any, flags: Any, index: Any, step: Any) -> Any:
    """Atomically adds to `flags[index]` and gives back what was there."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.atomic_rmw("add", builder.gep(data, [arguments[1]]), arguments[2], "seq_cst")

    return types.int64(_FLAGS, types.int64, types.int64), generate


@intrinsic
def _exchange(typing_context: Any, flags: Any, index: Any, value: Any) -> Any:
    """Atomically writes `flags[index]` and gives back what was there."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.atomic_rmw("xchg", builder.gep(data, [arguments[1]]), arguments[2], "seq_cst")

    return types.int64(_FLAGS, types.int64, types.int64), generate


@intrinsic
def _load(typing_context: Any, flags: Any, index: Any) -> Any:
    """Atomically reads `flags[index]`, in one order with all other reads and writes here."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.load_atomic(builder.gep(data, [arguments[1]]), "seq_cst", 8, typ=ir.IntType(64))

    return types.int64(_FLAGS, types.int64), generate


@njit(inline="always")
def _pause(pace):
    """Takes some 4 ns on any CPU: an addition and a division that wait for the last ones. `pace` stays above 0."""
    return 1.0 / (1.0 + pace)


@njit(nogil=True)
def _wait_for_bins(flags):
    """Spins until `release`, but only for a while; returns whether there is something to draw.

    A thread counts itself as having given up before it looks once more, and `release` writes READY before it looks at
    the count: so either the thread sees GO, or `release` says that it has to be called again. Where one has given up,
    the next one does not spin at all: on a single core they would do so one after the other.
    """
    pace = 1.0
    for _ in range(SPINS):
        ready = _load(flags, np.int64(READY))
        if ready != WAIT:
            return ready == GO
        if _load(flags, np.int64(GAVE_UP)) > 0 or pace < 0.0:
            break
        pace = _pause(pace)
    _fetch_add(flags, np.int64(GAVE_UP), np.int64(1))
    return _load(flags, np.int64(READY)) == GO


@compiled()
def release(flags, scratch_size):
    """Lets the threads that wait for the bins begin; returns whether some have given up waiting.

    Args:
        flags: as `paint_tiles` takes them.
        scratch_size: floats that a thread's scratch has to hold.
    """
    flags[SCRATCH_SIZE] = scratch_size
    _exchange(flags, np.int64(READY), np.int64(GO))
    return _load(flags, np.int64(GAVE_UP)) > 0


@compiled()
def finish(flags):
    """Turns away threads that come late, and spins a while for those at work; returns whether all have left.

    A thread counts itself in before it looks at READY, and this writes READY before it looks at the count: so either
    the thread sees DONE, or it is waited for.
    """
    _exchange(flags, np.int64(READY), np.int64(DONE))
    pace = 1.0
    for _ in range(SPINS):
        left = _load(flags, np.int64(LEFT))  # first: who enters after it was read sees DONE
        if left == _load(flags, np.int64(ENTERED)):
            return True
        if pace < 0.0:
            break
        pace = _pause(pace)
    return False


# 2**f on -1/2..1/2: Taylor terms ln(2)**k / k!; the first one left out is below 1.2e-7 of the value.
_E1, _E2, _E3, _E4, _E5, _E6 = (_F(math.log(2) ** k / math.factorial(k)) for k in range(1, 7))
_LOG2E = _F(1 / math.log(2))
_Z_MAX = _F(80)  # exp(-80) is nothing beside 1, and 2**-115 still a normal float32


@njit(inline="always")
def sigmoid(z):
    """1 / (1 + exp(-z)) to a few float32 ulp."""
    one = spread(_ONE)
    y = least(absolute(z), spread(_Z_MAX)) * spread(_LOG2E)
    n = whole(y + spread(_HALF))
    f = n - y
    e = spread(_E5) + f * spread(_E6)
    e = spread(_E3) + f * (spread(_E4) + f * e)
    e = one + f * (spread(_E1) + f * (spread(_E2) + f * e))
    e = e * power_of_half(n)
    return where_positive(z, one, e) / (one + e)


@njit(inline="always")
def _cover_linear(s, covered, inverses, first, last, x, y, radius, softness):
    slope = spread(_HALF / softness)
    top = spread(_HALF + radius * (_HALF / softness))
    x, y, tiny = spread(x), spread(y), spread(_TINY)
    for p in range(first, last, _LANES):
        dx = load(s, _PX + p) - x
        dy = load(s, _PY + p) - y
        d2 = dx * dx + (dy * dy + tiny)
        inverse = inverse_square_root(d2)
        store(s, inverses + p, inverse)
        store(s, covered + p, clamp(top - d2 * inverse * slope))


@njit(inline="always")
def _pull_linear(s, covered, da, inverses, first, last, x, y):
    """Sums over the ramp of dL/da times the slope's direction: for x, y, softness and radius, unscaled.

    On the ramp, (distance - radius) / 2 softness is 1/2 - m: the softness needs no distance.
    """
    by_x = by_y = by_softness = by_radius = spread(_ZERO)
    x, y = spread(x), spread(y)
    for p in range(first, last, _LANES):
        m = load(s, covered + p)
        v = where_partial(m, load(s, da + p))
        by_radius = by_radius + v
        by_softness = by_softness + v * m
        v = v * load(s, inverses + p)
        by_x = by_x + v * (load(s, _PX + p) - x)
        by_y = by_y + v * (load(s, _PY + p) - y)
    return by_x, by_y, by_radius * spread(_HALF) - by_softness, by_radius


@njit(inline="always")
def _cover_logistic(s, covered, first, last, x, y, radius, softness):
    slope = spread(_ONE / softness)
    top = spread(radius * radius)
    x, y = spread(x), spread(y)
    for p in range(first, last, _LANES):
        dx = load(s, _PX + p) - x
        dy = load(s, _PY + p) - y
        store(s, covered + p, sigmoid((top - (dx * dx + dy * dy)) * slope))


@njit(inline="always")
def _pull_logistic(s, covered, da, first, last, x, y, radius):
    by_x = by_y = by_softness = by_radius = spread(_ZERO)
    x, y, top, one = spread(x), spread(y), spread(radius * radius), spread(_ONE)
    for p in range(first, last, _LANES):
        m = load(s, covered + p)
        v = load(s, da + p) * (m * (one - m))
        dx = load(s, _PX + p) - x
        dy = load(s, _PY + p) - y
        by_radius = by_radius + v
        by_softness = by_softness + v * ((dx * dx + dy * dy) - top)
        by_x = by_x + v * dx
        by_y = by_y + v * dy
    return by_x, by_y, by_softness, by_radius


@njit(nogil=True, fastmath=True, error_model="numpy")
def _touched_pixels(x, y, reach):
    """The first and past-last pixel (row by row) of the tile's rows that a disc around (x, y) touches."""
    sideways = max(_ZERO, _HALF - x, x - _F(TILE - 0.5))  # to the nearest column of pixel centres
    chord = reach * reach - sideways * sideways
    if chord <= _ZERO:
        return _U(0), _U(0)
    half = math.sqrt(chord) + _F(1e-3)  # a rounding error must not cost a pixel row
    # int() of what is not negative, since Numba makes of math.floor and math.ceil calls that cost a tenth of all.
    top = min(int(max(y - half + _HALF, _ZERO)), TILE)
    bottom = max(min(int(max(y + half + _HALF, _ZERO)), TILE), top)
    return _U(top * TILE), _U(bottom * TILE)


@njit(nogil=True)
def _is_dark(s, plane, floor):
    most = load(s, plane)
    for p in range(_LANES, _AREA, _LANES):
        most = greatest(most, load(s, plane + p))
    return largest(most) < floor


@njit(nogil=True, error_model="numpy")
def _descend(s, mode, rows, edge, entry_rows, first_entry, last_entry, left, top):
    """Composites a tile front to back, until all light is out.

    Returns:
        How many entries were visited, and where what is kept of them ends in the scratch.
    """
    floor = _PULL_FLOOR if mode == PULL else _FLOOR
    in_the_dark = False
    for p in range(_U(0), _AREA, _LANES):
        store(s, _LIGHT + p, spread(_ONE))
        store(s, _CR + p, spread(_ZERO))
        store(s, _CG + p, spread(_ZERO))
        store(s, _CB + p, spread(_ZERO))
    visited = _U(0)
    cursor = _VISITED
    entry = last_entry
    while entry > first_entry:
        entry -= _U(1)
        i = _U(entry_rows[entry])
        x = rows[i, _X] - left
        y = rows[i, _Y] - top
        radius = rows[i, _RADIUS]
        softness = rows[i, _SOFTNESS]
        first, last = _touched_pixels(x, y, support_radius(radius, softness, edge))
        covered = cursor - first
        above = covered + (last - first)
        inverses = above + (last - first)
        if mode != RENDER:
            cursor += _U(PLANES_PER_ENTRY) * (last - first)
        if edge == _LOGISTIC:
            _cover_logistic(s, covered, first, last, x, y, radius, softness)
        else:
            _cover_linear(s, covered, inverses, first, last, x, y, radius, softness)
        opacity = spread(rows[i, _OPACITY])
        red, green, blue = spread(rows[i, _RED]), spread(rows[i, _GREEN]), spread(rows[i, _BLUE])
        for p in range(first, last, _LANES):
            light = load(s, _LIGHT + p)
            store(s, above + p, light)
            w = light * (load(s, covered + p) * opacity)
            store(s, _CR + p, load(s, _CR + p) + w * red)
            store(s, _CG + p, load(s, _CG + p) + w * green)
            store(s, _CB + p, load(s, _CB + p) + w * blue)
            store(s, _LIGHT + p, light - w)
        if in_the_dark:
            for p in range(first, last, _LANES):
                light = load(s, _SECOND_LIGHT + p)
                store(s, _SECOND_LIGHT + p, light - light * (load(s, covered + p) * opacity))
        visited += _U(1)
        if visited & _U(7) == _U(0) and _is_dark(s, _SECOND_LIGHT if in_the_dark else _LIGHT, floor):
            if in_the_dark or mode == RENDER:
                break
            in_the_dark = True
            for p in range(_U(0), _AREA, _LANES):
                store(s, _SECOND_LIGHT + p, spread(_ONE))
    return visited, cursor


@njit(nogil=True, error_model="numpy")
def _ascend(s, rows, edge, entry_rows, entry_slots, last_entry, visited, cursor, left, top, results):
    """The backward pass, back to front, over the entries that `_descend` visited. No division by light."""
    while visited > _U(0):
        visited -= _U(1)
        entry = last_entry - _U(1) - visited
        i = _U(entry_rows[entry])
        x = rows[i, _X] - left
        y = rows[i, _Y] - top
        radius = rows[i, _RADIUS]
        softness = rows[i, _SOFTNESS]
        first, last = _touched_pixels(x, y, support_radius(radius, softness, edge))
        cursor -= _U(PLANES_PER_ENTRY) * (last - first)
        covered = cursor - first
        above = covered + (last - first)
        inverses = above + (last - first)
        opacity = spread(rows[i, _OPACITY])
        red, green, blue = spread(rows[i, _RED]), spread(rows[i, _GREEN]), spread(rows[i, _BLUE])
        by_red = by_green = by_blue = by_opacity = spread(_ZERO)
        for p in range(first, last, _LANES):
            m = load(s, covered + p)
            light = load(s, above + p)
            beneath = load(s, _LIGHT + p)
            gr, gg, gb = load(s, _CR + p), load(s, _CG + p), load(s, _CB + p)
            q = gr * red + (gg * green + (gb * blue - beneath))
            da = light * q
            a = m * opacity
            store(s, _LIGHT + p, beneath + a * q)
            store(s, above + p, da)
            w = light * a
            by_red = by_red + w * gr
            by_green = by_green + w * gg
            by_blue = by_blue + w * gb
            by_opacity = by_opacity + m * da
        if edge == _LOGISTIC:
            by_x, by_y, by_softness, by_radius = _pull_logistic(s, covered, above, first, last, x, y, radius)
            slope = rows[i, _OPACITY] / softness
            radius_slope, slope, softness_slope = _F(2) * radius * slope, _F(2) * slope, slope / softness
        else:
            by_x, by_y, by_softness, by_radius = _pull_linear(s, covered, above, inverses, first, last, x, y)
            slope = _HALF * rows[i, _OPACITY] / softness
            radius_slope, softness_slope = slope, rows[i, _OPACITY] / softness
        sums = totals(by_x, by_y, by_red, by_green, by_blue, by_opacity, by_softness, by_radius)
        scales = pack(slope, slope, _ONE, _ONE, _ONE, _ONE, softness_slope, radius_slope)
        store_row(results, _U(entry_slots[entry]), sums * scales)


@njit(nogil=True, error_model="numpy")
def _weigh(s, rows, edge, entry_rows, entry_slots, last_entry, visited, cursor, left, top, results):
    """The exact rise of the loss if each row were taken out, back to front, beside the composite beneath.

    With e the error, w a pixel's share and d = T a (c - B) what the row adds to the picture, taking it out
    changes the loss by the sum of w (|e - d|² - |e|²) = -g·d + w |d|², where g = 2 w e = dL/dC.
    """
    while visited > _U(0):
        visited -= _U(1)
        entry = last_entry - _U(1) - visited
        i = _U(entry_rows[entry])
        reach = support_radius(rows[i, _RADIUS], rows[i, _SOFTNESS], edge)
        first, last = _touched_pixels(rows[i, _X] - left, rows[i, _Y] - top, reach)
        cursor -= _U(PLANES_PER_ENTRY) * (last - first)
        covered = cursor - first
        above = covered + (last - first)
        opacity = spread(rows[i, _OPACITY])
        red, green, blue = spread(rows[i, _RED]), spread(rows[i, _GREEN]), spread(rows[i, _BLUE])
        rise = spread(_ZERO)
        for p in range(first, last, _LANES):
            a = load(s, covered + p) * opacity
            br, bg, bb = load(s, _BR + p), load(s, _BG + p), load(s, _BB + p)
            dr, dg, db = a * (red - br), a * (green - bg), a * (blue - bb)
            store(s, _BR + p, br + dr)
            store(s, _BG + p, bg + dg)
            store(s, _BB + p, bb + db)
            light = load(s, above + p)
            dr, dg, db = dr * light, dg * light, db * light
            along = dr * load(s, _CR + p) + (dg * load(s, _CG + p) + db * load(s, _CB + p))
            rise = rise + (load(s, _SHARE + p) * (dr * dr + (dg * dg + db * db)) - along)
        worth = total(rise)
        store_row(results, _U(entry_slots[entry]), pack(worth, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO))


@njit(nogil=True, error_model="numpy")
def _turn(s, mode, background, start, width, plane, target, shares):
    """Turns from the composite to its gradient, on a tile that lies on the canvas as a whole.

    Fills the colour planes with g = dL/dC, LIGHT with g·background, and SHARE.

    Args:
        s: the scratch.
        mode: LOSS, PULL or WORTH.
        background: (3,) float32.
        start: index of the tile's first pixel in a plane of the canvas.
        width: pixels of the canvas across.
        plane: pixels of the canvas.
        target: (3 H W,) float32, as in `paint_tiles`.
        shares: (H W,) float32, as in `paint_tiles`.

    Returns:
        The tile's part of the loss and of dL/dbackground.
    """
    back_r, back_g, back_b = spread(background[0]), spread(background[1]), spread(background[2])
    loss = by_r = by_g = by_b = spread(_ZERO)
    two = spread(_F(2))
    for p in range(_U(0), _AREA, _LANES):
        at = start + p // _U(TILE) * width + p % _U(TILE)
        light = load(s, _LIGHT + p)
        gr, gg, gb = load(target, at), load(target, plane + at), load(target, _U(2) * plane + at)
        if mode != PULL:
            share = load(shares, at)
            gr = load(s, _CR + p) + light * back_r - gr
            gg = load(s, _CG + p) + light * back_g - gg
            gb = load(s, _CB + p) + light * back_b - gb
            loss = loss + share * (gr * gr + (gg * gg + gb * gb))
            store(s, _SHARE + p, share)
            share = share * two
            gr, gg, gb = gr * share, gg * share, gb * share
        by_r, by_g, by_b = by_r + light * gr, by_g + light * gg, by_b + light * gb
        store(s, _CR + p, gr)
        store(s, _CG + p, gg)
        store(s, _CB + p, gb)
        store(s, _LIGHT + p, gr * back_r + (gg * back_g + gb * back_b))
    return total(loss), total(by_r), total(by_g), total(by_b)


@njit(nogil=True, fastmath=True, error_model="numpy")
def _turn_at_border(s, mode, background, start, width, plane, target, shares, across, down):
    """As `_turn`, on a tile with only `across` x `down` pixels on the canvas; the others have no gradient."""
    loss = by_r = by_g = by_b = _ZERO
    for p in range(_AREA):
        gr = gg = gb = share = _ZERO
        if p % _U(TILE) < across and p // _U(TILE) < down:
            at = start + p // _U(TILE) * width + p % _U(TILE)
            light = s[_LIGHT + p]
            gr, gg, gb = target[at], target[plane + at], target[_U(2) * plane + at]
            if mode != PULL:
                share = shares[at]
                gr = s[_CR + p] + light * background[0] - gr
                gg = s[_CG + p] + light * background[1] - gg
                gb = s[_CB + p] + light * background[2] - gb
                loss += share * (gr * gr + gg * gg + gb * gb)
                gr *= _F(2) * share
                gg *= _F(2) * share
                gb *= _F(2) * share
            by_r += light * gr
            by_g += light * gg
            by_b += light * gb
        s[_SHARE + p] = share
        s[_CR + p], s[_CG + p], s[_CB + p] = gr, gg, gb
        s[_LIGHT + p] = gr * background[0] + gg * background[1] + gb * background[2]
    return loss, by_r, by_g, by_b


@compiled(fastmath=True, error_model="numpy")
def paint_tiles(
    mode, flags, width, height, tiles_x, first_tile_row, edge, rows, starts, entry_rows, entry_slots,
    background, target, shares, image, results, tile_sums, scratch,
):  # fmt: skip
    """Draws tiles of a band, claimed one after the other, until none is left.

    A thread may come while the bins are still being filled: it spins for a while until `release`, which costs less than
    to wake it later.

    Returns:
        Whether nothing was drawn since the scratch is too small: the thread should come again with a larger one.

    Args:
        mode: RENDER, LOSS, PULL or WORTH.
        flags: (FLAG_COUNT,) int64, shared by the threads, zeros before `release`.
        width: pixels across.
        height: pixels down.
        tiles_x: tiles across.
        first_tile_row: the band's first row of tiles.
        edge: an edge code.
        rows: (N, P) float32.
        starts: (tiles in the band + 1,) int64.
        entry_rows: (M,) int32.
        entry_slots: (M,) int32.
        background: (3,) float32.
        target: (3 H W,) float32, plane by plane: the target (LOSS, WORTH) or dL/dimage (PULL); not read by RENDER.
        shares: (H W,) float32: each pixel's share of the loss (LOSS, WORTH); else not read.
        image: (H, W, 3) float32, filled by RENDER.
        results: (M, 8) float32, filled by slot: gradients (LOSS, PULL), or worth in column 0 (WORTH).
        tile_sums: (tiles in the band, 4) float64, filled: loss, dL/dbackground.
        scratch: float32, one a thread, of at least `scratch_size` of that call. Fastest if it begins with a cache line.
    """
    if not _wait_for_bins(flags):
        return False
    if scratch.shape[0] < flags[SCRATCH_SIZE]:
        return True
    s = scratch
    back_r, back_g, back_b = background[0], background[1], background[2]
    tile_count = starts.shape[0] - 1
    for p in range(AREA):
        s[_PX + _U(p)] = _F(p % TILE) + _HALF
        s[_PY + _U(p)] = _F(p // TILE) + _HALF
    _fetch_add(flags, np.int64(ENTERED), np.int64(1))
    while _load(flags, np.int64(READY)) == GO:
        tile = _fetch_add(flags, np.int64(NEXT_TILE), np.int64(1))
        if tile >= tile_count:
            break
        tile_y = tile // tiles_x
        x0 = (tile - tile_y * tiles_x) * TILE
        y0 = (first_tile_row + tile_y) * TILE
        across, down = _U(min(TILE, width - x0)), _U(min(TILE, height - y0))
        left, top = _F(x0), _F(y0)
        first_entry, last_entry = _U(starts[tile]), _U(starts[tile + 1])
        visited, cursor = _descend(s, mode, rows, edge, entry_rows, first_entry, last_entry, left, top)

        if mode == RENDER:
            for j in range(down):
                for i in range(across):
                    p = j * _U(TILE) + i
                    light = s[_LIGHT + p]
                    image[_U(y0) + j, _U(x0) + i, _U(0)] = s[_CR + p] + light * back_r
                    image[_U(y0) + j, _U(x0) + i, _U(1)] = s[_CG + p] + light * back_g
                    image[_U(y0) + j, _U(x0) + i, _U(2)] = s[_CB + p] + light * back_b
            continue

        # Entries that were not visited lie in the dark: neither they nor what they hide is seen.
        for entry in range(first_entry, last_entry - visited):
            store_row(results, _U(entry_slots[entry]), spread(_ZERO))

        start, plane = _U(y0 * width + x0), _U(width * height)
        if across == _U(TILE) and down == _U(TILE):
            sums = _turn(s, mode, background, start, _U(width), plane, target, shares)
        else:
            sums = _turn_at_border(s, mode, background, start, _U(width), plane, target, shares, across, down)
        tile_sums[tile, 0], tile_sums[tile, 1], tile_sums[tile, 2], tile_sums[tile, 3] = sums

        if mode == WORTH:
            for p in range(_AREA):
                s[_BR + p], s[_BG + p], s[_BB + p] = back_r, back_g, back_b
            _weigh(s, rows, edge, entry_rows, entry_slots, last_entry, visited, cursor, left, top, results)
        else:
            _ascend(s, rows, edge, entry_rows, entry_slots, last_entry, visited, cursor, left, top, results)
    _fetch_add(flags, np.int64(LEFT), np.int64(1))
    return False


def scratch_size(mode, deepest):
    """Floats of the scratch for tiles of at most so many entries; what is only drawn of an entry is not kept."""
    return (PLANES + PLANES_PER_ENTRY * (1 if mode == RENDER else deepest)) * AREA
