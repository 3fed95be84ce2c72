"""Snapshots of a run, of one canvas, as plain arrays in one .npz file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from artpipe.renderers import Canvas, InputError, Scene
from artpipe.renderers.errors import one_line
from artpipe.renderers.row_layout import stacked_rows

from ..events import Snapshot
from . import version_1
from .arrays import Field, pack, unpack
from .files import read_at_most, whole_file
from .scene_arrays import WIDEST, row_arrays, row_fields, rows_of

VERSION = 2

# The most that a file holds, such as 256 scenes of 23,000 rows: reading it takes half a gigabyte of memory, its scenes
# half of that.
SNAPSHOTS_MAX, ROWS_MAX = 1024, 6_000_000
# The largest file, bytes: a row has numbers, an id and a kind.
BYTES_MAX = ROWS_MAX * (4 * WIDEST + 9)

# S scenes with N rows in all, in the order of the scenes.
_SCENES: dict[str, Field] = {
    "steps": Field("<i8", ("S",), SNAPSHOTS_MAX),
    "counts": Field("<i8", ("S",), SNAPSHOTS_MAX),
    "ids": Field("<i8", ("N",), ROWS_MAX),
    "canvas": Field("<i8", (2,), 2),
    "background": Field("<f4", (3,), 3),
}
ARRAYS = {"version": Field("<i8", (), 1), **_SCENES, **row_fields(ROWS_MAX)}
_ARRAYS_1 = {**_SCENES, **version_1.row_fields(ROWS_MAX)}


def save_snapshots(snapshots: Sequence[Snapshot], path: Path) -> None:
    """Writes scenes of one canvas, but no file for none. Beyond `ROWS_MAX` rows, only every second, fourth ... scene.

    Raises:
        InputError: the folder is missing, read-only or full.
    """
    while len(snapshots) > SNAPSHOTS_MAX or sum(snapshot.scene.count for snapshot in snapshots) > ROWS_MAX:
        snapshots = snapshots[1::2]
    if not snapshots:
        return
    canvas = snapshots[0].scene.canvas
    rows = stacked_rows([snapshot.scene.rows for snapshot in snapshots])
    values = {
        "version": VERSION,
        "steps": [snapshot.step for snapshot in snapshots],
        "counts": [snapshot.scene.count for snapshot in snapshots],
        "ids": np.concatenate([snapshot.scene.ids for snapshot in snapshots]),
        "canvas": [canvas.width, canvas.height],
        "background": canvas.background,
        **row_arrays(rows, np.concatenate([snapshot.scene.kinds for snapshot in snapshots])),
    }
    with whole_file(path) as file:
        pack(values, ARRAYS, file)


def load_snapshots(path: Path, canvas: Canvas) -> list[Snapshot]:
    """Reads what `save_snapshots` wrote.

    Raises:
        InputError: it is broken, too large, of a newer version, or of another canvas.
    """
    data = read_at_most(path, BYTES_MAX)
    try:
        # Files of version 1 have neither.
        head = unpack(data, ARRAYS, ("version", "kinds"))
        version = head["version"] if head else 1
        if version not in range(1, VERSION + 1):
            raise ValueError(f"it has version {version}; this artpipe reads 1 to {VERSION}")
        values = version_1.with_kinds(unpack(data, _ARRAYS_1)) if version == 1 else unpack(data, ARRAYS)
        return _snapshots(values, canvas)
    except (KeyError, ValueError, InputError) as error:
        problem = f"it lacks {error}" if isinstance(error, KeyError) else one_line(error)
        raise InputError(f"{path} is broken: {problem}. Without it, only the final scene can be exported") from None


def _snapshots(parts: Mapping[str, Any], canvas: Canvas) -> list[Snapshot]:
    """The scenes of a file's arrays."""
    steps, counts, ids = (parts[name] for name in ("steps", "counts", "ids"))
    rows, kinds = rows_of(parts)
    width, height = parts["canvas"].tolist()
    if (width, height) != (canvas.width, canvas.height):
        raise ValueError(f"its canvas is {width} x {height}; needs {canvas.width} x {canvas.height}")
    # Each is checked too: a sum of large numbers may overflow to the right one.
    if ((counts < 0) | (counts > len(rows))).any() or counts.sum() != len(rows):
        raise ValueError("its counts do not add up to its rows")
    if (np.sort(np.maximum(steps, 0)) != steps).any():
        raise ValueError("its steps are not in order")
    ends = np.cumsum(counts)
    return [
        Snapshot(int(step), Scene(rows[own], canvas, ids=ids[own], kinds=kinds[own]))
        for step, own in zip(steps, map(slice, ends - counts, ends), strict=True)
    ]
