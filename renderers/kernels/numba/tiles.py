"""The inner loops of the CPU renderer: forward pass, loss and backward pass of one tile while it is in the cache.

Rules of this file; breaking any of them costs a large factor (measured on two AVX2 cores):

- Indices are unsigned (`_U`): a possibly negative index gets a wrap-around select.
- One flat float32 scratch with constant plane offsets, eight pixels of a plane at a time (`simd`).
- A loop runs over all touched pixel rows of a tile at once, so that sums stay vectors until its end.
- Coverage and compositing are separate loops: as fast as a fused one, and a primitive is then only a pair of loops
  (`shapes.dispatch.cover` and `backward`) that write and read a plane of coverages.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from .cache import compiled
from .shapes.dispatch import backward, cover, planes_kept, touched_pixels
from .shapes.layout import TILE, A, B, G, R
from .simd import LANES, greatest, largest, load, pack, spread, store, store_row, total

AREA = TILE * TILE

# What `paint_tiles` does after the forward pass.
RENDER, LOSS, VJP, WORTH = range(4)

# The forward pass of a tile stops once the transmittance of every pixel is below this: the picture is then off by at
# most as much, the only approximation of this renderer. For gradients and worth it continues until a second
# transmittance, started at 1 at that depth, is below it too: rows behind an opaque row are invisible, but the gradient
# of that row's opacity depends on them.
TRANSMITTANCE_FLOOR = 1e-4
# The same for vector-Jacobian products. An optimiser such as Adam takes full steps on gradients of 1e-10, so that deep
# rows matter too. It adds a quarter to a step of the fixed-count baseline.
VJP_FLOOR = 1e-9

_F = np.float32
_U = np.uintp
_ZERO, _HALF, _ONE = _F(0), _F(0.5), _F(1)
_FLOOR, _VJP_FLOOR = _F(TRANSMITTANCE_FLOOR), _F(VJP_FLOOR)

# Planes of the scratch, AREA floats each. The colour planes (CR, CG, CB) hold the composite in the forward pass and
# g = dL/dC in the backward pass. `_leave_one_out` needs g, the composite beneath (BR, BG, BB) and the pixels' shares of
# the loss at once.
_TRANSMITTANCE, _CR, _CG, _CB, _PX, _PY, _BR, _BG, _BB, _SHARE = (_U(k * AREA) for k in range(10))
PLANES = 10
_DOT_BENEATH = _TRANSMITTANCE  # g·(composite beneath), in the backward pass
_SECOND_TRANSMITTANCE = _BR  # in the forward pass
# After the planes, for each visited entry and only for the pixels that it touches: its coverage, the transmittance
# above it (later dL/da), and what the backward pass of its shape needs, where storing is cheaper than recomputing.
_VISITED = _U(PLANES * AREA)
_AREA = _U(AREA)
_LANES = _U(LANES)


# Indices of the flags that the threads of one call share.
NEXT_TILE, READY, SCRATCH_SIZE, GAVE_UP, ENTERED, LEFT = range(6)
FLAG_COUNT = 6
# Values of READY: the bins are being filled, they are ready, or the call is over.
WAIT, GO, DONE = range(3)
# Iterations of a spin-wait: about 50 µs, longer than it takes to bin 2048 circles or to finish a tile. Without a limit,
# waiting threads would take the cores of those that they wait for.
SPIN_LIMIT = 12_000

_FLAGS = types.Array(types.int64, 1, "C")


@intrinsic
def _fetch_add(typing_context: Any, flags: Any, index: Any, step: Any) -> Any:
    """Atomically adds to `flags[index]`; returns its previous value."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.atomic_rmw("add", builder.gep(data, [arguments[1]]), arguments[2], "seq_cst")

    return types.int64(_FLAGS, types.int64, types.int64), generate


@intrinsic
def _exchange(typing_context: Any, flags: Any, index: Any, value: Any) -> Any:
    """Atomically writes `flags[index]`; returns its previous value."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.atomic_rmw("xchg", builder.gep(data, [arguments[1]]), arguments[2], "seq_cst")

    return types.int64(_FLAGS, types.int64, types.int64), generate


@intrinsic
def _load(typing_context: Any, flags: Any, index: Any) -> Any:
    """Atomically reads `flags[index]`, sequentially consistent with the other operations here."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.load_atomic(builder.gep(data, [arguments[1]]), "seq_cst", 8, typ=ir.IntType(64))

    return types.int64(_FLAGS, types.int64), generate


