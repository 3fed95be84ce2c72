"""The inner loops of the CPU renderer: everything that one tile needs, while it lies in the cache.

Rules of this file, each worth a factor when broken (measured on two AVX2 cores):

- indices are unsigned (`_U`): a possibly negative index gets a wrap-around select;
- one flat float32 scratch with constant plane offsets, eight pixels of a plane at a time (`simd`);
- a loop runs over all touched pixel rows of a tile at once, so that sums stay vectors until its end;
- coverage and compositing are separate loops: as fast as a fused one, and a primitive is then only a pair of loops
  (`shapes.dispatch.cover` and `pull`) that write and read a plane of coverages.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from .cache import compiled
from .shapes.dispatch import cover, planes_kept, pull, touched
from .shapes.layout import TILE, A, B, G, R
from .simd import LANES, greatest, largest, load, pack, spread, store, store_row, total

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
_FLOOR, _PULL_FLOOR = _F(TRANSMITTANCE_FLOOR), _F(PULL_FLOOR)

# Planes of the scratch, AREA floats each. The three colour planes hold the composite on the way down and
# dL/dC on the way up; LIGHT holds the transmittance on the way down and g·(composite beneath) on the way up.
# The composite beneath (BR, BG, BB) and the shares are planes of their own: `_weigh` needs them beside the gradient.
_LIGHT, _CR, _CG, _CB, _PX, _PY, _BR, _BG, _BB, _SHARE = (_U(k * AREA) for k in range(10))
PLANES = 10
_SECOND_LIGHT = _BR  # on the way down, before the composite beneath is needed
# Behind them, for each entry visited and only for the pixels that it touches: its coverage, the transmittance above
# it (later dL/da), and what its shape keeps for the way up (which costs more to compute again than to keep).
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


@njit(inline="always")
def _touched_before(s, visited):
    """The pixels that an entry touches, as `_descend` noted them."""
    at = _U(s.shape[0]) - _U(2) * visited
    return _U(s[at - _U(1)]), _U(s[at - _U(2)])


@njit(nogil=True)
def _is_dark(s, plane, floor):
    most = load(s, plane)
    for p in range(_LANES, _AREA, _LANES):
        most = greatest(most, load(s, plane + p))
    return largest(most) < floor


@njit(nogil=True, error_model="numpy")
def _descend(s, mode, rows, kinds, edge, entry_rows, first_entry, last_entry, left, top):
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
        kind = kinds[i]
        first, last = touched(rows, i, kind, edge, left, top)
        size = last - first
        covered = cursor - first
        above = covered + size
        if mode != RENDER:
            cursor += planes_kept(kind) * size
            at = _U(s.shape[0]) - _U(2) * visited
            s[at - _U(1)], s[at - _U(2)] = _F(first), _F(last)
        cover(s, _PX, _PY, covered, above + size, size, first, last, rows, i, kind, edge, left, top)
        opacity = spread(rows[i, A])
        red, green, blue = spread(rows[i, R]), spread(rows[i, G]), spread(rows[i, B])
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
def _ascend(s, rows, kinds, edge, entry_rows, entry_slots, last_entry, visited, cursor, left, top, results):
    """The backward pass, back to front, over the entries that `_descend` visited. No division by light."""
    while visited > _U(0):
        visited -= _U(1)
        entry = last_entry - _U(1) - visited
        i = _U(entry_rows[entry])
        kind = kinds[i]
        first, last = _touched_before(s, visited)
        size = last - first
        cursor -= planes_kept(kind) * size
        covered = cursor - first
        above = covered + size
        opacity = spread(rows[i, A])
        red, green, blue = spread(rows[i, R]), spread(rows[i, G]), spread(rows[i, B])
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
        pull(
            s, _PX, _PY, covered, above, above + size, size, first, last, rows, i, kind, edge, left, top,
            by_red, by_green, by_blue, by_opacity, results, _U(entry_slots[entry]),
        )  # fmt: skip


@njit(nogil=True, error_model="numpy")
def _weigh(s, rows, kinds, entry_rows, entry_slots, last_entry, visited, cursor, results):
    """The exact rise of the loss if each row were taken out, back to front, beside the composite beneath.

    With e the error, w a pixel's share and d = T a (c - B) what the row adds to the picture, taking it out
    changes the loss by the sum of w (|e - d|² - |e|²) = -g·d + w |d|², where g = 2 w e = dL/dC.
    """
    while visited > _U(0):
        visited -= _U(1)
        entry = last_entry - _U(1) - visited
        i = _U(entry_rows[entry])
        first, last = _touched_before(s, visited)
        cursor -= planes_kept(kinds[i]) * (last - first)
        covered = cursor - first
        above = covered + (last - first)
        opacity = spread(rows[i, A])
        red, green, blue = spread(rows[i, R]), spread(rows[i, G]), spread(rows[i, B])
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
        values = pack(worth, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO)
        store_row(results, _U(entry_slots[entry]), _U(0), values)


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
    mode, flags, width, height, tiles_x, first_tile_row, edge, rows, kinds, starts, entry_rows, entry_slots,
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
        edge: code of the falloff.
        rows: (N, W) float32, as `shapes.layout` says.
        kinds: (N,) uint8, codes of primitives.
        starts: (tiles in the band + 1,) int64.
        entry_rows: (M,) int32.
        entry_slots: (M,) int32.
        background: (3,) float32.
        target: (3 H W,) float32, plane by plane: the target (LOSS, WORTH) or dL/dimage (PULL); not read by RENDER.
        shares: (H W,) float32: each pixel's share of the loss (LOSS, WORTH); else not read.
        image: (H, W, 3) float32, filled by RENDER.
        results: (M, W) float32, filled by slot: what `pull` stores (LOSS, PULL), or worth in column 0 (WORTH).
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
        visited, cursor = _descend(s, mode, rows, kinds, edge, entry_rows, first_entry, last_entry, left, top)

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
            for half in range(_U(0), _U(results.shape[1]), _LANES):
                store_row(results, _U(entry_slots[entry]), half, spread(_ZERO))

        start, plane = _U(y0 * width + x0), _U(width * height)
        if across == _U(TILE) and down == _U(TILE):
            sums = _turn(s, mode, background, start, _U(width), plane, target, shares)
        else:
            sums = _turn_at_border(s, mode, background, start, _U(width), plane, target, shares, across, down)
        tile_sums[tile, 0], tile_sums[tile, 1], tile_sums[tile, 2], tile_sums[tile, 3] = sums

        if mode == WORTH:
            for p in range(_AREA):
                s[_BR + p], s[_BG + p], s[_BB + p] = back_r, back_g, back_b
            _weigh(s, rows, kinds, entry_rows, entry_slots, last_entry, visited, cursor, results)
        else:
            _ascend(s, rows, kinds, edge, entry_rows, entry_slots, last_entry, visited, cursor, left, top, results)
    _fetch_add(flags, np.int64(LEFT), np.int64(1))
    return False


def scratch_size(mode, deepest, each):
    """Floats of the scratch for tiles of at most so many entries; what is only drawn of an entry is not kept.

    Args:
        mode: as of `paint_tiles`.
        deepest: entries.
        each: the most planes that an entry keeps; see `shapes.dispatch.planes_of`.
    """
    if mode == RENDER:
        return (PLANES + each) * AREA
    # At the end, for each entry, which pixels it touches.
    return (PLANES + each * deepest) * AREA + 2 * deepest
