"""The CPU kernel: bins rows to tiles, shares the tiles out to threads, adds up what they found.

Why threads of our own: Numba's `parallel=True` starts OpenMP threads that spin between calls and fight the
frameworks' own pools (a step grew from 3 to 28 ms inside a jitted JAX loop), and doubles the compile time.
Tiles release the GIL and are claimed from an atomic counter; every result has a slot of its own and is
summed in slot order, so that the numbers depend neither on the thread count nor on timing.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from functools import lru_cache
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

import numpy as np

from ...canvas import Canvas
from ...errors import NotFinite
from ...primitives.falloff import FALLOFFS
from ...scene import check_finite
from ...threads import thread_count
from .bins import fill, measure, sum_slots
from .placing import coloured, place
from .shapes.dispatch import chain_rows, packed, planes_of
from .shapes.layout import NARROW, TILE
from .tiles import (
    AREA,
    ENTERED,
    FLAG_COUNT,
    LEFT,
    LOSS,
    PULL,
    RENDER,
    WORTH,
    finish,
    paint_tiles,
    release,
    scratch_size,
)  # fmt: skip
from .workers import Workers

Array = np.ndarray[Any, Any]

# Entries that are held at once: 8M are 0.3 GB. A scene with more is drawn in bands of tile rows.
ENTRIES_HELD = 8_000_000

# Entries of a picture that one thread draws before a worker is awake, or on a busy machine is given a core.
ENTRIES_ALONE = 4000

CACHE_LINE = 64  # bytes

# How long to wait for a worker's word before its count is looked at without, seconds.
_LOST_AFTER = 0.1

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

    One call at a time: calls from several threads wait for each other. What is drawn does not depend on the number of
    threads. Threads beside the caller's are started by the first call that needs them, and end with `close`, at the end
    of a `with` block, or when the kernel is no longer used; a call after `close` starts them again.

    Args:
        threads: how many threads draw; see `threads.thread_count`.

    Raises:
        InputError: there cannot be so many threads.
    """

    name = "numba"

    def __init__(self, threads: int | None = None) -> None:
        self.threads = thread_count(threads)
        self._lock = threading.Lock()
        self._workers = Workers(self.threads - 1)
        self._at_work: tuple[Array, SimpleQueue[None]] | None = None  # flags that workers may still look at
        self._scratch_size = 0
        self._scratches = [aligned(0)] * self.threads
        self._band = _Band(
            starts=np.zeros(1, np.int64), cursors=np.zeros(0, np.int64), entry_rows=np.zeros(0, np.int32),
            entry_slots=np.zeros(0, np.int32), slot_tiles=np.zeros(0, np.int32),
            results=np.zeros((0, NARROW), np.float32), tile_sums=np.zeros((0, 4)),
        )  # fmt: skip
        self.entry_count = 0
        """Tile entries of the last call."""

    def close(self) -> None:
        """Ends the threads; waits for the call at work."""
        with self._lock:
            self._settle()
            self._workers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pair_count(self) -> int:
        """Pairs of a pixel and a row of the last call, by whole tiles."""
        return self.entry_count * AREA

    def render(self, rows: Array, kinds: Array, canvas: Canvas) -> Array:
        """See `kernels.base.Kernel.render`."""
        image = np.empty((canvas.height, canvas.width, 3), np.float32)
        self._paint(RENDER, rows, kinds, canvas, _NOTHING_3D, _NOTHING_2D, image)
        return image

    def loss_and_gradient(
        self, rows: Array, kinds: Array, canvas: Canvas, target: Array, shares: Array
    ) -> tuple[float, Array, Array]:
        """See `kernels.base.Kernel.loss_and_gradient`. Forward and backward are fused tile by tile."""
        totals, sums = self._paint(LOSS, rows, kinds, canvas, target, shares, _NOTHING_3D)
        return float(sums[0]), totals.astype(np.float32), sums[1:].astype(np.float32)

    def vjp(self, rows: Array, kinds: Array, canvas: Canvas, image_gradient: Array) -> tuple[Array, Array]:
        """See `kernels.base.Kernel.vjp`."""
        planes = np.ascontiguousarray(np.moveaxis(image_gradient, 2, 0), np.float32)
        if not np.isfinite(planes).all():  # what is compiled with fast-math flags makes any number of it
            raise NotFinite("the gradient on the picture is not finite; needs a loss whose slopes are numbers")
        totals, sums = self._paint(PULL, rows, kinds, canvas, planes, _NOTHING_2D, _NOTHING_3D)
        return totals.astype(np.float32), sums[1:].astype(np.float32)

    def worth(self, rows: Array, kinds: Array, canvas: Canvas, target: Array, shares: Array) -> tuple[float, Array]:
        """See `kernels.base.Kernel.worth`."""
        totals, sums = self._paint(WORTH, rows, kinds, canvas, target, shares, _NOTHING_3D)
        return float(sums[0]), totals[:, 0]

    place = staticmethod(place)
    coloured = staticmethod(coloured)

    def _paint(
        self, mode: int, rows: Array, kinds: Array, canvas: Canvas, target: Array, shares: Array, image: Array
    ) -> tuple[Array, Array]:
        """Runs one mode of `paint_tiles` over the canvas.

        Returns:
            Totals by the columns of each row, (N, P) float64 (WORTH: in the first), and sums over tiles, (4,).
        """
        with self._lock:
            self._settle()  # a call that was interrupted may have left workers at its arrays
            columns, target, shares = (_plain(array) for array in (rows, target, shares))
            rows, kinds = packed(columns, kinds)
            edge = FALLOFFS[canvas.edge].code
            background = np.array(canvas.background, np.float32)
            tiles_x, tiles_y = -(-canvas.width // TILE), -(-canvas.height // TILE)
            spans = np.empty((len(rows), 4), np.int32)
            per_tile_row = np.empty(tiles_y, np.int64)
            if not measure(rows, kinds, edge, tiles_x, tiles_y, spans, per_tile_row):
                check_finite(columns)
            slots = np.empty(len(rows) + 1, np.int64)
            totals = np.zeros(rows.shape)
            sums = np.zeros(4)
            self.entry_count = 0
            for first, last in _bands(per_tile_row):
                tile_count = (last - first) * tiles_x
                band = self._reserve_band(tile_count, int(per_tile_row[first:last].sum()), rows.shape[1])
                starts, results = band.starts[: tile_count + 1], band.results
                flags = np.zeros(FLAG_COUNT, np.int64)  # fresh: a worker may come late to the last call's
                arguments = (
                    mode, flags, canvas.width, canvas.height, tiles_x, first, edge, rows, kinds, starts,
                    band.entry_rows, band.entry_slots, background, target.reshape(-1), shares.reshape(-1), image,
                    results, band.tile_sums,
                )  # fmt: skip

                def paint(number: int, arguments: tuple[Any, ...] = arguments) -> None:
                    while paint_tiles(*arguments, self._scratch(number)):
                        pass  # with a larger scratch

                alone = mode == RENDER and per_tile_row[first:last].sum() <= ENTRIES_ALONE
                worker_count = 0 if alone else tile_count - 1
                returned: SimpleQueue[None] = SimpleQueue()
                self._at_work = flags, returned
                try:
                    # Before the bins are filled: workers take about that long to wake.
                    self._workers.wake(paint, worker_count, returned)
                    entry_count, deepest = fill(
                        rows, kinds, edge, tiles_x, first, last, spans, starts, band.cursors[:tile_count],
                        band.entry_rows, band.entry_slots, band.slot_tiles, slots,
                    )  # fmt: skip
                    self.entry_count += entry_count
                    self._scratch_size = scratch_size(mode, deepest, planes_of(kinds))
                    if release(flags, self._scratch_size):
                        self._workers.wake(paint, worker_count, returned)
                    paint(0)
                finally:
                    self._settle()
                if mode != RENDER:
                    sum_slots(slots, results, totals)
                    sums += band.tile_sums[:tile_count].sum(axis=0)
            self._workers.check()
            if rows is not columns and mode in (LOSS, PULL):
                chain_rows(columns, kinds, rows, totals)
            return totals[:, : columns.shape[1]], sums

    def _settle(self) -> None:
        """Turns away workers that come late to the last call, and waits for those that are at work for it."""
        if self._at_work is None:
            return
        flags, returned = self._at_work
        if not finish(flags):
            while flags[LEFT] != flags[ENTERED]:
                try:
                    returned.get(timeout=_LOST_AFTER)
                except Empty:
                    pass  # a worker that was killed from outside may have left without a word
        self._at_work = None

    def _scratch(self, number: int) -> Array:
        """The scratch of a thread; memory is only taken where a tile is that deep."""
        if len(self._scratches[number]) < self._scratch_size:
            self._scratches[number] = aligned(self._scratch_size * 5 // 4)
        return self._scratches[number]

    def _reserve_band(self, tile_count: int, entry_count: int, width: int) -> _Band:
        """The band's arrays, made larger where they are too small."""
        band = self._band
        if len(band.cursors) < tile_count:
            band.starts = np.empty(tile_count + 1, np.int64)
            band.cursors = np.empty(tile_count, np.int64)
            band.tile_sums = np.empty((tile_count, 4))
        if band.results.shape[1] != width:
            band.results = np.empty((len(band.entry_rows), width), np.float32)
        if len(band.entry_rows) < entry_count:
            band.entry_rows = np.empty(entry_count * 5 // 4, np.int32)
            band.entry_slots = np.empty(entry_count * 5 // 4, np.int32)
            band.slot_tiles = np.empty(entry_count * 5 // 4, np.int32)
            band.results = np.empty((entry_count * 5 // 4, width), np.float32)
        return band


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


def shared_kernel(threads: int | None = None) -> CpuKernel:
    """The kernel that all share who draw with this number of threads; see `threads.thread_count`.

    Raises:
        InputError: there cannot be so many threads.
    """
    return _kernel_of(thread_count(threads))


@lru_cache(maxsize=4)
def _kernel_of(threads: int) -> CpuKernel:
    return CpuKernel(threads)


if hasattr(os, "register_at_fork"):
    # A forked child makes kernels of its own: its parent's may have been at work.
    os.register_at_fork(after_in_child=_kernel_of.cache_clear)