@njit(inline="always")
def _pause(pace):
    """Takes about 4 ns: an addition and a division that depend on the previous call's. `pace` stays above 0."""
    return 1.0 / (1.0 + pace)


@njit(nogil=True)
def _wait_for_bins(flags):
    """Spins until `release`, up to a limit; returns whether the bins are ready.

    A thread increments GAVE_UP before it reads READY a last time, and `release` writes READY before it reads GAVE_UP:
    either the thread sees GO, or `release` reports that it must be woken again. Once a thread has given up, others do
    not spin: on a single core they would spin one after the other.
    """
    pace = 1.0
    for _ in range(SPIN_LIMIT):
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
    """Releases the threads that wait for the bins; returns whether some have given up waiting.

    Args:
        flags: as in `paint_tiles`.
        scratch_size: the least size of a thread's scratch, floats.
    """
    flags[SCRATCH_SIZE] = scratch_size
    _exchange(flags, np.int64(READY), np.int64(GO))
    return _load(flags, np.int64(GAVE_UP)) > 0


@compiled()
def finish(flags):
    """Closes the call to late threads and spins, up to a limit, for active ones; returns whether all have left.

    A thread increments ENTERED before it reads READY, and this writes READY before it reads ENTERED: either the thread
    sees DONE, or it is waited for.
    """
    _exchange(flags, np.int64(READY), np.int64(DONE))
    pace = 1.0
    for _ in range(SPIN_LIMIT):
        left = _load(flags, np.int64(LEFT))  # before ENTERED: a thread that enters later sees DONE
        if left == _load(flags, np.int64(ENTERED)):
            return True
        if pace < 0.0:
            break
        pace = _pause(pace)
    return False


@njit(inline="always")
def _visited_pixels(scratch, visited):
    """First and past-last pixel that an entry touches, as stored by `_composite_front_to_back`."""
    at = _U(scratch.shape[0]) - _U(2) * visited
    return _U(scratch[at - _U(1)]), _U(scratch[at - _U(2)])


@njit(nogil=True)
def _all_below(scratch, plane, floor):
    """Whether all values of a plane are below the floor."""
    largest_values = load(scratch, plane)
    for p in range(_LANES, _AREA, _LANES):
        largest_values = greatest(largest_values, load(scratch, plane + p))
    return largest(largest_values) < floor


@njit(nogil=True, error_model="numpy")
def _composite_front_to_back(scratch, mode, rows, kinds, edge, entry_rows, first_entry, last_entry, left, top):
    """Composites a tile front to back, until the transmittance is below the floor.

    Returns:
        The number of visited entries, and the end of their planes in the scratch.
    """
    floor = _VJP_FLOOR if mode == VJP else _FLOOR
    is_below_floor = False
    for p in range(_U(0), _AREA, _LANES):
        store(scratch, _TRANSMITTANCE + p, spread(_ONE))
        store(scratch, _CR + p, spread(_ZERO))
        store(scratch, _CG + p, spread(_ZERO))
        store(scratch, _CB + p, spread(_ZERO))
    visited = _U(0)
    cursor = _VISITED
    entry = last_entry
    while entry > first_entry:
        entry -= _U(1)
        i = _U(entry_rows[entry])
        kind = kinds[i]
        first, last = touched_pixels(rows, i, kind, edge, left, top)
        size = last - first
        covered = cursor - first
        above = covered + size
        if mode != RENDER:
            cursor += planes_kept(kind) * size
            at = _U(scratch.shape[0]) - _U(2) * visited
            scratch[at - _U(1)], scratch[at - _U(2)] = _F(first), _F(last)
        cover(scratch, _PX, _PY, covered, above + size, size, first, last, rows, i, kind, edge, left, top)
        opacity = spread(rows[i, A])
        red, green, blue = spread(rows[i, R]), spread(rows[i, G]), spread(rows[i, B])
        for p in range(first, last, _LANES):
            transmittance = load(scratch, _TRANSMITTANCE + p)
            store(scratch, above + p, transmittance)
            w = transmittance * (load(scratch, covered + p) * opacity)
            store(scratch, _CR + p, load(scratch, _CR + p) + w * red)
            store(scratch, _CG + p, load(scratch, _CG + p) + w * green)
            store(scratch, _CB + p, load(scratch, _CB + p) + w * blue)
            store(scratch, _TRANSMITTANCE + p, transmittance - w)
        if is_below_floor:
            for p in range(first, last, _LANES):
                transmittance = load(scratch, _SECOND_TRANSMITTANCE + p)
                w = transmittance * (load(scratch, covered + p) * opacity)
                store(scratch, _SECOND_TRANSMITTANCE + p, transmittance - w)
        visited += _U(1)
        plane = _SECOND_TRANSMITTANCE if is_below_floor else _TRANSMITTANCE
        if visited & _U(7) == _U(0) and _all_below(scratch, plane, floor):
            if is_below_floor or mode == RENDER:
                break
            is_below_floor = True
            for p in range(_U(0), _AREA, _LANES):
                store(scratch, _SECOND_TRANSMITTANCE + p, spread(_ONE))
    return visited, cursor


