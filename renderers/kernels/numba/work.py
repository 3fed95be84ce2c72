"""The work of a call, on all its threads: painting the tiles of a band, or optimiser steps of a whole scene.

An optimiser step is two phases: the tiles are painted and differentiated, then each row takes its step. Before the
first, the leader alone lists the entries of the tiles. Steps stay in compiled code, since a call from Python takes as
long as a tenth of a step.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .bins import fill, most_entries
from .cache import compiled
from .descent import CHUNK, gradient_of_row, move_row, prepare_row
from .team import BEFORE, FAILED, SCRATCH_SIZE, claim, finish_task, open_phase, wait_for_all, wait_for_phase
from .tiles import paint_tile, prepare_scratch, scratch_size

# What `work` returns: it is finished, a thread is late with its task, the scratch or the band is too small, or a value
# is not finite. If a thread is late, call it again; if the scratch is small, with a larger one.
FINISHED, LATE, SMALL_SCRATCH, SMALL_BAND, NOT_FINITE = range(5)

# Indices of the leader's progress: phase, optimiser steps done, what comes next.
PHASE, STEPS, NEXT = range(3)
# Values of NEXT: list the entries, or finish the open phase.
LIST, FINISH = range(2)

_U = np.uintp
_scratch_size = njit(scratch_size)


@njit(nogil=True, error_model="numpy")
def _do_tasks(
    scratch, mode, flags, tile_tasks, row_tasks, width, height, tiles_x, tiles_y, first_tile_row, edge, rows, kinds,
    spans, starts, entry_rows, entry_slots, slots, backgrounds, targets, shares, image, results, tile_sums,
    scale, numbers, tables, raw, mean, square, weights, decoded, totals, gradient,
):  # fmt: skip
    """Takes tasks until none is left in the current phase, or the scratch is too small; returns the phase."""
    backdrops = backgrounds.shape[0]
    tile_count = tile_tasks // backdrops
    phase = np.int64(0)
    while scratch.shape[0] >= flags[SCRATCH_SIZE]:
        phase, task = claim(flags, tile_tasks, row_tasks)
        if task < 0:
            break
        if phase & 1:
            for i in range(_U(task * CHUNK), _U(min(task * CHUNK + CHUNK, rows.shape[0]))):
                kind = kinds[i]
                if gradient_of_row(i, kind, rows, decoded, slots, results, backdrops, totals, gradient):
                    move_row(i, kind, gradient, scale[phase >> 1], numbers, tables, raw, mean, square, weights, decoded)
                    prepare_row(i, kind, edge, tiles_x, tiles_y, decoded, rows, spans)
                else:
                    flags[FAILED] = 1
        else:
            backdrop = task // tile_count
            paint_tile(
                scratch, mode, task - backdrop * tile_count, width, height, tiles_x, first_tile_row, edge, rows, kinds,
                starts, entry_rows, entry_slots, backdrop, backgrounds, targets, shares, image, results, tile_sums,
            )  # fmt: skip
        finish_task(flags)
    return phase


@compiled(error_model="numpy")
def work(
    leads, progress, planes, scratch, mode, flags, tile_tasks, row_tasks, width, height, tiles_x, tiles_y,
    first_tile_row, edge, rows, kinds, spans, starts, cursors, entry_rows, entry_slots, slot_tiles, slots,
    backgrounds, targets, shares, image, results, tile_sums,
    scales, numbers, tables, raw, mean, square, weights, decoded, totals, gradient, losses,
):  # fmt: skip
    """Works on a call as its leader or as another thread.

    Without steps (`scales` is empty) the entries must be listed, and the leader paints the tiles of a band.

    Returns:
        FINISHED, LATE, SMALL_SCRATCH, SMALL_BAND or NOT_FINITE.
    """
    prepare_scratch(scratch)
    while True:
        if leads and progress[NEXT] == LIST:
            if scales.shape[0] > 0:
                if progress[STEPS] == scales.shape[0]:
                    return FINISHED
                if most_entries(spans) > entry_rows.shape[0]:
                    return SMALL_BAND
                _, fullest = fill(
                    rows, kinds, edge, tiles_x, 0, tiles_y, spans, starts, cursors, entry_rows, entry_slots,
                    slot_tiles, slots,
                )  # fmt: skip
                flags[SCRATCH_SIZE] = _scratch_size(mode, fullest, planes)
            open_phase(flags, progress[PHASE], progress[PHASE] // 2 * (tile_tasks + row_tasks))
            progress[NEXT] = FINISH
        if scratch.shape[0] < flags[SCRATCH_SIZE]:
            return SMALL_SCRATCH
        phase = _do_tasks(
            scratch, mode, flags, tile_tasks, row_tasks, width, height, tiles_x, tiles_y, first_tile_row, edge,
            rows, kinds, spans, starts, entry_rows, entry_slots, slots, backgrounds, targets, shares, image,
            results, tile_sums, scales, numbers, tables, raw, mean, square, weights, decoded, totals, gradient,
        )  # fmt: skip
        if not leads:
            if phase < 0 or not wait_for_phase(flags, tile_tasks, row_tasks, rows.shape[0]):
                return FINISHED
            continue
        expected = flags[BEFORE] + (row_tasks if progress[PHASE] & 1 else tile_tasks)
        if not wait_for_all(flags, expected):
            return LATE
        progress[PHASE] += 1
        if scales.shape[0] == 0:
            return FINISHED
        if progress[PHASE] & 1:
            loss = 0.0
            for tile in range(_U(tile_tasks)):
                loss += tile_sums[tile, 0]
            losses[progress[STEPS]] = loss / backgrounds.shape[0]
            if not math.isfinite(loss):
                return NOT_FINITE
            open_phase(flags, progress[PHASE], expected)
        else:
            if flags[FAILED]:
                return NOT_FINITE
            progress[STEPS] += 1
            progress[NEXT] = LIST
