"""The JSON Schema of scene files, from the table of primitives.

`scene.schema.json` is a copy for other programs; a test compares the two, and writes the file with UPDATE=1:

    UPDATE=1 python -m pytest tests/test_scene_schema.py

JSON Schema, draft 2020-12: https://json-schema.org/draft/2020-12
"""

from __future__ import annotations

import inspect
import json
from typing import Any

from artpipe.renderers.canvas import SIDE_MAX
from artpipe.renderers.primitives.base import Column, Primitive, Unit
from artpipe.renderers.primitives.falloff import FALLOFFS
from artpipe.renderers.primitives.table import PRIMITIVES
from artpipe.renderers.row_layout import columns_of

from .scene_arrays import ROWS_MAX, names_of
from .scene_file import FORMAT, ID_MAX, ORDER, VERSION

_SCENE = """
Soft, half-transparent shapes on a canvas. Start with every pixel at `background` (or with nothing, see `transparent`).
Then paint the rows in order, row 0 first (farthest back): with d the signed distance in pixels from the pixel's centre
to the rim of the row's shape, negative inside, the shape covers the pixel by m (see `edge`), and each channel becomes
(1 - a) * channel + a * colour with a = opacity * m. Colours are sRGB values in 0..1 and are mixed as they are, without
linearisation, as SVG does. Coordinates are pixels: x grows to the right, y grows downwards, the canvas spans (0, 0) to
(width, height), and pixel (column i, row j) has its centre at (i + 0.5, j + 0.5). A row is a list: the name of its
kind, then the numbers that `kinds` names. Numbers of rows and background are float32, written as the shortest decimals
that give the same float32. Keys that are not described here are allowed and ignored. The file is
UTF-8. Three things a schema cannot say: `ids` has as many entries as `rows`, `next_id` is larger than every id, and
`kinds` has the kind of every row. One thing it says too strictly: the names of a kind's columns may stand in any
order, which is then the order of the numbers; this is the one that artpipe writes. Version 1 held circles alone, in
rows without a kind: `kinds` was ["circle"], and `columns` the names. An .npz file may hold the same as arrays: rows and
background float32, whole numbers int64, words as text; `kinds` are the names of the kinds, `columns` for each of them
the names of its columns with spaces between, `row_kinds` for each row the index of its kind in `kinds` (uint8), and
`rows` are as wide as the widest kind, padded with zeros.
"""

_EDGE = """
How coverage m falls from 1 inside to 0 outside, for all rows. `linear`: m = clip(0.5 - d / (2 * softness), 0, 1), a
straight ramp that is `softness` pixels wide on either side of the rim; on a circle it is what an SVG radialGradient
with two stops draws. `logistic`, of circles alone: m = 1 / (1 + exp(d * (d + 2 * radius) / softness)), softness in
square pixels.
"""

# By the names of the paint's columns; those of shapes are described by their units.
_PAINT = {
    "red": "sRGB.",
    "green": "sRGB.",
    "blue": "sRGB.",
    "opacity": "Of the shape where it covers a pixel fully; 0 is invisible.",
    "softness": "Of the rim, pixels or square pixels: see `edge`. At least 0.001, less a millionth for rounding.",
}
_UNITS: dict[Unit, str] = {
    "x": "Pixels from the left. May lie off the canvas.",
    "y": "Pixels from the top. May lie off the canvas.",
    "length": "Pixels.",
    "log length": "Natural logarithm of a length in pixels.",
    "share": "A number without a unit.",
}


