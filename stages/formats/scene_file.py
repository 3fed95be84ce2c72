"""The scene as a file that other programs can read, and that loads back bit for bit: JSON, or its .npz twin.

    {"format": "artpipe-scene", "version": 1, "width": 256, "height": 203, "background": [r, g, b],
     "edge": "linear", "order": "back to front", "columns": ["x", "y", "red", ...],
     "kinds": ["circle"], "next_id": 9121, "ids": [...], "rows": [[...], ...]}

Lengths are pixels of the canvas, whose pixel (i, j) has its centre at (i + 0.5, j + 0.5); colours are sRGB
and opacity, all 0..1. With `"transparent": true` beside them, what the rows leave bare is transparent. Numbers are
the shortest decimals that give the same float32. `scene.schema.json`, a JSON Schema beside this module, says all of
it in full. An .npz file holds the same names as arrays (`scene_arrays.py`).
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from artpipe.renderers import Canvas, InputError, Scene
from artpipe.renderers.canvas import SIDE_MAX
from artpipe.renderers.checks import check_path, instance
from artpipe.renderers.errors import one_line
from artpipe.renderers.primitives.circle import CIRCLE
from artpipe.renderers.primitives.falloff import FALLOFFS
from artpipe.renderers.scene import check_rows

from .arrays import ZIP_MARK, pack, unpack
from .files import read_at_most, whole_file
from .scene_arrays import ARRAYS, COLUMNS, ROWS_MAX, from_file, to_file

Array = np.ndarray[Any, Any]

FORMAT, VERSION, ORDER = "artpipe-scene", 1, "back to front"

# The largest file that is read. A row takes about 100 bytes of JSON, at most 151, and more if it is laid out over
# several lines; JSON takes up to 13 times its size in memory, so that what is larger is best not begun.
BYTES_MAX = 256 * ROWS_MAX
# Lists and objects of a JSON file; empty ones take twice the memory of numbers.
LISTS_MAX = ROWS_MAX + 1000
# ids are int64.
ID_MAX = 2**63 - 1


def save_scene(scene: Scene, path: str | Path) -> None:
    """Writes a scene; a file that was there stays whole until the new one is.

    Args:
        scene: of at most `ROWS_MAX` rows.
        path: .npz for compressed arrays, a third of the size; any other ending for JSON.

    Raises:
        InputError: the scene has too many rows, or wider ones than circles have; or the folder is missing, read-only
            or full.
    """
    instance("scene", scene, Scene)
    path = check_path("path", path)
    if scene.count > ROWS_MAX:
        raise InputError(f"the scene has {scene.count} rows; a file holds at most {ROWS_MAX}")
    if scene.primitives not in ((), (CIRCLE,)):
        raise InputError(f"the scene has rows that are no circles; a file holds {', '.join(COLUMNS)}")
    canvas = scene.canvas
    content = {
        "format": FORMAT,
        "version": VERSION,
        "width": canvas.width,
        "height": canvas.height,
        "background": [_shortest(value) for value in canvas.background],
        "edge": canvas.edge,
        **({"transparent": True} if canvas.transparent else {}),
        "order": ORDER,
        "columns": COLUMNS,
        "kinds": [CIRCLE.name],
        "next_id": scene.next_id,
        "ids": scene.ids.tolist(),
    }
    with whole_file(path) as file:
        if path.suffix.lower() == ".npz":
            pack({**content, "rows": to_file(scene)}, ARRAYS, file)
        else:
            rows = ",\n".join(json.dumps([_shortest(value) for value in row]) for row in to_file(scene))
            file.write((json.dumps(content)[:-1] + ', "rows": [\n' + rows + "\n]}\n").encode())


def load_scene(path: str | Path) -> Scene:
    """Reads a scene that `save_scene` or another program wrote; what the file holds tells JSON from .npz.

    Raises:
        InputError: the file is missing, not such a scene, of a newer version, larger than `BYTES_MAX` bytes or
            `ROWS_MAX` rows, or holds a row that cannot be drawn.
    """
    data = read_at_most(check_path("path", path), BYTES_MAX)
    packed = data.startswith(ZIP_MARK)
    if not packed and data.count(b"[") + data.count(b"{") > LISTS_MAX:
        raise InputError(f"{path} holds more than {LISTS_MAX} lists; needs a scene of at most {ROWS_MAX} rows")
    try:
        # Of arrays, only these two are sure to be the same in every version.
        content = unpack(data, ARRAYS, ("format", "version")) if packed else json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        problem = f"broken: {error}" if packed else "not JSON, nor an .npz"
        raise InputError(f"{path} is {problem}; needs a scene file that artpipe wrote") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f'{path} is not a scene: it lacks "format": "{FORMAT}"')
    version = content.get("version")
    if isinstance(version, bool) or version != VERSION:
        held = one_line(reprlib.repr(version), 50)
        raise InputError(f"{path} has version {held}; this artpipe reads {VERSION}. Try a newer artpipe")
    try:
        if packed:
            content = unpack(data, ARRAYS)
            content |= {name: content[name].tolist() for name in ("background", "ids") if name in content}
            if content.get("transparent") in (0, 1):
                content["transparent"] = bool(content["transparent"])
        return _scene_of(content)
    except KeyError as error:
        raise InputError(f"{path} is broken: it lacks {error}") from None
    except (InputError, ValueError, OverflowError) as error:
        raise InputError(f"{path} is broken: {one_line(error)}") from None


def _scene_of(content: Mapping[str, Any]) -> Scene:
    """The scene of a file's values; `rows` may be lists, as in JSON, or an array."""
    if content["columns"] != COLUMNS:
        raise ValueError(f"columns are {reprlib.repr(content['columns'])}; needs {', '.join(COLUMNS)}")
    if content["kinds"] != [CIRCLE.name]:
        raise ValueError(f"it holds {reprlib.repr(content['kinds'])}; this artpipe draws {CIRCLE.name}")
    if content.get("order", ORDER) != ORDER:
        raise ValueError(f"its order is {reprlib.repr(content['order'])}; needs {ORDER!r}")
    if content["edge"] not in FALLOFFS:
        raise ValueError(f"its edge is {reprlib.repr(content['edge'])}; needs one of {', '.join(FALLOFFS)}")
    width, height = (_whole(name, content[name], 1, SIDE_MAX) for name in ("width", "height"))
    background: Any = tuple(_numbers("background", content["background"]))
    transparent = _flag("transparent", content.get("transparent", False))
    canvas = Canvas(width, height, background, content["edge"], transparent)
    ids = [_whole("an id", value, 0, ID_MAX) for value in _list("ids", content["ids"])]
    next_id = _whole("next_id", content["next_id"], 0, ID_MAX)
    rows = content["rows"]
    if not isinstance(rows, np.ndarray):
        rows = _table(rows)
    return Scene(from_file(rows), canvas, ids=np.array(ids, np.int64), next_id=next_id)


