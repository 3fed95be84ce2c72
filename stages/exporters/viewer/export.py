"""Puts the viewer's file together: its page, its scripts, and what they show."""

from __future__ import annotations

import base64
import html
import io
import json
import math
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from artpipe.renderers import psnr
from artpipe.renderers.alpha import picture_error
from artpipe.renderers.primitives.base import PAINT, Column, Primitive

from ...events import Snapshot
from ...formats.files import write_text
from ...result import Result
from ..growth import between, even_keys, keys
from ..options import ExportOptions
from .packing import lattice_of, packed, primitives_in

Array = np.ndarray[Any, Any]

# The result's own scenes that are shown hold about this many rows in all, at five to eight bytes each once they are
# packed: 24 scenes of 2048.
ROWS_KEPT = 49152
KEYS_LEAST, KEYS_MOST = 6, 36
# Key frames that lead from the blank canvas to the first batch, which is most of the way in looks.
FIRST_KEYS = 8
# A curve a few hundred pixels wide shows no more points than this.
CURVE_POINTS = 400
# The original is shown about as large as a screen.
ORIGINAL_SIDE, ORIGINAL_QUALITY = 2048, 92


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
    scenes = [snapshot.scene for snapshot in shown]
    primitives = primitives_in(scenes)
    canvas = result.scene.canvas
    about = {
        "title": name,
        "width": canvas.width,
        "height": canvas.height,
        "background": [round(level, 5) for level in canvas.background],
        "transparent": canvas.transparent,
        "edge": canvas.edge,
        "shapes": _plural(primitives),
        "keys": [[snapshot.step, snapshot.scene.count] for snapshot in shown],
        "paint": _lattices(PAINT),
        "primitives": [
            [primitive.name, _lattices(primitive.columns), int(np.sum(result.scene.kinds == primitive.code))]
            for primitive in primitives
        ],
        "psnr": _likeness(result),
        "history": _curve(result),
        "original": None if result.target is None else _data_uri(result.target),
    }
    texts = {
        "title": html.escape(name),
        "shapes": _plural(primitives),
        "primitives": "".join(_source(f"shapes/{primitive.name}.js") for primitive in primitives),
        "about": _json_in_html(about),
        "rows": base64.b64encode(packed(scenes)).decode(),
    }
    write_text(path, _filled_in("page.html", texts))


def _filled_in(name: str, texts: dict[str, str]) -> str:
    """A file of this package with texts, or other files of it, in place of their names in double braces.

    In one pass, so that a text may hold what looks like a place to fill in.
    """

    def text(place: re.Match[str]) -> str:
        return texts[place[1]] if place[1] in texts else _source(place[1])

    return re.sub(r"\{\{([\w./]+)\}\}", text, _source(name))


def _source(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _plural(primitives: Sequence[Primitive]) -> str:
    """What all rows together are called."""
    return f"{primitives[0].name}s" if len(primitives) == 1 else "shapes"


def _lattices(columns: Sequence[Column]) -> list[list[Any]]:
    """Name, whole numbers a unit, whether of a logarithm, and bits left out, of each column."""
    ways = [(column.name, lattice_of(column)) for column in columns]
    return [[name, way.per_unit, way.is_log, way.coarse] for name, way in ways]


def _key_frames(result: Result) -> tuple[Snapshot, ...]:
    """The scenes that the slider steps through; the scene alone if the result holds no other."""
    if not result.history.snapshots:
        return (Snapshot(0, result.scene),)
    largest = max(result.scene.count, *(snapshot.scene.count for snapshot in result.history.snapshots), 1)
    count = min(max(ROWS_KEPT // largest, KEYS_LEAST), KEYS_MOST)
    blank, first, *others = _with_more(even_keys(result, count), keys(result), count)
    shares = [part / FIRST_KEYS for part in range(1, FIRST_KEYS)]
    return (
        blank,
        *(Snapshot(first.step, between(blank.scene, first.scene, share)) for share in shares),
        first,
        *others,
    )


def _with_more(shown: tuple[Snapshot, ...], known: tuple[Snapshot, ...], count: int) -> tuple[Snapshot, ...]:
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


def _likeness(result: Result) -> float | None:
    """PSNR of the scene against the target, in decibels; None without a target, or where it is met exactly."""
    if result.target is None:
        return None
    error = picture_error(result.scene, result.target)
    return round(psnr(error), 2) if error > 0 else None


def _curve(result: Result) -> list[list[float]]:
    """Pairs of step and loss, as PSNR in decibels; evenly thinned, the last one kept, without those that have none."""
    rows = [(point.step, point.mse) for point in result.history.curve if 0 < point.mse < math.inf]
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), CURVE_POINTS)).astype(int))
    return [[float(rows[k][0]), round(psnr(rows[k][1]), 3)] for k in chosen]


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
