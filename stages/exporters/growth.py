"""The growth of a painting as scenes at an even visual pace, for films and the viewer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from artpipe.renderers import Scene
from artpipe.renderers.alpha import comparable
from artpipe.renderers.primitives.base import OPACITY
from artpipe.renderers.row_layout import stacked_rows

from ..events import Snapshot
from ..result import Result

Array = np.ndarray[Any, Any]

# Longest side at which scenes are compared, pixels: smaller movements are not seen in a film either.
_COMPARED = 96
# Share of a transition that a single shape takes to appear or vanish.
_FADE = 0.25
# Equal parts of the way to the result in which scenes are inserted where snapshots are far apart.
_PARTS = 40
# Pieces that batches are assembled from, and the bisection steps that find the visible change allowed to each.
_PIECES = 512
_HALVINGS = 12


def keys(result: Result) -> tuple[Snapshot, ...]:
    """Return all scenes of a result in order of time, from the blank canvas to its scene."""
    history = result.history
    steps = [snapshot.step for snapshot in history.snapshots] + [point.step for point in history.curve]
    last = Snapshot(max(steps, default=0), result.scene)
    return Snapshot(0, Scene.empty(result.scene.canvas)), *history.snapshots, last


def even_keys(result: Result, count: int) -> tuple[Snapshot, ...]:
    """Return at most `count` of the result's own scenes, ends included, as evenly spaced in looks as possible."""
    known = keys(result)
    if len(known) <= count:
        return known
    progress = _progress(_distances_in(result))
    wanted = np.linspace(0, progress[-1], count)
    chosen = {int(np.argmin(np.abs(progress - distance))) for distance in wanted[1:-1]} | {0, len(known) - 1}
    return tuple(known[k] for k in sorted(chosen))


def even_scenes(result: Result, count: int) -> list[Scene]:
    """Return exactly `count` scenes that approach the result in equal visual steps, from the blank canvas on.

    Between the result's own scenes, shapes present in both are interpolated linearly; new ones appear and removed ones
    vanish one after the other.

    Args:
        result: the painting.
        count: 2 or more.
    """
    known, distances = _without_leaps([snapshot.scene for snapshot in keys(result)], _distances_in(result))
    progress = _progress(distances)
    scenes = known[:1]
    for distance in np.linspace(0, progress[-1], count)[1:-1]:
        k = min(int(np.searchsorted(progress, distance, side="right")), len(known) - 1)
        length = progress[k] - progress[k - 1]
        share = float((distance - progress[k - 1]) / length) if length > 0 else 1.0
        scenes.append(between(known[k - 1], known[k], min(max(share, 0.0), 1.0)))
    return [*scenes, result.scene]


def _without_leaps(known: list[Scene], distances: list[float]) -> tuple[list[Scene], list[float]]:
    """Insert scenes between those far apart: half of a batch makes more than half of its visual change.

    Args:
        known: the scenes.
        distances: of each to the last.

    Returns:
        Both with the inserted scenes.
    """
    progress = _progress(distances)
    last = _small_picture(known[-1])
    smooth, lengths = known[:1], distances[:1]
    for k in range(1, len(known)):
        parts = max(1, round((progress[k] - progress[k - 1]) / max(progress[-1], 1e-9) * _PARTS))
        inserted = [between(known[k - 1], known[k], part / parts) for part in range(1, parts)]
        smooth += [*inserted, known[k]]
        lengths += [*(_difference(_small_picture(scene), last) for scene in inserted), distances[k]]
    return smooth, lengths