def _table(rows: Any) -> Array:
    """(N, P) float64, within the limits before they are rounded to float32, as the schema has them."""
    for row in _list("rows", rows):
        if len(_numbers("a row", row)) != len(COLUMNS):
            raise ValueError(f"a row has {len(row)} numbers; needs {len(COLUMNS)}")
    table = np.array(rows, np.float64).reshape(-1, len(COLUMNS))
    check_rows(from_file(table), np.full(len(table), CIRCLE.code))
    return table


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{name}: {reprlib.repr(value)} is not a list")
    if len(value) > ROWS_MAX:
        raise ValueError(f"{name}: there are {len(value)}; needs at most {ROWS_MAX}")
    return value


def _numbers(name: str, values: Any) -> list[float]:
    """A list of what JSON writes as numbers: no words, no true and false."""
    for value in _list(name, values):
        if type(value) not in (int, float):
            raise ValueError(f"{name}: {reprlib.repr(value)} is not a number")
    return values


def _whole(name: str, value: Any, low: int, high: int) -> int:
    """A whole number between two; 8.0 is one too, since JSON does not tell it from 8."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name} is {reprlib.repr(value)}; needs a whole number from {low} to {high}")
    return value


def _flag(name: str, value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError(f"{name} is {reprlib.repr(value)}; needs true or false")
    return value


def _shortest(value: Any) -> float:
    """The float64 whose decimal is the shortest that rounds to this float32."""
    return float(str(np.float32(value)))
