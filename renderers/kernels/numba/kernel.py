"""The CPU kernel: bins rows to tiles, distributes the tiles to threads, and sums their results.

It has its own threads because Numba's `parallel=True` starts OpenMP threads that spin between calls and compete with
the frameworks' pools (a step grew from 3 to 28 ms inside a jitted JAX loop), and doubles the compile time.
Threads run without the GIL and claim tiles from an atomic counter. Every result has its own slot and is summed in slot
order, so that results depend neither on the thread count nor on timing.
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
from ...row_layout import check_finite
from ...threads import thread_count
from .bins import fill, measure, sum_slots
from .placing import coloured, place
from .shapes.dispatch import apply_chain_rules, packed, planes_of
from .shapes.layout import NARROW, TILE
from .tiles import (
    AREA,
    ENTERED,
    FLAG_COUNT,
    LEFT,
    LOSS,
    RENDER,
    VJP,
    WORTH,
    finish,
    paint_tiles,
    release,
    scratch_size,
)  # fmt: skip
from .workers import Workers

Array = np.ndarray[Any, Any]

# Most entries of a band: 8M take 0.3 GB. A scene with more is drawn in bands of tile rows.
ENTRIES_HELD = 8_000_000

# A picture of at most this many entries is drawn by the caller alone: workers would wake too late.
ENTRIES_ALONE = 4000

CACHE_LINE = 64  # bytes

# Seconds to wait for a worker's message before the counters are read again.
_WORKER_TIMEOUT = 0.1

_UNUSED_2D = np.zeros((1, 1), np.float32)
_UNUSED_3D = np.zeros((1, 1, 1), np.float32)


@dataclass
class _Band:
    """Tile rows that are drawn together, and their entries; arrays are reused by later calls."""

    starts: Array
    cursors: Array
    entry_rows: Array
    entry_slots: Array
    slot_tiles: Array
    results: Array
    tile_sums: Array


class CpuKernel:
    """Draws rows on a canvas, and differentiates the drawing, in float32 on the CPU.

    Calls from several threads are serialised. Results do not depend on the number of threads. Worker threads are
    started by the first call that needs them, and end with `close`, at the end of a `with` block, or with the kernel;
    a call after `close` starts them again.

    Args:
        threads: number of threads that draw, the caller's included; see `threads.thread_count`.

    Raises:
        InputError: `threads` is out of range.
    """

    name = "numba"

    def __init__(self, threads: int | None = None) -> None:
        self.threads = thread_count(threads)
        self._lock = threading.Lock()
        self._workers = Workers(self.threads - 1)
        self._active_call: tuple[Array, SimpleQueue[None]] | None = None  # flags that workers may still read, messages
        self._scratch_size = 0
        self._scratches = [aligned(0)] * self.threads
        self._band = _Band(
            starts=np.zeros(1, np.int64), cursors=np.zeros(0, np.int64), entry_rows=np.zeros(0, np.int32),
            entry_slots=np.zeros(0, np.int32), slot_tiles=np.zeros(0, np.int32),
            results=np.zeros((0, NARROW), np.float32), tile_sums=np.zeros((0, 4)),
        )  # fmt: skip
        self.entry_count = 0
        """Number of tile entries of the last call."""

    def close(self) -> None:
        """Ends the worker threads, after the active call."""
        with self._lock:
            self._finish_call()
            self._workers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pair_count(self) -> int:
        """Number of (pixel, row) pairs of the last call, counting whole tiles."""
        return self.entry_count * AREA

    def render(self, rows: Array, kinds: Array, canvas: Canvas) -> Array:
        """See `kernels.base.Kernel.render`."""
        image = np.empty((canvas.height, canvas.width, 3), np.float32)
        self._run_tiles(RENDER, rows, kinds, canvas, _UNUSED_3D, _UNUSED_2D, image)
        return image

    def loss_and_gradient(
        self, rows: Array, kinds: Array, canvas: Canvas, target: Array, shares: Array
    ) -> tuple[float, Array, Array]:
        """See `kernels.base.Kernel.loss_and_gradient`. Forward and backward pass are fused per tile."""
        totals, sums = self._run_tiles(LOSS, rows, kinds, canvas, target, shares, _UNUSED_3D)
        return float(sums[0]), totals.astype(np.float32), sums[1:].astype(np.float32)

    def vjp(self, rows: Array, kinds: Array, canvas: Canvas, image_gradient: Array) -> tuple[Array, Array]:
        """See `kernels.base.Kernel.vjp`."""
        planes = np.ascontiguousarray(np.moveaxis(image_gradient, 2, 0), np.float32)
        if not np.isfinite(planes).all():  # undefined under fast-math flags
            raise NotFinite("the gradient on the picture is not finite; needs a loss with finite derivatives")
        totals, sums = self._run_tiles(VJP, rows, kinds, canvas, planes, _UNUSED_2D, _UNUSED_3D)
        return totals.astype(np.float32), sums[1:].astype(np.float32)

    def worth(self, rows: Array, kinds: Array, canvas: Canvas, target: Array, shares: Array) -> tuple[float, Array]:
        """See `kernels.base.Kernel.worth`."""
        totals, sums = self._run_tiles(WORTH, rows, kinds, canvas, target, shares, _UNUSED_3D)
        return float(sums[0]), totals[:, 0]

    place = staticmethod(place)
    coloured = staticmethod(coloured)

    def _run_tiles(
        self, mode: int, rows: Array, kinds: Array, canvas: Canvas, target: Array, shares: Array, image: Array
    ) -> tuple[Array, Array]:
        """Runs one mode of `paint_tiles` over the canvas.

        Returns:
            Totals for the columns of each row, (N, P) float64 (WORTH: in column 0), and `tile_sums` over tiles, (4,).
        """
        with self._lock:
            self._finish_call()  # workers of an interrupted call may still use its arrays
            scene_rows, target, shares = (_as_float32(array) for array in (rows, target, shares))
            rows, kinds = packed(scene_rows, kinds)
            edge = FALLOFFS[canvas.edge].code
            background = np.array(canvas.background, np.float32)
            tiles_x, tiles_y = -(-canvas.width // TILE), -(-canvas.height // TILE)
            spans = np.empty((len(rows), 4), np.int32)
            per_tile_row = np.empty(tiles_y, np.int64)
            if not measure(rows, kinds, edge, tiles_x, tiles_y, spans, per_tile_row):
                check_finite(scene_rows)
            slots = np.empty(len(rows) + 1, np.int64)
            totals = np.zeros(rows.shape)
            sums = np.zeros(4)
            self.entry_count = 0
            for first, last in _bands(per_tile_row):
                tile_count = (last - first) * tiles_x
                band = self._reserve_band(tile_count, int(per_tile_row[first:last].sum()), rows.shape[1])
                starts, results = band.starts[: tile_count + 1], band.results
                flags = np.zeros(FLAG_COUNT, np.int64)  # new: a late worker may still read those of the last call
                arguments = (
                    mode, flags, canvas.width, canvas.height, tiles_x, first, edge, rows, kinds, starts,
                    band.entry_rows, band.entry_slots, background, target.reshape(-1), shares.reshape(-1), image,
                    results, band.tile_sums,
                )  # fmt: skip

                def run_tiles(number: int, arguments: tuple[Any, ...] = arguments) -> None:
                    while paint_tiles(*arguments, self._scratch(number)):
                        pass  # `_scratch` returns a larger one

                is_small = mode == RENDER and per_tile_row[first:last].sum() <= ENTRIES_ALONE
                worker_count = 0 if is_small else tile_count - 1
                returned: SimpleQueue[None] = SimpleQueue()
                self._active_call = flags, returned
                try:
                    # Before the bins are filled, which takes about as long as waking the workers.
                    self._workers.wake(run_tiles, worker_count, returned)
                    entry_count, fullest_count = fill(
                        rows, kinds, edge, tiles_x, first, last, spans, starts, band.cursors[:tile_count],
                        band.entry_rows, band.entry_slots, band.slot_tiles, slots,
                    )  # fmt: skip
                    self.entry_count += entry_count
                    self._scratch_size = scratch_size(mode, fullest_count, planes_of(kinds))
                    if release(flags, self._scratch_size):
                        self._workers.wake(run_tiles, worker_count, returned)
                    run_tiles(0)
                finally:
                    self._finish_call()
                if mode != RENDER:
                    sum_slots(slots, results, totals)
                    sums += band.tile_sums[:tile_count].sum(axis=0)
            self._workers.check()
            if rows is not scene_rows and mode in (LOSS, VJP):
                apply_chain_rules(scene_rows, kinds, rows, totals)
            return totals[:, : scene_rows.shape[1]], sums

    def _finish_call(self) -> None:
        """Closes the active call to late workers, and waits for those that run it."""
        if self._active_call is None:
            return
        flags, returned = self._active_call
        if not finish(flags):
            while flags[LEFT] != flags[ENTERED]:
                try:
                    returned.get(timeout=_WORKER_TIMEOUT)
                except Empty:
                    pass  # a killed worker sends no message
        self._active_call = None

    def _scratch(self, number: int) -> Array:
        """The scratch of a thread, enlarged if it is too small for the active call."""
        if len(self._scratches[number]) < self._scratch_size:
            self._scratches[number] = aligned(self._scratch_size * 5 // 4)
        return self._scratches[number]

    def _reserve_band(self, tile_count: int, entry_count: int, width: int) -> _Band:
        """The band, its arrays enlarged where they are too small."""
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
    """Splits the rows of tiles into bands of at most `ENTRIES_HELD` entries, or of one row; first and past-last row."""
    bands, first, held = [], 0, 0
    for tile_row, entry_count in enumerate(per_tile_row.tolist()):
        if held + entry_count > ENTRIES_HELD and tile_row > first:
            bands.append((first, tile_row))
            first, held = tile_row, 0
        held += entry_count
    bands.append((first, len(per_tile_row)))
    return bands


def aligned(size: int) -> Array:
    """(size,) float32, aligned to a cache line: 7 % faster, since no vector crosses two lines."""
    floats = CACHE_LINE // 4
    array = np.empty(size + floats, np.float32)
    start = -(array.ctypes.data // 4) % floats
    return array[start : start + size]


def _as_float32(array: Array) -> Array:
    """The array as float32, C-contiguous and writable: Numba compiles a function again for any other kind."""
    return np.require(array, np.float32, ["C", "W"])


def shared_kernel(threads: int | None = None) -> CpuKernel:
    """The kernel shared by all callers that draw with this number of threads; see `threads.thread_count`.

    Raises:
        InputError: `threads` is out of range.
    """
    return _kernel_of(thread_count(threads))


@lru_cache(maxsize=4)
def _kernel_of(threads: int) -> CpuKernel:
    return CpuKernel(threads)


if hasattr(os, "register_at_fork"):
    # A forked child creates its own kernels: those of its parent may be in the middle of a call.
    os.register_at_fork(after_in_child=_kernel_of.cache_clear)
