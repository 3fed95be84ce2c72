"""How a painting came about, as scenes at an even visual pace: what films show and viewers step through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from artpipe.renderers import Scene
from artpipe.renderers.alpha import comparable
from artpipe.renderers.scene import stacked_rows

from ..events import Snapshot
from ..result import Result

Array = np.ndarray[Any, Any]

# The longest side at which scenes are compared, pixels: what moves by less is not seen in a film either.
_COMPARED = 96
# Share of a change that one shape takes to appear or to vanish.
_FADE = 0.25
# Parts of the way to the result that are measured on their own.
_PARTS = 40
# Pieces that batches are put together from, and the bisection steps that find how much each may change.
_PIECES = 512
_HALVINGS = 12


def keys(result: Result) -> tuple[Snapshot, ...]:
    """All scenes that a result holds, from the blank canvas to its scene, in order of time."""
    history = result.history
    steps = [snapshot.step for snapshot in history.snapshots] + [point.step for point in history.curve]
    last = Snapshot(max(steps, default=0), result.scene)
    return Snapshot(0, Scene.empty(result.scene.canvas)), *history.snapshots, last


def even_keys(result: Result, count: int) -> tuple[Snapshot, ...]:
    """At most `count` of the result's own scenes, as even steps towards the result as they come; both ends too."""
    known = keys(result)
    if len(known) <= count:
        return known
    way = _way([snapshot.scene for snapshot in known])
    wanted = np.linspace(0, way[-1], count)
    chosen = {int(np.argmin(np.abs(way - distance))) for distance in wanted[1:-1]} | {0, len(known) - 1}
    return tuple(known[k] for k in sorted(chosen))


def even_scenes(result: Result, count: int) -> list[Scene]:
    """Exactly `count` scenes that come nearer to the result by equal steps: the blank canvas first, the result last.

    Between the scenes that the result holds, shapes that stay move and change in straight lines, newcomers
    appear and those torn out vanish one after the other.

    Args:
        result: what to show.
        count: 2 or more.
    """
    known = _without_leaps([snapshot.scene for snapshot in keys(result)])
    way = _way(known)
    scenes = known[:1]
    for distance in np.linspace(0, way[-1], count)[1:-1]:
        k = min(int(np.searchsorted(way, distance, side="right")), len(known) - 1)
        length = way[k] - way[k - 1]
        share = float((distance - way[k - 1]) / length) if length > 0 else 1.0
        scenes.append(between(known[k - 1], known[k], min(max(share, 0.0), 1.0)))
    return [*scenes, result.scene]


def _without_leaps(known: list[Scene]) -> list[Scene]:
    """The scenes with others between those far apart: half of a batch is more than half of the way."""
    way = _way(known)
    smooth = [known[0]]
    for k in range(1, len(known)):
        parts = max(1, round((way[k] - way[k - 1]) / max(way[-1], 1e-9) * _PARTS))
        smooth += [between(known[k - 1], known[k], part / parts) for part in range(1, parts + 1)]
    return smooth


def between(before: Scene, after: Scene, share: float) -> Scene:
    """A scene on the way from one to another.

    Rows with the same id are blended. Rows of `after` alone appear and rows of `before` alone vanish, one after
    the other in painting order; while they vanish they keep their place above the row they stood on. Rows that
    cannot be seen are not there.

    Args:
        before: the scene at share 0.
        after: the scene at share 1; its canvas is kept.
        share: 0..1.
    """
    if share <= 0:
        return before
    if share >= 1:
        return after
    shared, in_before, in_after = np.intersect1d(before.ids, after.ids, return_indices=True)
    moved = after.rows.copy()
    width = min(before.rows.shape[1], after.rows.shape[1])  # one of them may hold wider rows that the other has not
    old, new = before.rows[in_before, :width], after.rows[in_after, :width]
    # Rounding may leave the way by a bit, and with it what a scene may hold.
    moved[in_after, :width] = np.clip((1 - share) * old + share * new, np.minimum(old, new), np.maximum(old, new))
    come = np.ones(after.count, np.float32)
    is_new = ~np.isin(after.ids, shared)
    come[is_new] = _one_by_one(int(is_new.sum()), share)
    left = np.zeros(before.count, np.float32)
    goes = ~np.isin(before.ids, shared)
    left[goes] = 1 - _one_by_one(int(goes.sum()), share)
    staying = after.with_rows(moved)
    staying = staying.with_columns(opacity=staying.opacity * come)
    going = before.with_columns(opacity=before.opacity * left)
    # Where each goer stands: after the last stayer that was painted before it.
    floor = np.full(before.count, -1)
    floor[in_before] = in_after
    floor = np.maximum.accumulate(floor) if before.count else floor
    order = np.argsort(np.concatenate([np.arange(after.count), floor + 0.5]), kind="stable")
    order = order[np.concatenate([come, left])[order] > 0]
    return Scene(
        stacked_rows([staying.rows, going.rows])[order],
        after.canvas,
        ids=np.concatenate([after.ids, before.ids])[order],
        kinds=np.concatenate([after.kinds, before.kinds])[order],
        next_id=max(before.next_id, after.next_id),
    )


def _one_by_one(count: int, share: float) -> Array:
    """How far each of `count` has come, 0..1, when they start one after the other and the last ends at share 1."""
    starts = np.linspace(0, 1 - _FADE, count) if count > 1 else np.zeros(count)
    return np.clip((share - starts) / _FADE, 0, 1).astype(np.float32)


def _way(known: Sequence[Scene]) -> Array:
    """How much nearer to the last scene in looks each has come than the first, 0 for the first; it never falls.

    Nearness is by root mean squared difference of the pictures. The sum of all changes would not do: while shapes
    are torn out and rebuilt the picture flickers a lot, and goes nowhere.
    """
    images = [_small_picture(scene) for scene in known]
    distances = [_difference(image, images[-1]) for image in images]
    return distances[0] - np.minimum.accumulate(distances)


def _small_picture(scene: Scene) -> Array:
    """What scenes are compared by; see `comparable`."""
    canvas = scene.canvas
    width = max(1, round(canvas.width * min(1.0, _COMPARED / max(canvas.width, canvas.height))))
    return comparable(scene.scaled(width, max(1, round(canvas.height * width / canvas.width))))


def _difference(image: Array, other: Array) -> float:
    """Root mean squared difference."""
    return float(np.sqrt(np.mean(np.square(image - other, dtype=np.float64))))


def even_batches(scene: Scene, count: int, share: float) -> list[int]:
    """Where to cut the painting order so that the largest visible change that a batch makes is small.

    Args:
        scene: what is cut.
        count: batches wanted; more are made where `share` asks for more.
        share: 0..1, of the rows that a batch may hold; one row it always may.

    Returns:
        Increasing row numbers, the end of each batch, the last being the number of rows.
    """
    if scene.count == 0:
        return []
    largest = max(1, int(share * scene.count))
    pieces = np.unique(np.linspace(0, scene.count, min(scene.count, _PIECES) + 1).round().astype(int))
    pictures = [_small_picture(scene.select(np.arange(end))) for end in pieces]

    def batches(change: float) -> list[int]:
        """The ends where each batch takes in what it can without changing more than this."""
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
