"""The viewer: one HTML file in which a painting can be looked at closely and watched as it grows."""

from __future__ import annotations

import base64
import html
import io
import json
import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from artpipe.renderers import Scene, psnr
from artpipe.renderers.alpha import picture_error

from ..events import Snapshot
from ..formats.files import write_text
from ..result import Result
from .growth import between, even_keys, keys
from .options import ExportOptions

Array = np.ndarray[Any, Any]

# The result's own scenes that are shown hold about this many circles in all, at five bytes each once they are packed:
# 24 scenes of 2048.
CIRCLES_KEPT = 49152
KEYS_LEAST, KEYS_MOST = 6, 36
# Key frames that lead from the blank canvas to the first batch, which is most of the way in looks.
FIRST_KEYS = 8
# A curve a few hundred pixels wide shows no more points than this.
CURVE_POINTS = 400
# The original is shown about as large as a screen.
ORIGINAL_SIDE, ORIGINAL_QUALITY = 2048, 92
# Lengths below this are written as if they were this long: their logarithm has no end.
LENGTH_LEAST = 1e-3


@dataclass(frozen=True)
class Lattice:
    """How one column is written as whole numbers.

    Attributes:
        name: of the column, also in the file.
        per_unit: whole numbers a pixel; of a logarithm, an octave; of a share, all of it.
        is_log: whether the logarithm to base 2 is written.
        coarse: bits that key frames before the last leave out.
    """

    name: str
    per_unit: int
    is_log: bool
    coarse: int


# The last key frame is within 1/512 px in place, 0.005 % in length, and half a level of 8 bits in colour. Those before
# it are within 1/16 px, 1.1 % of the radius and 4.5 % of the softness, and 6 bits: nothing that shows in passing.
LATTICES = (
    Lattice("x", 256, False, 5),
    Lattice("y", 256, False, 5),
    Lattice("radius", 8192, True, 8),
    Lattice("softness", 8192, True, 10),
    Lattice("red", 255, False, 2),
    Lattice("green", 255, False, 2),
    Lattice("blue", 255, False, 2),
    Lattice("opacity", 4095, False, 6),
)


def export_viewer(result: Result, path: Path, options: ExportOptions) -> None:
    """Writes one HTML file that shows the painting, how it grew, and what it was made from.

    The file needs no network and no other file. What the result lacks, the viewer lacks: the slider without
    snapshots, comparing without a target, the curve without a history.

    Args:
        result: what to show.
        path: where the file goes.
        options: of which it takes the title.

    Raises:
        InputError: the file cannot be written.
    """
    name = options.title_of(result)
    shown = _key_frames(result)
    canvas = result.scene.canvas
    about = {
        "title": name,
        "width": canvas.width,
        "height": canvas.height,
        "background": [round(level, 5) for level in canvas.background],
        "transparent": canvas.transparent,
        "edge": canvas.edge,
        "keys": [[snapshot.step, snapshot.scene.count] for snapshot in shown],
        "lattices": [[way.name, way.per_unit, way.is_log, way.coarse] for way in LATTICES],
        "psnr": _likeness(result),
        "history": _curve(result),
        "original": None if result.target is None else _data_uri(result.target),
    }
    parts = {
        "title": html.escape(name),
        "about": _json_in_html(about),
        "circles": base64.b64encode(_deflated(_packed([snapshot.scene for snapshot in shown]))).decode(),
    }
    template = files(__package__).joinpath("viewer.html").read_text(encoding="utf-8")
    # In one pass, so that a title may hold what looks like a place to fill in.
    write_text(path, re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], template))


