"""The CPU kernel: bins rows to tiles, has its threads paint them and take optimiser steps, and sums the results.

It has its own threads because Numba's `parallel=True` starts OpenMP threads that spin between calls and compete with
the frameworks' pools (a step grew from 3 to 28 ms inside a jitted JAX loop), and doubles the compile time.
Threads run without the GIL and take tasks from an atomic counter (`team`). Every result has its own slot and is summed
in slot order, so that results depend neither on the thread count nor on timing.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

import numpy as np

from ...canvas import Canvas
from ...errors import NotFinite
from ...primitives.falloff import FALLOFFS
from ...row_layout import check_finite
from ...threads import thread_count
from .bins import fill_band, measure, sum_slots
from .descent import CHUNK, move_rows
from .optimiser import Optimiser
from .placing import coloured, place
from .shapes.dispatch import apply_chain_rules, packed, planes_of
from .shapes.layout import AREA, NARROW, PLANE_COUNT, TILE_HEIGHT, TILE_WIDTH
from .team import SCRATCH_SIZE, close, new_flags
from .tiles import LOSS, RENDER, VJP, WORTH, scratch_size
from .work import LATE, NOT_FINITE, SMALL_SCRATCH, STEPS, work
from .workers import Workers

Array = np.ndarray[Any, Any]

# Most entries of a band: 8M take 0.3 GB. A scene with more is drawn in bands of tile rows.
ENTRIES_HELD = 8_000_000

# A picture of at most this many entries is drawn by the caller alone: workers would wake too late.
ENTRIES_ALONE = 4000

# Optimiser steps in one compiled call. Each call wakes the workers that gave up waiting during the last.
STEPS_TOGETHER = 16

CACHE_LINE = 64  # bytes

# Seconds between looks at the tasks of a thread that is late.
_LATE_SECONDS = 1e-4

_UNUSED_1D = np.zeros(1, np.float32)
_UNUSED_2D = np.zeros((1, 1), np.float32)
_UNUSED_3D = np.zeros((1, 1, 1), np.float32)
_UNUSED_TOTALS = np.zeros((1, 1))
_NO_STEPS = (
    np.zeros(0, np.float32), _UNUSED_1D, _UNUSED_2D, _UNUSED_2D, _UNUSED_2D, _UNUSED_2D, _UNUSED_2D, _UNUSED_2D,
    _UNUSED_TOTALS, _UNUSED_2D, np.zeros(0),
)  # fmt: skip


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

    slots: Array

    @property
    def entries(self) -> tuple[Array, Array, Array]:
        """The arrays with a value for each entry, in the order in which compiled functions take them."""
        return self.entry_rows, self.entry_slots, self.slot_tiles


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
        # Flags that workers may still read, and the number of tasks of their phases.
        self._active_call: tuple[Array, int, int] | None = None
        self._scratches = [aligned(0)] * self.threads
        self._band = _Band(
            starts=np.zeros(1, np.int64), cursors=np.zeros(0, np.int64), entry_rows=np.zeros(0, np.int32),
            entry_slots=np.zeros(0, np.int32), slot_tiles=np.zeros(0, np.int32),
            results=np.zeros((0, NARROW), np.float32), tile_sums=np.zeros((0, 4)), slots=np.zeros(1, np.int64),
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

    def descend(self, optimiser: Optimiser, scales: Sequence[float]) -> tuple[int, float]:
        """Takes optimiser steps on the mean squared error, all in compiled code.

        Args:
            optimiser: changed.
            scales: factors of the learning rates, one for each step.

        Returns:
            The number of steps taken, and the loss before the last of them; fewer than wanted if a value was not
            finite. The optimiser is then in the state before the failing step.
        """
        taken, loss = 0, float("nan")
        while taken < len(scales):
            some = np.array(scales[taken : taken + STEPS_TOGETHER], np.float32)
            optimiser.save()
            done, last, finite = self._descend(optimiser, some)
            if not finite:
                optimiser.restore()
                if done:
                    self._descend(optimiser, some[:done])
            if done:
                taken, loss = taken + done, last
            if not finite:
                break
        return taken, loss

    def move(self, optimiser: Optimiser, gradient: Array, scale: float) -> None:
        """Takes an optimiser step with a gradient, dL/drows, (N, P)."""
        o = optimiser
        o.gradient[:, : gradient.shape[1]] = gradient
        move_rows(o.kinds, np.float32(scale), *o.moved)
        o.pack()

    def decode(self, optimiser: Optimiser) -> None:
        """Computes the rows from the raw parameters."""
        move_rows(optimiser.kinds, np.float32(-1), *optimiser.moved)
        optimiser.pack()

    def _descend(self, o: Optimiser, scales: Array) -> tuple[int, float, bool]:
        """Steps until one fails or the arrays are too small: their number, the last loss, and whether none failed."""
        with self._lock:
            self._finish_call()
            edge, tiles_x, tiles_y = _grid_of(o.canvas)
            spans, per_tile_row = np.empty((len(o.rows), 4), np.int32), np.empty(tiles_y, np.int64)
            if not measure(o.rows, o.kinds, edge, tiles_x, tiles_y, spans, per_tile_row):
                return 0, float("nan"), False
            entry_count = int(per_tile_row.sum())
            if entry_count <= ENTRIES_HELD:
                band = self._reserve_band(tiles_x * tiles_y, entry_count, o.rows.shape[1], len(o.backgrounds))
                losses = np.empty(len(scales))
                problem = o.backgrounds, o.targets.reshape(-1), o.shares.reshape(-1), _UNUSED_3D
                steps = scales, *o.arrays, losses
                status, done = self._work(
                    LOSS, o.canvas, (0, tiles_y), o.rows, o.kinds, spans, band, entry_count, problem, steps
                )
                return done, float(losses[done - 1]) if done else float("nan"), status != NOT_FINITE
        results = [
            self.loss_and_gradient(o.scene_rows, o.kinds, replace(o.canvas, background=tuple(b)), t, o.shares)
            for b, t in zip(o.backgrounds.tolist(), o.targets, strict=True)
        ]
        loss, gradient = (sum(part) / len(results) for part in list(zip(*results, strict=True))[:2])
        if not (np.isfinite(loss) and np.isfinite(gradient).all()):
            return 0, float("nan"), False
        self.move(o, gradient, scales[0])
        return 1, float(loss), True

    def _run_tiles(
        self, mode: int, rows: Array, kinds: Array, canvas: Canvas, target: Array, shares: Array, image: Array
    ) -> tuple[Array, Array]:
        """Paints the canvas in one of the modes of `paint_tile`.

        Returns:
            Totals for the columns of each row, (N, P) float64 (WORTH: in column 0), and `tile_sums` over tiles, (4,).
        """
        with self._lock:
            self._finish_call()  # workers of an interrupted call may still use its arrays
            scene_rows, target, shares = (_as_float32(array) for array in (rows, target, shares))
            rows, kinds = packed(scene_rows, kinds)
            edge, tiles_x, tiles_y = _grid_of(canvas)
            problem = np.array([canvas.background], np.float32), target.reshape(-1), shares.reshape(-1), image
            spans, per_tile_row = np.empty((len(rows), 4), np.int32), np.empty(tiles_y, np.int64)
            if not measure(rows, kinds, edge, tiles_x, tiles_y, spans, per_tile_row):
                check_finite(scene_rows)
            totals, sums = np.zeros(rows.shape), np.zeros(4)
            self.entry_count = 0
            for first, last in _bands(per_tile_row):
                tile_count = (last - first) * tiles_x
                entry_count = int(per_tile_row[first:last].sum())
                band = self._reserve_band(tile_count, entry_count, rows.shape[1], 1)
                self._work(mode, canvas, (first, last), rows, kinds, spans, band, entry_count, problem, _NO_STEPS)
                if mode != RENDER:
                    sum_slots(band.slots, band.results, totals)
                    sums += band.tile_sums[:tile_count].sum(axis=0)
            if rows is not scene_rows and mode in (LOSS, VJP):
                apply_chain_rules(scene_rows, kinds, rows, totals)
            return totals[:, : scene_rows.shape[1]], sums

    def _work(
        self, mode: int, canvas: Canvas, tile_rows: tuple[int, int], rows: Array, kinds: Array, spans: Array,
        band: _Band, entry_count: int, problem: tuple[Array, ...], steps: tuple[Array, ...],
    ) -> tuple[int, int]:  # fmt: skip
        """Runs `work.work` on all threads; returns its status, and the number of optimiser steps taken.

        Args:
            mode: as in `paint_tile`.
            canvas: of the scene.
            tile_rows: first and past-last row of tiles.
            rows: (N, W) the kernel's rows.
            kinds: (N,) codes of primitives.
            spans: from `measure`.
            band: large enough for the entries.
            entry_count: the most entries that these rows have.
            problem: backgrounds, (B, 3), then targets, shares and image as in `paint_tile`.
            steps: the last arguments of `work.work`, from the scales on.
        """
        edge, tiles_x, tiles_y = _grid_of(canvas)
        first, last = tile_rows
        tile_count, backdrops = (last - first) * tiles_x, len(problem[0])
        tile_tasks, row_tasks = tile_count * backdrops, -(-len(rows) // CHUNK)
        flags, progress, planes = new_flags(), np.zeros(3, np.int64), planes_of(kinds)
        slots = np.empty(len(rows) + 1, np.int64)
        band.slots = slots
        listing = band.starts[: tile_count + 1], band.cursors[:tile_count], *band.entries, slots
        arguments = (
            mode, flags, tile_tasks, row_tasks, canvas.width, canvas.height, tiles_x, tiles_y, first, edge, rows, kinds,
            spans, *listing, *problem, band.results, band.tile_sums[:tile_tasks], *steps,
        )  # fmt: skip

        def run(number: int) -> int:
            status = SMALL_SCRATCH
            while status == SMALL_SCRATCH:
                scratch = self._scratch(number, max(int(flags[SCRATCH_SIZE]), PLANE_COUNT * AREA))
                status = work(number == 0, progress, planes, scratch, *arguments)
            return int(status)

        has_steps = len(steps[0]) > 0
        is_small = mode == RENDER and entry_count <= ENTRIES_ALONE
        self._active_call = flags, tile_tasks, row_tasks
        try:
            # Before the bins are filled, which takes about as long as waking the workers.
            self._workers.wake(run, 0 if is_small else tile_tasks - 1)
            if not has_steps:
                listed, fullest = fill_band(rows, kinds, edge, tiles_x, first, last, spans, *listing)
                self.entry_count += listed
                flags[SCRATCH_SIZE] = scratch_size(mode, fullest, planes)
            while (status := run(0)) == LATE:
                time.sleep(_LATE_SECONDS)
        finally:
            self._finish_call()
        self._workers.check()
        if has_steps:
            self.entry_count = int(listing[0][-1])
        return status, int(progress[STEPS])

    def _finish_call(self) -> None:
        """Closes the active call to late workers, and waits for those that have a task of it."""
        if self._active_call is not None:
            while not close(*self._active_call):
                time.sleep(_LATE_SECONDS)
            self._active_call = None

    def _scratch(self, number: int, size: int) -> Array:
        """The scratch of a thread, of at least this size."""
        if len(self._scratches[number]) < size:
            self._scratches[number] = aligned(size * 5 // 4)
        return self._scratches[number]

    def _reserve_band(self, tile_count: int, entry_count: int, width: int, backdrops: int) -> _Band:
        """The band, its arrays enlarged where they are too small."""
        band = self._band
        if len(band.cursors) < tile_count or len(band.tile_sums) < tile_count * backdrops:
            band.starts = np.empty(tile_count + 1, np.int64)
            band.cursors = np.empty(tile_count, np.int64)
            band.tile_sums = np.empty((tile_count * backdrops, 4))
        if len(band.entry_rows) < entry_count:
            capacity = entry_count * 5 // 4
            band.entry_rows, band.entry_slots, band.slot_tiles = (np.empty(capacity, np.int32) for _ in range(3))
        if band.results.shape != (shape := (len(band.entry_rows) * backdrops, width)):
            band.results = np.empty(shape, np.float32)
        return band


def _grid_of(canvas: Canvas) -> tuple[int, int, int]:
    """The code of the falloff, tiles across, and tiles down."""
    return FALLOFFS[canvas.edge].code, -(-canvas.width // TILE_WIDTH), -(-canvas.height // TILE_HEIGHT)


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