@njit(nogil=True, error_model="numpy")
def _backward_back_to_front(
    scratch, rows, kinds, edge, entry_rows, entry_slots, last_entry, visited, cursor, left, top, results
):
    """The backward pass over the visited entries, back to front, without division by the transmittance."""
    while visited > _U(0):
        visited -= _U(1)
        entry = last_entry - _U(1) - visited
        i = _U(entry_rows[entry])
        kind = kinds[i]
        first, last = _visited_pixels(scratch, visited)
        size = last - first
        cursor -= planes_kept(kind) * size
        covered = cursor - first
        above = covered + size
        opacity = spread(rows[i, A])
        red, green, blue = spread(rows[i, R]), spread(rows[i, G]), spread(rows[i, B])
        by_red = by_green = by_blue = by_opacity = spread(_ZERO)
        for p in range(first, last, _LANES):
            m = load(scratch, covered + p)
            transmittance = load(scratch, above + p)
            beneath = load(scratch, _DOT_BENEATH + p)
            gr, gg, gb = load(scratch, _CR + p), load(scratch, _CG + p), load(scratch, _CB + p)
            q = gr * red + (gg * green + (gb * blue - beneath))
            da = transmittance * q
            a = m * opacity
            store(scratch, _DOT_BENEATH + p, beneath + a * q)
            store(scratch, above + p, da)
            w = transmittance * a
            by_red = by_red + w * gr
            by_green = by_green + w * gg
            by_blue = by_blue + w * gb
            by_opacity = by_opacity + m * da
        backward(
            scratch, _PX, _PY, covered, above, above + size, size, first, last, rows, i, kind, edge, left, top,
            by_red, by_green, by_blue, by_opacity, results, _U(entry_slots[entry]),
        )  # fmt: skip


@njit(nogil=True, error_model="numpy")
def _leave_one_out(scratch, rows, kinds, entry_rows, entry_slots, last_entry, visited, cursor, results):
    """The leave-one-out worth of each visited row: the exact rise of the loss without it. Back to front.

    With e the error, w a pixel's share, B the composite beneath and d = T a (c - B) what the row adds to the picture,
    removing it changes the loss by the sum of w (|e - d|² - |e|²) = -g·d + w |d|², where g = 2 w e = dL/dC.
    """
    while visited > _U(0):
        visited -= _U(1)
        entry = last_entry - _U(1) - visited
        i = _U(entry_rows[entry])
        first, last = _visited_pixels(scratch, visited)
        cursor -= planes_kept(kinds[i]) * (last - first)
        covered = cursor - first
        above = covered + (last - first)
        opacity = spread(rows[i, A])
        red, green, blue = spread(rows[i, R]), spread(rows[i, G]), spread(rows[i, B])
        rise = spread(_ZERO)
        for p in range(first, last, _LANES):
            a = load(scratch, covered + p) * opacity
            br, bg, bb = load(scratch, _BR + p), load(scratch, _BG + p), load(scratch, _BB + p)
            dr, dg, db = a * (red - br), a * (green - bg), a * (blue - bb)
            store(scratch, _BR + p, br + dr)
            store(scratch, _BG + p, bg + dg)
            store(scratch, _BB + p, bb + db)
            transmittance = load(scratch, above + p)
            dr, dg, db = dr * transmittance, dg * transmittance, db * transmittance
            along = dr * load(scratch, _CR + p) + (dg * load(scratch, _CG + p) + db * load(scratch, _CB + p))
            rise = rise + (load(scratch, _SHARE + p) * (dr * dr + (dg * dg + db * db)) - along)
        worth = total(rise)
        values = pack(worth, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO)
        store_row(results, _U(entry_slots[entry]), _U(0), values)


