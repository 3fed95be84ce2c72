"""Scene files, JSON or .npz, which other programs can read and which load back bit for bit.

    {"format": "artpipe-scene", "version": 2, "width": 256, "height": 203, "background": [r, g, b],
     "edge": "linear", "order": "back to front",
     "kinds": {"circle": ["red", "green", "blue", "opacity", "softness", "x", "y", "radius"], "stroke": [...]},
     "next_id": 9121, "ids": [...],
     "rows": [["circle", 0.5, ...], ["stroke", ...], ...]}

Each row begins with its kind, and `kinds` names the numbers that follow. Lengths are pixels of the canvas, whose pixel
(i, j) has its centre at (i + 0.5, j + 0.5); colours are sRGB and opacity, all 0..1. `"transparent": true` makes what
the rows leave uncovered transparent. Numbers are the shortest decimals that give the same float32.
`scene.schema.json`, a JSON Schema beside this module (made by `schema.py`), is the full specification. An .npz file
holds the same as arrays (`scene_arrays.py`). Files of version 1 load too (`version_1.py`).
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
from artpipe.renderers.primitives.falloff import FALLOFFS

from . import version_1
from .arrays import ZIP_MARK, pack, unpack
from .files import read_at_most, whole_file
from .scene_arrays import ARRAYS, ROWS_MAX, WIDEST, Part, arranged, layouts_of, names_of, row_arrays, rows_of

Array = np.ndarray[Any, Any]

FORMAT, VERSION, ORDER = "artpipe-scene", 2, "back to front"

# The largest file that is read. A number takes about 12 bytes of JSON, at most 16, or more on a line of its own;
# parsing takes up to 13 times the size of the file in memory.
BYTES_MAX = 24 * WIDEST * ROWS_MAX
# Maximum lists and objects in a JSON file; empty ones take twice the memory of numbers.
LISTS_MAX = ROWS_MAX + 1000
# ids are int64.
ID_MAX = 2**63 - 1

# Types of JSON numbers; bool is not one.
_NUMBERS = {int, float}


def save_scene(scene: Scene, path: str | Path) -> None:
    """Writes a scene atomically: an existing file is replaced once the new one is complete.

    Args:
        scene: of at most `ROWS_MAX` rows.
        path: .npz for compressed arrays, a third of the size; JSON for any other ending.

    Raises:
        InputError: the scene has too many rows, or the folder is missing, read-only or full.
    """
    instance("scene", scene, Scene)
    path = check_path("path", path)
    if scene.count > ROWS_MAX:
        raise InputError(f"the scene has {scene.count} rows; a file holds at most {ROWS_MAX}")
    canvas = scene.canvas
    content = {
        "format": FORMAT,
        "version": VERSION,
        "width": canvas.width,
        "height": canvas.height,
        "background": [float(decimal) for decimal in _decimals(np.array(canvas.background, np.float32))],
        "edge": canvas.edge,
        **({"transparent": True} if canvas.transparent else {}),
        "order": ORDER,
        "next_id": scene.next_id,
    }
    with whole_file(path) as file:
        if path.suffix.lower() == ".npz":
            pack({**content, "ids": scene.ids, **row_arrays(scene.rows, scene.kinds)}, ARRAYS, file)
        else:
            file.write(_json(scene, content).encode())


def _json(scene: Scene, content: Mapping[str, Any]) -> str:
    """The text of a scene, a line for each row."""
    head = json.dumps({**content, "kinds": {primitive.name: names_of(primitive) for primitive in scene.primitives}})
    rows = [""] * scene.count
    for primitive in scene.primitives:
        index = np.flatnonzero(scene.kinds == primitive.code)
        for k, decimals in zip(index.tolist(), _decimals(scene.rows[index, : primitive.width]), strict=True):
            rows[k] = f'["{primitive.name}",{",".join(decimals)}]'
    ids = ",".join(map(str, scene.ids.tolist()))
    return f'{head[:-1]}, "ids": [{ids}], "rows": [\n' + ",\n".join(rows) + "\n]}\n"


def _decimals(values: Array) -> Any:
    """Lists of the shortest decimals that give the same float32; the longest has 14 characters."""
    return values.astype("<U16").tolist()


def load_scene(path: str | Path) -> Scene:
    """Reads a scene that `save_scene` or another program wrote, JSON or .npz by content.

    Raises:
        InputError: the file is missing, not such a scene, of a newer version, larger than `BYTES_MAX` bytes or
            `ROWS_MAX` rows, or holds a row that cannot be drawn.
    """
    data = read_at_most(check_path("path", path), BYTES_MAX)
    packed = data.startswith(ZIP_MARK)
    if not packed and data.count(b"[") + data.count(b"{") > LISTS_MAX:
        raise InputError(f"{path} holds more than {LISTS_MAX} lists; needs a scene of at most {ROWS_MAX} rows")
    try:
        # Only these two arrays are the same in every version.
        content = unpack(data, ARRAYS, ("format", "version")) if packed else _parsed(data)
    except (ValueError, RecursionError) as error:
        problem = f"broken: {error}" if packed else "neither JSON nor .npz"
        raise InputError(f"{path} is {problem}; needs a scene file that artpipe wrote") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f'{path} is not a scene: it lacks "format": "{FORMAT}"')
    version: Any = content.get("version")
    if type(version) not in (int, float) or version not in range(1, VERSION + 1):
        held = one_line(reprlib.repr(version), 50)
        raise InputError(f"{path} has version {held}; this artpipe reads 1 to {VERSION}. Try a newer artpipe")
    try:
        return _from_arrays(data, version) if packed else _from_json(content, version)
    except KeyError as error:
        raise InputError(f"{path} is broken: it lacks {error}") from None
    except (InputError, ValueError) as error:
        raise InputError(f"{path} is broken: {one_line(error)}") from None


def _parsed(data: bytes) -> Any:
    """The value of a JSON text; whole numbers far beyond int64 become floats, since int() limits the digits."""
    return json.loads(data.decode(), parse_int=lambda digits: int(digits) if len(digits) <= 20 else float(digits))


def _from_arrays(data: bytes, version: float) -> Scene:
    """The scene of an .npz file."""
    content = unpack(data, version_1.SCENE_ARRAYS if version == 1 else ARRAYS)
    if version == 1:
        version_1.check_columns(content)
        content = version_1.with_kinds(content)
    content |= {name: content[name].tolist() for name in ("background", "ids") if name in content}
    if content.get("transparent") in (0, 1):
        content["transparent"] = bool(content["transparent"])
    return _scene_of(content, *rows_of(content))


def _from_json(content: dict[str, Any], version: float) -> Scene:
    """The scene of a parsed JSON file."""
    _list("rows", content["rows"])
    if version == 1:
        version_1.check_columns(content)
        content = version_1.with_named_rows(content)
    return _scene_of(content, *_rows_of_lists(content["kinds"], content["rows"]))


def _scene_of(content: Mapping[str, Any], rows: Array, kinds: Array) -> Scene:
    """The scene of a file's values and rows."""
    if content.get("order", ORDER) != ORDER:
        raise ValueError(f"its order is {reprlib.repr(content['order'])}; needs {ORDER!r}")
    if content["edge"] not in list(FALLOFFS):
        raise ValueError(f"its edge is {reprlib.repr(content['edge'])}; needs one of {', '.join(FALLOFFS)}")
    width, height = (_whole(name, content[name], 1, SIDE_MAX) for name in ("width", "height"))
    background: Any = tuple(_numbers("background", content["background"]))
    transparent = _flag("transparent", content.get("transparent", False))
    canvas = Canvas(width, height, background, content["edge"], transparent)
    ids = [_whole("an id", value, 0, ID_MAX) for value in _list("ids", content["ids"])]
    next_id = _whole("next_id", content["next_id"], 0, ID_MAX)
    return Scene(rows, canvas, ids=np.array(ids, np.int64), kinds=kinds, next_id=next_id)