def scene_schema() -> dict[str, Any]:
    """The schema as a JSON object."""
    properties = {
        "format": {"description": "Marks the file as a scene.", "const": FORMAT},
        "version": {
            "description": f"Of this format. It changes where a reader of version {VERSION} would draw a file wrongly.",
            "const": VERSION,
        },
        "width": {"description": "Columns of the canvas, pixels.", "$ref": "#/$defs/side"},
        "height": {"description": "Rows of the canvas, pixels.", "$ref": "#/$defs/side"},
        "background": {
            "description": "Red, green and blue of the bare canvas, painted before row 0.",
            "type": "array",
            "items": {"type": "number", "minimum": 0, "maximum": 1},
            "minItems": 3,
            "maxItems": 3,
        },
        "transparent": {
            "description": "Whether what the rows leave uncovered is transparent: then paint over nothing, and use "
            "`background` only where transparency is not possible. If missing, false. In an .npz file: 1 or 0.",
            "type": "boolean",
        },
        "edge": {"description": _paragraph(_EDGE), "enum": list(FALLOFFS)},
        "order": {
            "description": "The painting order of the rows; this one if missing.",
            "const": ORDER,
        },
        "kinds": {
            "description": "For each kind of row: the names of its numbers, in order.",
            "type": "object",
            "properties": {name: {"const": names_of(primitive)} for name, primitive in PRIMITIVES.items()},
            "additionalProperties": False,
        },
        "next_id": {
            "description": "The id that the next new row would get: larger than every id that was ever used in this "
            "scene.",
            "$ref": "#/$defs/id",
        },
        "ids": {
            "description": "One for each row, in the order of the rows. A row keeps its id wherever it moves in the "
            "list, so that scenes of one run can be compared row by row. Ids do not change the picture.",
            "type": "array",
            "items": {"$ref": "#/$defs/id"},
            "uniqueItems": True,
            "maxItems": ROWS_MAX,
        },
        "rows": {
            "description": "The shapes in painting order: row 0 is painted first and lies farthest back.",
            "type": "array",
            "items": {"oneOf": [{"$ref": f"#/$defs/{name}"} for name in PRIMITIVES]},
            "maxItems": ROWS_MAX,
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:artpipe:scene:{VERSION}",
        "title": f"artpipe scene, version {VERSION}",
        "description": _paragraph(_SCENE),
        "type": "object",
        "required": [name for name in properties if name not in ("transparent", "order")],
        "properties": properties,
        "allOf": [_only_with(edge) for edge in FALLOFFS if not all(edge in p.falloffs for p in PRIMITIVES.values())],
        "examples": [_example()],
        "$defs": {
            "side": {"type": "integer", "minimum": 1, "maximum": SIDE_MAX},
            "id": {"type": "integer", "minimum": 0, "maximum": ID_MAX},
            **{name: _row(primitive) for name, primitive in PRIMITIVES.items()},
        },
    }


def schema_text() -> str:
    """The text of `scene.schema.json`."""
    return json.dumps(scene_schema(), indent=2) + "\n"


def _row(primitive: Primitive) -> dict[str, Any]:
    """The rows of a primitive, described by the docstrings of its module and its class."""
    words = [inspect.getdoc(inspect.getmodule(type(primitive))), inspect.getdoc(type(primitive))]
    columns = columns_of(primitive)
    return {
        "description": " ".join(_paragraph(text or "") for text in words),
        "type": "array",
        "prefixItems": [{"const": primitive.name}, *(_number(column) for column in columns)],
        "items": False,
        "minItems": 1 + len(columns),
    }


def _number(column: Column) -> dict[str, Any]:
    """A number of a row."""
    return {
        "title": column.name,
        "description": _PAINT.get(column.name, _UNITS[column.unit]),
        "type": "number",
        "minimum": column.low,
        "maximum": column.high,
    }


def _only_with(edge: str) -> dict[str, Any]:
    """The condition that an edge is for some primitives only."""
    kinds = [name for name, primitive in PRIMITIVES.items() if edge in primitive.falloffs]
    return {
        "if": {"properties": {"edge": {"const": edge}}},
        "then": {"properties": {"rows": {"items": {"prefixItems": [{"enum": kinds}]}}}},
    }


def _example() -> dict[str, Any]:
    """A file with a row of each primitive."""
    paint = [1.0, 0.5, 0.0, 0.75, 0.5]
    return {
        "format": FORMAT,
        "version": VERSION,
        "width": 8,
        "height": 6,
        "background": [1.0, 1.0, 1.0],
        "edge": "linear",
        "order": ORDER,
        "kinds": {name: names_of(primitive) for name, primitive in PRIMITIVES.items()},
        "next_id": len(PRIMITIVES),
        "ids": list(range(len(PRIMITIVES))),
        "rows": [[name, *paint, *primitive.example] for name, primitive in PRIMITIVES.items()],
    }


def _paragraph(text: str) -> str:
    """The text on one line."""
    return " ".join(text.split())
