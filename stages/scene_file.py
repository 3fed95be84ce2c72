"""The scene as a JSON file that other programs can read, and that loads back bit for bit.

    {"format": "artpipe-scene", "version": 1, "width": 256, "height": 203, "background": [r, g, b],
     "edge": "linear", "order": "back to front", "columns": ["x", "y", "red", ...],
     "kinds": ["circle"], "next_id": 9121, "ids": [...], "rows": [[...], ...]}

Lengths are pixels of the canvas, whose pixel (i, j) has its centre at (i + 0.5, j + 0.5); colours are sRGB
and opacity, all 0..1. Numbers are the shortest decimals that give the same float32. `kinds` has one name
if all rows are of one kind, else one a row.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..renderers import Canvas, InputError, Scene
from ..renderers.primitives import CIRCLE, PRIMITIVES
from .files import write_text

FORMAT, VERSION = "artpipe-scene", 1


def save_scene(scene: Scene, path: str | Path) -> None:
    """Writes a scene; a file that was there stays whole until the new one is."""
    canvas = scene.canvas
    head = {
        "format": FORMAT,
        "version": VERSION,
        "width": canvas.width,
        "height": canvas.height,
        "background": [_shortest(value) for value in canvas.background],
        "edge": canvas.edge,
        "order": "back to front",
        "columns": [column.name for column in CIRCLE.columns],
        "kinds": [CIRCLE.name],
        "next_id": scene.next_id,
        "ids": scene.ids.tolist(),
    }
    rows = ",\n".join(json.dumps([_shortest(value) for value in row]) for row in scene.rows)
    text = json.dumps(head, indent=None)[:-1] + ', "rows": [\n' + rows + "\n]}\n"
    write_text(path, text)


def load_scene(path: str | Path) -> Scene:
    """Reads a scene that `save_scene` wrote.

    Raises:
        InputError: the file is missing, not such a scene, of a newer version, or holds a row that cannot
            be drawn.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path} is not JSON; needs a scene file that artpipe wrote") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f'{path} is not a scene: it lacks "format": "{FORMAT}"')
    if content.get("version") != VERSION:
        raise InputError(
            f"{path} has version {content.get('version')!r}; this artpipe reads {VERSION}. Try a newer artpipe"
        )
    try:
        return _scene_of(content)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path} is broken: {type(error).__name__}: {error}") from None


def _scene_of(content: dict[str, Any]) -> Scene:
    names = [column.name for column in CIRCLE.columns]
    if content["columns"] != names or content["kinds"] != [CIRCLE.name]:
        raise InputError(f"scene holds {content['kinds']}; this artpipe draws {', '.join(PRIMITIVES)}")
    rows = content["rows"]
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        raise ValueError(f"rows need {len(names)} numbers each")
    _need(float, *(value for row in rows for value in row))
    _need(float, *content["background"])
    _need(int, *content["ids"], content["next_id"], content["width"], content["height"])
    if max([content["next_id"], *content["ids"]]) >= 2**63:
        raise ValueError("ids need to be below 2**63")
    canvas = Canvas(content["width"], content["height"], tuple(content["background"]), content["edge"])
    table = np.array(rows, np.float64).reshape(-1, len(names))
    return Scene(table, canvas, ids=np.array(content["ids"], np.int64), next_id=content["next_id"])


def _need(kind: type, *values: Any) -> None:
    """Refuses what JSON does not write as a number (as a whole one, if `kind` is int)."""
    kinds = (int,) if kind is int else (int, float)
    for value in values:
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise ValueError(f"{value!r} is not a {'whole ' if kind is int else ''}number")


def _shortest(value: Any) -> float:
    """The float64 whose decimal is the shortest that rounds to this float32."""
    return float(str(np.float32(value)))