def between(before: Scene, after: Scene, share: float) -> Scene:
    """Return a scene between two others.

    Rows with the same id are interpolated. Rows only in `after` appear and rows only in `before` vanish, one after the
    other in painting order; a vanishing row stays above the row that it was painted over. Invisible rows are left out.

    Args:
        before: the scene at share 0.
        after: the scene at share 1; its canvas is kept.
        share: 0..1.
    """
    if share <= 0:
        return before
    if share >= 1:
        return after
    _, in_before, in_after = np.intersect1d(before.ids, after.ids, assume_unique=True, return_indices=True)
    moved, fading = after.rows.copy(), before.rows.copy()
    width = min(before.rows.shape[1], after.rows.shape[1])  # a wider primitive may be in one of them only
    old, new = before.rows[in_before, :width], after.rows[in_after, :width]
    # Rounding may leave the interval by a bit, and with it the limits of a scene.
    moved[in_after, :width] = np.clip((1 - share) * old + share * new, np.minimum(old, new), np.maximum(old, new))
    is_new = np.ones(after.count, bool)
    is_new[in_after] = False
    presence = np.ones(after.count, np.float32)
    presence[is_new] = _one_by_one(int(is_new.sum()), share)
    is_removed = np.ones(before.count, bool)
    is_removed[in_before] = False
    remains = np.zeros(before.count, np.float32)
    remains[is_removed] = 1 - _one_by_one(int(is_removed.sum()), share)
    moved[:, OPACITY] *= presence
    fading[:, OPACITY] *= remains
    # A vanishing row is painted after the last shared row that was painted before it.
    floor = np.full(before.count, -1)
    floor[in_before] = in_after
    floor = np.maximum.accumulate(floor) if before.count else floor
    order = np.argsort(np.concatenate([np.arange(after.count), floor + 0.5]), kind="stable")
    order = order[np.concatenate([presence, remains])[order] > 0]
    return Scene(
        stacked_rows([moved, fading])[order],
        after.canvas,
        ids=np.concatenate([after.ids, before.ids])[order],
        kinds=np.concatenate([after.kinds, before.kinds])[order],
        next_id=max(before.next_id, after.next_id),
    )


def _one_by_one(count: int, share: float) -> Array:
    """Return the progress, 0..1, of `count` transitions that start one after the other; the last ends at share 1."""
    starts = np.linspace(0, 1 - _FADE, count) if count > 1 else np.zeros(count)
    return np.clip((share - starts) / _FADE, 0, 1).astype(np.float32)


def _progress(distances: Sequence[float]) -> Array:
    """Return the visual progress of scenes towards the last: 0 for the first, never decreasing.

    The sum of all changes would not do: relocation makes the picture flicker without bringing it nearer.

    Args:
        distances: of the scenes to the last one, in order of time.
    """
    return distances[0] - np.minimum.accumulate(distances)


def _distances_in(result: Result) -> list[float]:
    """Return the root mean squared difference of the picture of each of `keys` to the last; once for all exports."""
    known = [snapshot.scene for snapshot in keys(result)]
    found = _DISTANCES.get(result, [])
    if len(found) != len(known):  # new, or snapshots were added to its history
        last = _small_picture(known[-1])
        found = _DISTANCES[result] = [_difference(_small_picture(scene), last) for scene in known]
    return found


_DISTANCES: WeakKeyDictionary[Result, list[float]] = WeakKeyDictionary()


def _small_picture(scene: Scene) -> Array:
    """Return the picture by which scenes are compared; see `comparable`."""
    canvas = scene.canvas
    width = max(1, round(canvas.width * min(1.0, _COMPARED / max(canvas.width, canvas.height))))
    return comparable(scene.scaled(width, max(1, round(canvas.height * width / canvas.width))))


def _difference(image: Array, other: Array) -> float:
    """Return the root mean squared difference."""
    return float(np.sqrt(np.mean(np.square(image - other, dtype=np.float64))))


def _piece_ends(count: int) -> Array:
    """Return the ends of pieces that batches are made of, 0 included. The first rows change most: each is a piece."""
    single = min(count, _PIECES // 2)
    return np.unique(
        np.concatenate([np.arange(single), np.linspace(single, count, _PIECES // 2 + 1).round()]).astype(int)
    )


def even_batches(scene: Scene, count: int, share: float) -> list[int]:
    """Cut the painting order into batches, keeping the largest visible change of a batch small.

    Args:
        scene: the scene to cut.
        count: number of batches; `share` may require more.
        share: largest share of the rows in a batch, 0..1; a batch of one row is always allowed.

    Returns:
        End of each batch as an increasing row number; the last is the number of rows.
    """
    if scene.count == 0:
        return []
    largest = max(1, int(share * scene.count))
    pieces = _piece_ends(scene.count)
    pictures = [_small_picture(scene.select(np.arange(end))) for end in pieces]

    def batches(change: float) -> list[int]:
        """Return the ends of greedy batches that each change the picture by at most this."""
        ends, start = [], 0
        while start < len(pieces) - 1:
            end = start + 1
            while (
                end + 1 < len(pieces)
                and pieces[end + 1] - pieces[start] <= largest
                and _difference(pictures[end + 1], pictures[start]) <= change
            ):
                end += 1
            ends.append(int(pieces[end]))
            start = end
        return ends

    low, high = 0.0, 1.0
    best = batches(high)
    most = max(count, len(best))
    for _ in range(_HALVINGS):
        change = (low + high) / 2
        ends = batches(change)
        if len(ends) <= most:
            high, best = change, ends
        else:
            low = change
    return best