@njit(nogil=True, error_model="numpy")
def _loss_gradient_of_tile(scratch, mode, background, start, width, plane, target, shares):
    """The loss and its gradient on a tile that lies entirely on the canvas.

    Replaces the composite in the colour planes by g = dL/dC; fills DOT_BENEATH with g·background, and SHARE.

    Args:
        scratch: the thread's planes.
        mode: LOSS, VJP or WORTH.
        background: (3,) float32.
        start: index of the tile's first pixel in a plane of the canvas.
        width: of the canvas, pixels.
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
        transmittance = load(scratch, _TRANSMITTANCE + p)
        gr, gg, gb = load(target, at), load(target, plane + at), load(target, _U(2) * plane + at)
        if mode != VJP:
            share = load(shares, at)
            gr = load(scratch, _CR + p) + transmittance * back_r - gr
            gg = load(scratch, _CG + p) + transmittance * back_g - gg
            gb = load(scratch, _CB + p) + transmittance * back_b - gb
            loss = loss + share * (gr * gr + (gg * gg + gb * gb))
            store(scratch, _SHARE + p, share)
            share = share * two
            gr, gg, gb = gr * share, gg * share, gb * share
        by_r, by_g, by_b = by_r + transmittance * gr, by_g + transmittance * gg, by_b + transmittance * gb
        store(scratch, _CR + p, gr)
        store(scratch, _CG + p, gg)
        store(scratch, _CB + p, gb)
        store(scratch, _DOT_BENEATH + p, gr * back_r + (gg * back_g + gb * back_b))
    return total(loss), total(by_r), total(by_g), total(by_b)


@njit(nogil=True, fastmath=True, error_model="numpy")
def _loss_gradient_of_border_tile(scratch, mode, background, start, width, plane, target, shares, across, down):
    """As `_loss_gradient_of_tile`, with only `across` x `down` pixels on the canvas; the gradient of others is 0."""
    loss = by_r = by_g = by_b = _ZERO
    for p in range(_AREA):
        gr = gg = gb = share = _ZERO
        if p % _U(TILE) < across and p // _U(TILE) < down:
            at = start + p // _U(TILE) * width + p % _U(TILE)
            transmittance = scratch[_TRANSMITTANCE + p]
            gr, gg, gb = target[at], target[plane + at], target[_U(2) * plane + at]
            if mode != VJP:
                share = shares[at]
                gr = scratch[_CR + p] + transmittance * background[0] - gr
                gg = scratch[_CG + p] + transmittance * background[1] - gg
                gb = scratch[_CB + p] + transmittance * background[2] - gb
                loss += share * (gr * gr + gg * gg + gb * gb)
                gr *= _F(2) * share
                gg *= _F(2) * share
                gb *= _F(2) * share
            by_r += transmittance * gr
            by_g += transmittance * gg
            by_b += transmittance * gb
        scratch[_SHARE + p] = share
        scratch[_CR + p], scratch[_CG + p], scratch[_CB + p] = gr, gg, gb
        scratch[_DOT_BENEATH + p] = gr * background[0] + gg * background[1] + gb * background[2]
    return loss, by_r, by_g, by_b


@compiled(fastmath=True, error_model="numpy")
def paint_tiles(
    mode, flags, width, height, tiles_x, first_tile_row, edge, rows, kinds, starts, entry_rows, entry_slots,
    background, target, shares, image, results, tile_sums, scratch,
):  # fmt: skip
    """Draws the tiles of a band; threads claim them one at a time until none is left.

    A thread that enters while the bins are being filled spins until `release`, which costs less than waking it later.

    Returns:
        True if nothing was drawn because the scratch is too small; call again with a larger one.

    Args:
        mode: RENDER, LOSS, VJP or WORTH.
        flags: (FLAG_COUNT,) int64, shared by the threads, zeros before `release`.
        width: of the canvas, pixels.
        height: of the canvas, pixels.
        tiles_x: tiles across.
        first_tile_row: the band's first row of tiles.
        edge: code of the falloff.
        rows: (N, W) float32, as in `shapes.layout`.
        kinds: (N,) uint8, codes of primitives.
        starts: (tiles in the band + 1,) int64.
        entry_rows: (M,) int32.
        entry_slots: (M,) int32.
        background: (3,) float32.
        target: (3 H W,) float32, plane by plane: the target (LOSS, WORTH) or dL/dimage (VJP); not read by RENDER.
        shares: (H W,) float32: each pixel's share of the loss (LOSS, WORTH); otherwise not read.
        image: (H, W, 3) float32, filled by RENDER.
        results: (M, W) float32, filled by slot: what `backward` stores (LOSS, VJP), or worth in column 0 (WORTH).
        tile_sums: (tiles in the band, 4) float64, filled: loss, dL/dbackground.
        scratch: float32, one per thread, of at least `scratch_size` floats; fastest if aligned to a cache line.
    """
    if not _wait_for_bins(flags):
        return False
    if scratch.shape[0] < flags[SCRATCH_SIZE]:
        return True
    back_r, back_g, back_b = background[0], background[1], background[2]
    tile_count = starts.shape[0] - 1
    for p in range(AREA):
        scratch[_PX + _U(p)] = _F(p % TILE) + _HALF
        scratch[_PY + _U(p)] = _F(p // TILE) + _HALF
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
        visited, cursor = _composite_front_to_back(
            scratch, mode, rows, kinds, edge, entry_rows, first_entry, last_entry, left, top
        )

        if mode == RENDER:
            for j in range(down):
                for i in range(across):
                    p = j * _U(TILE) + i
                    transmittance = scratch[_TRANSMITTANCE + p]
                    image[_U(y0) + j, _U(x0) + i, _U(0)] = scratch[_CR + p] + transmittance * back_r
                    image[_U(y0) + j, _U(x0) + i, _U(1)] = scratch[_CG + p] + transmittance * back_g
                    image[_U(y0) + j, _U(x0) + i, _U(2)] = scratch[_CB + p] + transmittance * back_b
            continue

        # Entries that were not visited are invisible, and so is what they hide.
        for entry in range(first_entry, last_entry - visited):
            for half in range(_U(0), _U(results.shape[1]), _LANES):
                store_row(results, _U(entry_slots[entry]), half, spread(_ZERO))

        start, plane = _U(y0 * width + x0), _U(width * height)
        if across == _U(TILE) and down == _U(TILE):
            sums = _loss_gradient_of_tile(scratch, mode, background, start, _U(width), plane, target, shares)
        else:
            sums = _loss_gradient_of_border_tile(
                scratch, mode, background, start, _U(width), plane, target, shares, across, down
            )
        tile_sums[tile, 0], tile_sums[tile, 1], tile_sums[tile, 2], tile_sums[tile, 3] = sums

        if mode == WORTH:
            for p in range(_AREA):
                scratch[_BR + p], scratch[_BG + p], scratch[_BB + p] = back_r, back_g, back_b
            _leave_one_out(scratch, rows, kinds, entry_rows, entry_slots, last_entry, visited, cursor, results)
        else:
            _backward_back_to_front(
                scratch, rows, kinds, edge, entry_rows, entry_slots, last_entry, visited, cursor, left, top, results
            )
    _fetch_add(flags, np.int64(LEFT), np.int64(1))
    return False


def scratch_size(mode, fullest_count, planes_per_entry):
    """Floats of a scratch; RENDER reuses the planes of an entry for the next.

    Args:
        mode: as in `paint_tiles`.
        fullest_count: entries of the fullest tile.
        planes_per_entry: from `shapes.dispatch.planes_of`.
    """
    if mode == RENDER:
        return (PLANES + planes_per_entry) * AREA
    # At the end, for each entry, its first and past-last pixel.
    return (PLANES + planes_per_entry * fullest_count) * AREA + 2 * fullest_count
