"""The CPU kernel: bins rows to tiles, shares the tiles out to threads, adds up what they found.

Why threads of our own: Numba's `parallel=True` starts OpenMP threads that spin between calls and fight the
frameworks' own pools (a step grew from 3 to 28 ms inside a jitted JAX loop), and doubles the compile time.
Tiles release the GIL and are claimed from an atomic counter; every result has a slot of its own and is
summed in slot order, so that the numbers depend neither on the thread count nor on timing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from queue import SimpleQueue
from typing import Any

import numpy as np

from .cpu_bins import TILE, fill, measure, sum_slots
from .cpu_tiles import (
    AREA,
    FLAG_COUNT,
    LOSS,
    PLANES,
    PLANES_PER_ENTRY,
    PULL,
    RENDER,
    WORTH,
    finish,
    let_go,
    paint_tiles,
)  # fmt: skip
from .edges import EDGES
from .primitives import CIRCLE
from .scene import Canvas

Array = np.ndarray[Any, Any]

# Entries that are held at once: 8M are 0.3 GB. A scene with more is drawn in bands of tile rows.
ENTRIES_HELD = 8_000_000

# Entries of a picture that one thread draws before a helper is awake, or on a busy machine is given a core.
ENTRIES_ALONE = 4000

CACHE_LINE = 64  # bytes

# What a circle's gradient has; further columns of a row belong to other primitives.
_COLUMNS = len(CIRCLE.columns)

_NOTHING_2D = np.zeros((1, 1), np.float32)
_NOTHING_3D = np.zeros((1, 1, 1), np.float32)


@dataclass
class _Band:
    """Tile rows that are drawn together, and their entries; arrays are reused from call to call."""

    starts: Array
    cursors: Array
    entry_rows: Array
    entry_slots: Array
    slot_tiles: Array
    results: Array
    tile_sums: Array


class CpuKernel:
    """Draws rows on a canvas, and differentiates the drawing, in float32 on the CPU.

    One call at a time: calls from several threads wait for each other.

    Args:
        threads: how many threads draw; all usable cores if not given.
    """

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or usable_cores()
        self._lock = threading.Lock()
        self._helpers = [_start_helper() for _ in range(self.threads - 1)]
        self._scratches = [np.empty(0, np.float32) for _ in range(self.threads)]
        self._band = _Band(
            starts=np.zeros(1, np.int64), cursors=np.zeros(0, np.int64), entry_rows=np.zeros(0, np.int32),
            entry_slots=np.zeros(0, np.int32), slot_tiles=np.zeros(0, np.int32),
            results=np.zeros((0, _COLUMNS), np.float32), tile_sums=np.zeros((0, 4)),
        )  # fmt: skip
        self.entry_count = 0
        """Tile entries of the last call."""

    @property
    def pair_count(self) -> int:
        """Pixel-circle pairs of the last call, by whole tiles."""
        return self.entry_count * AREA

    def render(self, rows: Array, canvas: Canvas) -> Array:
        """The picture, (H, W, 3) float32.

        Args:
            rows: (N, P) float32, as in `Scene.rows`.
            canvas: size, background, edge.
        """
        image = np.empty((canvas.height, canvas.width, 3), np.float32)
        self._paint(RENDER, rows, canvas, _NOTHING_3D, _NOTHING_2D, image)
        return image

    def loss_and_gradient(
        self, rows: Array, canvas: Canvas, target: Array, shares: Array
    ) -> tuple[float, Array, Array]:
        """The weighted mean squared error and its gradient, forward and backward fused tile by tile.

        Args:
            rows: (N, P) float32.
            canvas: size, background, edge.
            target: (3, H, W) float32.
            shares: (H, W) float32, from `losses.pixel_shares`.

        Returns:
            The loss, dL/drows as (N, P) float32, and dL/dbackground as (3,) float32.
        """
        totals, sums = self._paint(LOSS, rows, canvas, target, shares, _NOTHING_3D)
        return float(sums[0]), _as_wide_as(rows, totals), sums[1:].astype(np.float32)

    def pull_back(self, rows: Array, canvas: Canvas, image_gradient: Array) -> tuple[Array, Array]:
        """Turns dL/dimage of any loss into dL/drows, (N, P), and dL/dbackground, (3,), both float32.

        Args:
            rows: (N, P) float32.
            canvas: size, background, edge.
            image_gradient: (H, W, 3) float32.
        """
        planes = np.ascontiguousarray(np.moveaxis(image_gradient, 2, 0), np.float32)
        totals, sums = self._paint(PULL, rows, canvas, planes, _NOTHING_2D, _NOTHING_3D)
        return _as_wide_as(rows, totals), sums[1:].astype(np.float32)

    def worth(self, rows: Array, canvas: Canvas, target: Array, shares: Array) -> tuple[float, Array]:
        """The loss, and for each row how much it rises if that row alone is taken out, (N,) float64."""
        totals, sums = self._paint(WORTH, rows, canvas, target, shares, _NOTHING_3D)
        return float(sums[0]), totals[:, 0]

    def _paint(
        self, mode: int, rows: Array, canvas: Canvas, target: Array, shares: Array, image: Array
    ) -> tuple[Array, Array]:
        """Runs one mode of `paint_tiles` over the canvas; per-row totals (N, 8) and sums over tiles (4,)."""
        with self._lock:
            rows, target, shares = (_plain(array) for array in (rows, target, shares))
            edge = EDGES[canvas.edge].code
            background = np.array(canvas.background, np.float32)
            tiles_x, tiles_y = -(-canvas.width // TILE), -(-canvas.height // TILE)
            spans = np.empty((len(rows), 4), np.int32)
            per_tile_row = np.empty(tiles_y, np.int64)
            measure(rows, edge, tiles_x, tiles_y, spans, per_tile_row)
            self._reserve_scratch(len(rows))
            slots = np.empty(len(rows) + 1, np.int64)
            totals = np.zeros((len(rows), _COLUMNS))
            sums = np.zeros(4)
            self.entry_count = 0
            for first, last in _bands(per_tile_row):
                tile_count = (last - first) * tiles_x
                band = self._reserve_band(tile_count, int(per_tile_row[first:last].sum()))
                starts, results = band.starts[: tile_count + 1], band.results
                flags = np.zeros(FLAG_COUNT, np.int64)  # fresh: a helper may come late to the last call's
                paint = partial(
                    paint_tiles, mode, flags, canvas.width, canvas.height, tiles_x, first, edge, rows, starts,
                    band.entry_rows, band.entry_slots, background, target.reshape(-1), shares.reshape(-1), image,
                    results, band.tile_sums,
                )  # fmt: skip
                alone = mode == RENDER and per_tile_row[first:last].sum() <= ENTRIES_ALONE
                with self._helpers_on(paint, flags, [] if alone else self._helpers):
                    self.entry_count += fill(
                        rows, edge, tiles_x, first, last, spans, starts, band.cursors[:tile_count],
                        band.entry_rows, band.entry_slots, band.slot_tiles, slots,
                    )  # fmt: skip
                    let_go(flags)
                    paint(self._scratches[0])
                if mode != RENDER:
                    sum_slots(slots, results, totals)
                    sums += band.tile_sums[:tile_count].sum(axis=0)
            return totals, sums

    @contextmanager
    def _helpers_on(
        self, paint: Callable[..., None], flags: Array, helpers: list[SimpleQueue[Callable[[], None]]]
    ) -> Iterator[None]:
        """Wakes the helpers for `paint`, where they wait for `let_go`; at the end waits for those that came.

        A helper that the machine has not woken by then is not waited for: it finds its work done.
        """
        for helper, scratch in zip(helpers, self._scratches[1:], strict=False):
            helper.put(partial(paint, scratch))
        try:
            yield
        finally:
            finish(flags)

    def _reserve_scratch(self, row_count: int) -> None:
        """Room for every row in every thread's scratch; memory is only taken where a tile is that deep."""
        size = (PLANES + PLANES_PER_ENTRY * row_count) * AREA
        if len(self._scratches[0]) < size:
            self._scratches = [aligned(size * 5 // 4) for _ in range(self.threads)]

    def _reserve_band(self, tile_count: int, entry_count: int) -> _Band:
        """The band's arrays, made larger where they are too small."""
        band = self._band
        if len(band.cursors) < tile_count:
            band.starts = np.empty(tile_count + 1, np.int64)
            band.cursors = np.empty(tile_count, np.int64)
            band.tile_sums = np.empty((tile_count, 4))
        if len(band.entry_rows) < entry_count:
            band.entry_rows = np.empty(entry_count * 5 // 4, np.int32)
            band.entry_slots = np.empty(entry_count * 5 // 4, np.int32)
            band.slot_tiles = np.empty(entry_count * 5 // 4, np.int32)
            band.results = np.empty((entry_count * 5 // 4, _COLUMNS), np.float32)
        return band


def _start_helper() -> SimpleQueue[Callable[[], None]]:
    """Starts a thread that carries out what is put into the queue given back; wakes faster than an executor."""
    tasks: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def serve() -> None:
        while True:
            tasks.get()()

    threading.Thread(target=serve, name="artpipe-kernel", daemon=True).start()
    return tasks


def _bands(per_tile_row: Array) -> list[tuple[int, int]]:
    """Cuts the rows of tiles into runs that hold at most `ENTRIES_HELD` entries each, or one row."""
    bands, first, held = [], 0, 0
    for tile_row, entry_count in enumerate(per_tile_row.tolist()):
        if held + entry_count > ENTRIES_HELD and tile_row > first:
            bands.append((first, tile_row))
            first, held = tile_row, 0
        held += entry_count
    bands.append((first, len(per_tile_row)))
    return bands


def aligned(size: int) -> Array:
    """(size,) float32 from the start of a cache line on: a vector across two lines costs both (measured: 7 %)."""
    floats = CACHE_LINE // 4
    array = np.empty(size + floats, np.float32)
    start = -(array.ctypes.data // 4) % floats
    return array[start : start + size]


def _plain(array: Array) -> Array:
    """The array as float32 in order, writable: for any other kind Numba would compile everything once more."""
    return np.require(array, np.float32, ["C", "W"])


def _as_wide_as(rows: Array, totals: Array) -> Array:
    """(N, P) float32: the totals, and 0 in columns of rows that have none."""
    if rows.shape[1] == totals.shape[1]:
        return totals.astype(np.float32)
    result = np.zeros(rows.shape, np.float32)
    result[:, : totals.shape[1]] = totals
    return result


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@lru_cache(maxsize=1)
def shared_kernel() -> CpuKernel:
    """The kernel that the backends share, on all usable cores."""
    return CpuKernel()


if hasattr(os, "register_at_fork"):
    # A forked child has none of its parent's threads: it makes a kernel of its own.
    os.register_at_fork(after_in_child=shared_kernel.cache_clear)
