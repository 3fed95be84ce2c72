"""The inner loops of the CPU renderer: forward pass, loss and backward pass of one tile while it is in the cache.

Rules of this file; breaking any of them costs a large factor (measured):

- Indices are unsigned (`_U`): a possibly negative index gets a wrap-around select.
- One flat float32 scratch with constant plane offsets, a vector of pixels of a plane at a time (`simd`).
- One loop over all touched pixels of a tile in each pass of an entry (`shapes.passes`). An entry touches few vectors,
  so that mispredicted branches take as long as arithmetic.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .shapes.dispatch import composite, fill, planes_kept, pull, touched_pixels
from .shapes.layout import (
    AREA,
    BENEATH_B,
    BENEATH_G,
    BENEATH_R,
    BLUE,
    COVERED,
    DOT_BENEATH,
    GREEN,
    PLANE_COUNT,
    PX,
    PY,
    RED,
    SECOND_TRANSMITTANCE,
    SHARE,
    TILE_HEIGHT,
    TILE_WIDTH,
    TRANSMITTANCE,
    A,
    B,
    G,
    R,
)
from .simd import EIGHT, LANES, greatest, largest, load, load_rows, pack, spread, spread_eight, store, store_row, total

# What `paint_tile` does after the forward pass.
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

# After the planes of the scratch come those of each visited entry, only for the pixels that it touches: the
# transmittance above it, and what the backward pass of its shape needs where recomputing takes longer.
_VISITED = _U(PLANE_COUNT * AREA)
_AREA = _U(AREA)
_LANES = _U(LANES)
_BLOCK = _U(8)  # entries between two checks whether all light is blocked
_ONE_ENTRY = _U(1)


@njit(inline="always")
def _touched(scratch, visited):
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
        store(scratch, TRANSMITTANCE + p, spread(_ONE))
        store(scratch, RED + p, spread(_ZERO))
        store(scratch, GREEN + p, spread(_ZERO))
        store(scratch, BLUE + p, spread(_ZERO))
    visited = _U(0)
    cursor = _VISITED
    entry = last_entry
    while entry > first_entry:
        if visited % _BLOCK == _U(0):
            plane = SECOND_TRANSMITTANCE if is_below_floor else TRANSMITTANCE
            if visited > _U(0) and _all_below(scratch, plane, floor):
                if is_below_floor or mode == RENDER:
                    break
                is_below_floor = True
                for p in range(_U(0), _AREA, _LANES):
                    store(scratch, SECOND_TRANSMITTANCE + p, spread(_ONE))
            # In a loop of their own, since each takes long to compute and decides a branch.
            for k in range(min(_BLOCK, entry - first_entry)):
                i = _U(entry_rows[entry - _ONE_ENTRY - k])
                first, last = touched_pixels(rows, i, kinds[i], edge, left, top)
                at = _U(scratch.shape[0]) - _U(2) * (visited + k)
                scratch[at - _U(1)], scratch[at - _U(2)] = _F(first), _F(last)
        entry -= _ONE_ENTRY
        i = _U(entry_rows[entry])
        kind = kinds[i]
        first, last = _touched(scratch, visited)
        size = last - first
        composite(scratch, rows, i, kind, edge, left, top, first, last, cursor - first, size)
        if mode != RENDER:
            cursor += planes_kept(kind) * size
        if is_below_floor:
            fill(scratch, PX, PY, COVERED, first, last, rows, i, kind, edge, left, top)
            opacity = spread(rows[i, A])
            for p in range(first, last, _LANES):
                transmittance = load(scratch, SECOND_TRANSMITTANCE + p)
                w = transmittance * (load(scratch, COVERED + p) * opacity)
                store(scratch, SECOND_TRANSMITTANCE + p, transmittance - w)
        visited += _U(1)
    return visited, cursor


@njit(nogil=True, error_model="numpy")
def _backward_back_to_front(
    scratch, rows, kinds, edge, entry_rows, entry_slots, slots_before, last_entry, visited, cursor, left, top, results
):
    """The backward pass over the visited entries, back to front, without division by the transmittance."""
    while visited > _U(0):
        visited -= _U(1)
        entry = last_entry - _U(1) - visited
        i = _U(entry_rows[entry])
        kind = kinds[i]
        first, last = _touched(scratch, visited)
        size = last - first
        cursor -= planes_kept(kind) * size
        pull(
            scratch, rows, i, kind, edge, left, top, first, last, cursor - first, size,
            results, slots_before + _U(entry_slots[entry]),
        )  # fmt: skip


@njit(nogil=True, error_model="numpy")
def _leave_one_out(
    scratch, rows, kinds, edge, entry_rows, entry_slots, slots_before, last_entry, visited, cursor, left, top, results
):
    """The leave-one-out worth of each visited row: the exact rise of the loss without it. Back to front.

    With e the error, w a pixel's share, B the composite beneath and d = T a (c - B) what the row adds to the picture,
    removing it changes the loss by the sum of w (|e - d|² - |e|²) = -g·d + w |d|², where g = 2 w e = dL/dC.
    """
    while visited > _U(0):
        visited -= _U(1)
        entry = last_entry - _U(1) - visited
        i = _U(entry_rows[entry])
        first, last = _touched(scratch, visited)
        cursor -= planes_kept(kinds[i]) * (last - first)
        above = cursor - first
        fill(scratch, PX, PY, COVERED, first, last, rows, i, kinds[i], edge, left, top)
        opacity = spread(rows[i, A])
        red, green, blue = spread(rows[i, R]), spread(rows[i, G]), spread(rows[i, B])
        rise = spread(_ZERO)
        for p in range(first, last, _LANES):
            a = load(scratch, COVERED + p) * opacity
            br, bg, bb = load(scratch, BENEATH_R + p), load(scratch, BENEATH_G + p), load(scratch, BENEATH_B + p)
            dr, dg, db = a * (red - br), a * (green - bg), a * (blue - bb)
            store(scratch, BENEATH_R + p, br + dr)
            store(scratch, BENEATH_G + p, bg + dg)
            store(scratch, BENEATH_B + p, bb + db)
            transmittance = load(scratch, above + p)
            dr, dg, db = dr * transmittance, dg * transmittance, db * transmittance
            along = dr * load(scratch, RED + p) + (dg * load(scratch, GREEN + p) + db * load(scratch, BLUE + p))
            rise = rise + (load(scratch, SHARE + p) * (dr * dr + (dg * dg + db * db)) - along)
        worth = total(rise)
        values = pack(worth, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO)
        store_row(results, slots_before + _U(entry_slots[entry]), _U(0), values)


@njit(nogil=True)
def _copy_of_canvas(scratch, plane, values, start, width, across, down):
    """Copies a tile's part of a plane of the canvas to a plane of the scratch; zeros off the canvas.

    Args:
        scratch: the thread's planes.
        plane: offset in the scratch.
        values: flat float32.
        start: index in `values` of the tile's first pixel.
        width: of the canvas, pixels.
        across: pixels of the tile that are on the canvas, in x.
        down: the same in y.
    """
    if across < _U(TILE_WIDTH) or down < _U(TILE_HEIGHT):
        scratch[plane : plane + _AREA] = _ZERO
    for row in range(down):
        at, p = start + row * width, plane + row * _U(TILE_WIDTH)
        for k in range(across):
            scratch[p + k] = values[at + k]


@njit(nogil=True, error_model="numpy")
def _loss_gradient_of_tile(scratch, mode, back_r, back_g, back_b, targets, target, plane, shares, share_start, stride):
    """The loss and its gradient on a tile.

    Replaces the composite in the colour planes by g = dL/dC; fills DOT_BENEATH with g·background, and SHARE.

    Args:
        scratch: the thread's planes.
        mode: LOSS, VJP or WORTH.
        back_r: red of the background.
        back_g: green.
        back_b: blue.
        targets: flat float32, with three planes.
        target: index in `targets` of the tile's first pixel in the first plane.
        plane: distance between planes.
        shares: flat float32.
        share_start: index in `shares` of the tile's first pixel.
        stride: distance between pixel rows, in both.

    Returns:
        The tile's part of the loss and of dL/dbackground.
    """
    back_r, back_g, back_b = spread(back_r), spread(back_g), spread(back_b)
    loss = by_r = by_g = by_b = spread(_ZERO)
    two = spread(_F(2))
    for p in range(_U(0), _AREA, _LANES):
        transmittance = load(scratch, TRANSMITTANCE + p)
        down = p // _U(TILE_WIDTH) * stride
        at = target + down
        gr = load_rows(targets, at, stride, TILE_WIDTH)
        gg = load_rows(targets, at + plane, stride, TILE_WIDTH)
        gb = load_rows(targets, at + _U(2) * plane, stride, TILE_WIDTH)
        if mode != VJP:
            share = load_rows(shares, share_start + down, stride, TILE_WIDTH)
            store(scratch, SHARE + p, share)
            gr = load(scratch, RED + p) + transmittance * back_r - gr
            gg = load(scratch, GREEN + p) + transmittance * back_g - gg
            gb = load(scratch, BLUE + p) + transmittance * back_b - gb
            loss = loss + share * (gr * gr + (gg * gg + gb * gb))
            share = share * two
            gr, gg, gb = gr * share, gg * share, gb * share
        by_r, by_g, by_b = by_r + transmittance * gr, by_g + transmittance * gg, by_b + transmittance * gb
        store(scratch, RED + p, gr)
        store(scratch, GREEN + p, gg)
        store(scratch, BLUE + p, gb)
        store(scratch, DOT_BENEATH + p, gr * back_r + (gg * back_g + gb * back_b))
    return total(loss), total(by_r), total(by_g), total(by_b)


@njit(nogil=True, error_model="numpy")
def prepare_scratch(scratch):
    """Fills the planes of pixel centres, relative to a tile."""
    for p in range(_AREA):
        scratch[PX + p] = _F(p % _U(TILE_WIDTH)) + _HALF
        scratch[PY + p] = _F(p // _U(TILE_WIDTH)) + _HALF


@njit(nogil=True, error_model="numpy")
def paint_tile(
    scratch, mode, tile, width, height, tiles_x, first_tile_row, edge, rows, kinds, starts, entry_rows, entry_slots,
    backdrop, backgrounds, targets, shares, image, results, tile_sums,
):  # fmt: skip
    """Draws a tile, and differentiates the drawing.

    Args:
        scratch: float32, the thread's, of at least `scratch_size` floats, after `prepare_scratch`; fastest if aligned
            to a cache line.
        mode: RENDER, LOSS, VJP or WORTH.
        tile: its index in the band.
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
        backdrop: index of the backdrop, of B.
        backgrounds: (B, 3) float32.
        targets: (B 3 H W,) float32, plane by plane: the target (LOSS, WORTH) or dL/dimage (VJP); not read by RENDER.
        shares: (H W,) float32: each pixel's share of the loss (LOSS, WORTH); otherwise not read.
        image: (H, W, 3) float32, filled by RENDER.
        results: (B slots, W) float32, filled by slot: what `pull` stores (LOSS, VJP), or worth in column 0 (WORTH).
        tile_sums: (B tiles, 4) float64, filled: loss, dL/dbackground.
    """
    tile_y = tile // tiles_x
    x0 = (tile - tile_y * tiles_x) * TILE_WIDTH
    y0 = (first_tile_row + tile_y) * TILE_HEIGHT
    across, down = _U(min(TILE_WIDTH, width - x0)), _U(min(TILE_HEIGHT, height - y0))
    left, top = _F(x0), _F(y0)
    first_entry, last_entry = _U(starts[tile]), _U(starts[tile + 1])
    visited, cursor = _composite_front_to_back(
        scratch, mode, rows, kinds, edge, entry_rows, first_entry, last_entry, left, top
    )
    back_r, back_g, back_b = backgrounds[backdrop, 0], backgrounds[backdrop, 1], backgrounds[backdrop, 2]
    if mode == RENDER:
        for j in range(down):
            for i in range(across):
                p = j * _U(TILE_WIDTH) + i
                transmittance = scratch[TRANSMITTANCE + p]
                image[_U(y0) + j, _U(x0) + i, _U(0)] = scratch[RED + p] + transmittance * back_r
                image[_U(y0) + j, _U(x0) + i, _U(1)] = scratch[GREEN + p] + transmittance * back_g
                image[_U(y0) + j, _U(x0) + i, _U(2)] = scratch[BLUE + p] + transmittance * back_b
        return

    # Entries that were not visited are invisible, and so is what they hide.
    slots_before = _U(results.shape[0] // backgrounds.shape[0] * backdrop)
    for entry in range(first_entry, last_entry - visited):
        for half in range(_U(0), _U(results.shape[1]), _U(EIGHT)):
            store_row(results, slots_before + _U(entry_slots[entry]), half, spread_eight(_ZERO))

    start, plane = _U(y0 * width + x0), _U(width * height)
    target = _U(3 * backdrop) * plane + start
    if across == _U(TILE_WIDTH) and down == _U(TILE_HEIGHT):
        sums = _loss_gradient_of_tile(
            scratch, mode, back_r, back_g, back_b, targets, target, plane, shares, start, _U(width)
        )
    else:
        for k in range(_U(3)):
            _copy_of_canvas(scratch, BENEATH_R + k * _AREA, targets, target + k * plane, _U(width), across, down)
        if mode != VJP:
            _copy_of_canvas(scratch, SHARE, shares, start, _U(width), across, down)
        sums = _loss_gradient_of_tile(
            scratch, mode, back_r, back_g, back_b, scratch, BENEATH_R, _AREA, scratch, SHARE, _U(TILE_WIDTH)
        )
    at = tile_sums.shape[0] // backgrounds.shape[0] * backdrop + tile
    tile_sums[at, 0], tile_sums[at, 1], tile_sums[at, 2], tile_sums[at, 3] = sums

    if mode == WORTH:
        for p in range(_AREA):
            scratch[BENEATH_R + p], scratch[BENEATH_G + p], scratch[BENEATH_B + p] = back_r, back_g, back_b
        _leave_one_out(
            scratch, rows, kinds, edge, entry_rows, entry_slots, slots_before, last_entry, visited, cursor, left, top,
            results,
        )  # fmt: skip
    else:
        _backward_back_to_front(
            scratch, rows, kinds, edge, entry_rows, entry_slots, slots_before, last_entry, visited, cursor, left, top,
            results,
        )  # fmt: skip


def scratch_size(mode, fullest_count, planes_per_entry):
    """Floats of a scratch; RENDER reuses the planes of an entry for the next.

    Args:
        mode: as in `paint_tile`.
        fullest_count: entries of the fullest tile.
        planes_per_entry: from `shapes.dispatch.planes_of`.
    """
    kept = planes_per_entry * (1 if mode == RENDER else fullest_count)
    # At the end, for each entry, its first and past-last pixel.
    return (PLANE_COUNT + kept) * AREA + 2 * (fullest_count + 8)
