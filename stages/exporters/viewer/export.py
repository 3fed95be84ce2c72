"""Assembles the viewer's HTML file from its page, scripts and data."""

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

# Approximate number of rows in all key frames, at five to eight bytes each once packed: 24 scenes of 2048.
ROWS_KEPT = 49152
KEYS_LEAST, KEYS_MOST = 6, 36
# Key frames between the blank canvas and the first batch, which makes most of the visual change.
FIRST_KEYS = 8
# Most points of the loss curve, which is a few hundred pixels wide.
CURVE_POINTS = 400
# Longest side of the original, pixels: about that of a screen; and its WebP quality, 0..100.
ORIGINAL_SIDE, ORIGINAL_QUALITY = 2048, 92


def export_viewer(result: Result, path: Path, options: ExportOptions) -> None:
    """Write one HTML file that shows the painting, its growth and the original.

    The file needs no network and no other file. Parts without data are hidden: the slider without snapshots, the
    comparison without a target, the curve without a history.

    Args:
        result: the painting.
        path: the file to write.
        options: the title.

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
        "psnr": _psnr_of(result),
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
    """Return a file of this package with names in double braces replaced by texts, or by other files of it.

    A single pass, so that texts may themselves contain double braces.
    """

    def text(match: re.Match[str]) -> str:
        return texts[match[1]] if match[1] in texts else _source(match[1])

    return re.sub(r"\{\{([\w./]+)\}\}", text, _source(name))


def _source(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _plural(primitives: Sequence[Primitive]) -> str:
    """Return the word for all rows together."""
    return f"{primitives[0].name}s" if len(primitives) == 1 else "shapes"


def _lattices(columns: Sequence[Column]) -> list[list[Any]]:
    """Return name, integers per unit, whether logarithmic, and dropped bits of each column."""
    lattices = [(column.name, lattice_of(column)) for column in columns]
    return [[name, lattice.per_unit, lattice.is_log, lattice.coarse] for name, lattice in lattices]


def _key_frames(result: Result) -> tuple[Snapshot, ...]:
    """Return the scenes that the slider steps through; the scene alone without snapshots."""
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
    """Add known snapshots, those farthest in steps from the ones shown first, until there are `count`.

    Snapshots evenly spaced in looks are fewer than requested, and most of them are early.
    """
    others = [snapshot for snapshot in known[1:-1] if all(snapshot is not other for other in shown)]
    while others and len(shown) < count:
        steps = np.array([snapshot.step for snapshot in shown])
        apart = [int(np.abs(steps - snapshot.step).min()) for snapshot in others]
        found = others.pop(int(np.argmax(apart)))
        shown = (shown[0], *sorted([*shown[1:-1], found], key=lambda snapshot: snapshot.step), shown[-1])
    return shown


def _psnr_of(result: Result) -> float | None:
    """Return the PSNR of the scene against the target, dB; None without a target or if both are equal."""
    if result.target is None:
        return None
    error = picture_error(result.scene, result.target)
    return round(psnr(error), 2) if error > 0 else None


def _curve(result: Result) -> list[list[float]]:
    """Return pairs of step and PSNR (dB), evenly thinned, ends included; points with an infinite PSNR are dropped."""
    rows = [(point.step, point.mse) for point in result.history.curve if 0 < point.mse < math.inf]
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), CURVE_POINTS)).astype(int))
    return [[float(rows[k][0]), round(psnr(rows[k][1]), 3)] for k in chosen]


def _data_uri(target: Array) -> str:
    """Return the target as a data URI, with its alpha."""
    picture = Image.fromarray(np.rint(np.clip(target, 0, 1) * 255).astype(np.uint8))
    picture.thumbnail((ORIGINAL_SIDE, ORIGINAL_SIDE))
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=ORIGINAL_QUALITY)
    return "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode()


def _json_in_html(value: Any) -> str:
    """Return JSON without characters that are special in HTML."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