def _rows_of_lists(kinds: Any, rows: list[Any]) -> tuple[Array, Array]:
    """Rows, (N, P) float32, and codes, (N,) uint8, from the values of a JSON file."""
    if not isinstance(kinds, dict):
        raise ValueError(f"kinds is {reprlib.repr(kinds)}; needs an object: the names of columns by kind")
    layouts = layouts_of(kinds)
    found: dict[str, tuple[list[int], list[list[float]]]] = {kind: ([], []) for kind in layouts}
    for k, row in enumerate(rows):
        if not (isinstance(row, list) and row):
            raise ValueError(f"row {k} is {reprlib.repr(row)}; needs a list of its kind and its numbers")
        kind, *numbers = row
        if type(kind) is not str or kind not in layouts:
            known = f"one of {', '.join(layouts)}" if layouts else "but kinds is empty"
            raise ValueError(f"row {k} begins with {reprlib.repr(kind)}; needs a kind, {known}")
        names = layouts[kind].names
        if len(numbers) != len(names):
            raise ValueError(f"row {k} has {len(numbers)} numbers; a {kind} needs {len(names)}: {', '.join(names)}")
        if not _NUMBERS.issuperset(map(type, numbers)):
            name, value = next(pair for pair in zip(names, numbers, strict=True) if type(pair[1]) not in _NUMBERS)
            raise ValueError(f"row {k} has {name} {reprlib.repr(value)}; needs a number")
        found[kind][0].append(k)
        found[kind][1].append(numbers)
    parts = []
    for kind, (index, values) in found.items():
        table = np.array(values, np.float64).reshape(-1, len(layouts[kind].names))
        parts.append(Part(layouts[kind], np.array(index, np.int64), table))
    return arranged(parts, len(rows))


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{name} is {reprlib.repr(value)}; needs a list")
    if len(value) > ROWS_MAX:
        raise ValueError(f"{name} has {len(value)} items; needs at most {ROWS_MAX}")
    return value


def _numbers(name: str, values: Any) -> list[float]:
    """A list of numbers."""
    for value in _list(name, values):
        if type(value) not in _NUMBERS:
            raise ValueError(f"{name} has {reprlib.repr(value)}; needs numbers")
    return values


def _whole(name: str, value: Any, low: int, high: int) -> int:
    """A whole number in a range; 8.0 is accepted, since JSON does not distinguish it from 8."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name} is {reprlib.repr(value)}; needs a whole number from {low} to {high}")
    return value


def _flag(name: str, value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError(f"{name} is {reprlib.repr(value)}; needs true or false")
    return value