def _key_frames(result: Result) -> tuple[Snapshot, ...]:
    """The scenes that the slider steps through; the scene alone if the result holds no other."""
    if not result.history.snapshots:
        return (Snapshot(0, result.scene),)
    largest = max(result.scene.count, *(snapshot.scene.count for snapshot in result.history.snapshots), 1)
    count = min(max(CIRCLES_KEPT // largest, KEYS_LEAST), KEYS_MOST)
    blank, first, *others = _filled(even_keys(result, count), keys(result), count)
    shares = [part / FIRST_KEYS for part in range(1, FIRST_KEYS)]
    return (
        blank,
        *(Snapshot(first.step, between(blank.scene, first.scene, share)) for share in shares),
        first,
        *others,
    )


def _filled(shown: tuple[Snapshot, ...], known: tuple[Snapshot, ...], count: int) -> tuple[Snapshot, ...]:
    """Up to `count` snapshots: those shown, and of the others known those that part the longest spells best.

    Scenes that are as even steps in looks as they come are fewer than were asked for, and most are early ones.
    """
    others = [snapshot for snapshot in known[1:-1] if all(snapshot is not other for other in shown)]
    while others and len(shown) < count:
        steps = np.array([snapshot.step for snapshot in shown])
        apart = [int(np.abs(steps - snapshot.step).min()) for snapshot in others]
        found = others.pop(int(np.argmax(apart)))
        shown = (shown[0], *sorted([*shown[1:-1], found], key=lambda snapshot: snapshot.step), shown[-1])
    return shown


def _packed(scenes: Sequence[Scene]) -> bytes:
    """All scenes as planes of bytes.

    A scene is a plane of links, then a plane for each of `LATTICES`; a plane is a signed number for each row in
    painting order (see `_plane`). A link says which row of the scene before has the same id: 0 for none, 1 for the
    one after the row that was linked last (at first: row 0), 2 for the one after that, -1 for the one before it, and
    so on. The numbers that follow are counted from those of the linked row, or from 0.
    """
    parts = []
    ids, before = np.zeros(0, np.int64), np.zeros((0, len(LATTICES)), np.int64)
    for index, scene in enumerate(scenes):
        left_out = np.array([way.coarse if index < len(scenes) - 1 else 0 for way in LATTICES])
        numbers = (_numbers(scene) + ((1 << left_out) >> 1)) >> left_out
        linked, origins = _origins(ids, scene.ids)
        passed = origins - np.concatenate([[0], origins[:-1] + 1]) if len(origins) else origins
        links = np.zeros(scene.count, np.int64)
        links[linked] = np.where(passed >= 0, passed + 1, passed)
        changes = numbers.copy()
        changes[linked] -= before[origins] >> left_out
        parts += [_plane(links), *(_plane(column) for column in changes.T)]
        ids, before = scene.ids, numbers << left_out
    return b"".join(parts)


def _numbers(scene: Scene) -> Array:
    """(N, columns) int64: the rows as whole numbers of `LATTICES`."""
    numbers = np.zeros((scene.count, len(LATTICES)), np.int64)
    for k, way in enumerate(LATTICES):
        values = scene.column(way.name).astype(np.float64)
        if way.is_log:
            values = np.log2(np.maximum(values, LENGTH_LEAST))
        numbers[:, k] = np.rint(values * way.per_unit)
    return numbers


def _origins(before: Array, after: Array) -> tuple[Array, Array]:
    """Positions of the ids that both lists hold, in the order of `after`: where in `after`, where in `before`."""
    _, in_before, in_after = np.intersect1d(before, after, assume_unique=True, return_indices=True)
    order = np.argsort(in_after)
    return in_after[order], in_before[order]


def _plane(values: Array) -> bytes:
    """(N,) signed numbers as 4 N bytes: the lowest byte of each, then the next ones.

    Small ones of either sign have empty high bytes (0, -1, 1, -2 become 0, 1, 2, 3), and bytes of one kind side by
    side pack best.
    """
    zigzag = ((values << 1) ^ (values >> 63)).astype("<u4")
    return zigzag.view(np.uint8).reshape(-1, 4).T.tobytes()


def _deflated(data: bytes) -> bytes:
    """What browsers call deflate-raw."""
    packer = zlib.compressobj(level=9, wbits=-15, memLevel=9)
    return packer.compress(data) + packer.flush()


def _likeness(result: Result) -> float | None:
    """PSNR of the scene against the target, in decibels; None without a target, or where it is met exactly."""
    if result.target is None:
        return None
    error = picture_error(result.scene, result.target)
    return round(psnr(error), 2) if error > 0 else None


def _curve(result: Result) -> list[list[float]]:
    """Pairs of step and loss, as PSNR in decibels; evenly thinned, the last one kept, without those that have none."""
    points = [(point.step, point.mse) for point in result.history.curve if 0 < point.mse < math.inf]
    chosen = np.unique(np.linspace(0, len(points) - 1, min(len(points), CURVE_POINTS)).astype(int))
    return [[float(points[k][0]), round(psnr(points[k][1]), 3)] for k in chosen]


def _data_uri(target: Array) -> str:
    """The target as a picture within a text, with its alpha."""
    picture = Image.fromarray(np.rint(np.clip(target, 0, 1) * 255).astype(np.uint8))
    picture.thumbnail((ORIGINAL_SIDE, ORIGINAL_SIDE))
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=ORIGINAL_QUALITY)
    return "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode()


def _json_in_html(value: Any) -> str:
    """JSON that no reader of HTML takes for a tag, an entity or a line's end."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
