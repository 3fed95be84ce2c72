"""Scenes as plain arrays in an .npz file, the compact twin of the JSON file.

Rows are in painting order, as wide as the widest kind; narrower rows are padded with zeros. To read them:

    file = numpy.load("scene.npz")
    for k, kind in enumerate(file["kinds"]):                     # "circle"
        rows = file["rows"][file["row_kinds"] == k]
        names = file["columns"][k].split()                       # ["red", "green", ...]
        x = rows[:, names.index("x")]
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from artpipe.renderers.primitives.base import Primitive
from artpipe.renderers.primitives.table import PRIMITIVES
from artpipe.renderers.row_layout import columns_of, present, width_of

from .arrays import Field

Array = np.ndarray[Any, Any]

# Rows of the largest scene that is written or read, about 100 times those of a fit; they take 13 MB.
ROWS_MAX = 250_000
# Columns of the widest row.
WIDEST = width_of(tuple(PRIMITIVES.values()))

# Maximum characters of a word (the longest has 13), and of the names of a kind's columns.
WORD_MAX, _NAMES_MAX = 64, 1024
# `row_kinds` and codes are bytes.
_KINDS_MAX = 256
_WORD, _WHOLE = Field("<U", (), WORD_MAX), Field("<i8", (), 1)


def row_fields(most: int) -> dict[str, Field]:
    """The fields of up to `most` rows in a file: N rows, K kinds and P columns."""
    return {
        "kinds": Field("<U", ("K",), _KINDS_MAX * WORD_MAX),
        "columns": Field("<U", ("K",), _KINDS_MAX * _NAMES_MAX),
        "row_kinds": Field("|u1", ("N",), most),
        "rows": Field("<f4", ("N", "P"), most * WIDEST),
    }


def row_arrays(rows: Array, kinds: Array) -> dict[str, Any]:
    """The arrays of `row_fields`, from rows, (N, P), and their codes, (N,)."""
    primitives = present(kinds)
    place = np.zeros(_KINDS_MAX, np.uint8)
    place[[primitive.code for primitive in primitives]] = range(len(primitives))
    return {
        "kinds": [primitive.name for primitive in primitives],
        "columns": [" ".join(names_of(primitive)) for primitive in primitives],
        "row_kinds": place[kinds],
        "rows": rows,
    }


def rows_of(values: Mapping[str, Any]) -> tuple[Array, Array]:
    """Rows, (N, P) float32, and codes, (N,) uint8, from the arrays of a file; the inverse of `row_arrays`.

    Raises:
        KeyError: an array is missing.
        ValueError: a kind or a column is unknown, or a row cannot be drawn; the message names row and column.
    """
    names, columns, row_kinds, rows = (values[name] for name in ("kinds", "columns", "row_kinds", "rows"))
    if len(set(names)) < len(names):
        raise ValueError(f"kinds are {reprlib.repr(names)}; needs each kind once")
    layouts = layouts_of({name: words.split() for name, words in zip(names, columns, strict=True)})
    for layout in layouts.values():
        if rows.shape[1] < layout.primitive.width:
            needs = f"a {layout.primitive.name} needs {layout.primitive.width}: {', '.join(layout.names)}"
            raise ValueError(f"rows have {rows.shape[1]} columns; {needs}")
    unknown = np.flatnonzero(row_kinds >= len(names))
    if len(unknown):
        held = f"row {unknown[0]} has kind {row_kinds[unknown[0]]}"
        raise ValueError(f"{held}; needs an index into the {len(names)} kinds, from 0")
    parts = []
    for k, layout in enumerate(layouts.values()):
        index = np.flatnonzero(row_kinds == k)
        parts.append(Part(layout, index, rows if len(index) == len(rows) else rows[index]))
    return arranged(parts, len(rows))


@dataclass(frozen=True)
class Layout:
    """How a file lays out the rows of a primitive.

    Attributes:
        primitive: of the rows.
        names: of the columns in the file, in its order.
    """

    primitive: Primitive
    names: Sequence[str]


@dataclass(frozen=True, eq=False)
class Part:
    """The rows of one kind in a file.

    Attributes:
        layout: their columns.
        index: (K,) their positions in the painting order.
        values: (K, P) numbers, in the file's order of columns; further columns are ignored.
    """

    layout: Layout
    index: Array
    values: Array


def names_of(primitive: Primitive) -> list[str]:
    """The names of a row's columns, in the order in which they are written."""
    return [column.name for column in columns_of(primitive)]


def layouts_of(kinds: Mapping[str, Any]) -> dict[str, Layout]:
    """The layouts of a file, by kind.

    Args:
        kinds: by name, the names of each kind's columns: a list, in any order.

    Raises:
        ValueError: there is no such primitive, or it has other columns.
    """
    layouts = {}
    for name, columns in kinds.items():
        if name not in PRIMITIVES:
            known = f"known are {', '.join(PRIMITIVES)}"
            raise ValueError(f"unknown kind {reprlib.repr(name)}; {known}. Try a newer artpipe")
        needs = names_of(PRIMITIVES[name])
        words = isinstance(columns, list) and all(type(word) is str for word in columns)
        if not words or sorted(columns) != sorted(needs):
            held = f"columns of {name} are {reprlib.repr(columns)}"
            raise ValueError(f"{held}; needs {', '.join(needs)}, each once, in any order")
        layouts[name] = Layout(PRIMITIVES[name], columns)
    return layouts


def arranged(parts: Sequence[Part], count: int) -> tuple[Array, Array]:
    """Rows, (N, P) float32, and codes, (N,) uint8, in painting order, with their columns in the order of the table.

    Limits are checked before numbers are rounded to float32, as in the schema.

    Args:
        parts: one for each kind.
        count: N, their rows in total.

    Raises:
        ValueError: a number is out of its limits; the message names the first such row.
    """
    rows = np.zeros((count, width_of([part.layout.primitive for part in parts])), np.float32)
    kinds = np.zeros(count, np.uint8)
    refused = []
    for part in parts:
        primitive = part.layout.primitive
        kinds[part.index] = primitive.code
        for k, column in enumerate(columns_of(primitive)):
            values = part.values[:, part.layout.names.index(column.name)]
            wrong = np.flatnonzero(~((values >= column.low) & (values <= column.high)))  # also of NaN
            if len(wrong):
                held = f"{column.name} {values[wrong[0]]:.9g}; needs {column.low:.9g} to {column.high:.9g}"
                refused.append((int(part.index[wrong[0]]), held))
            else:
                rows[part.index, k] = values
    if refused:
        row, held = min(refused)
        raise ValueError(f"row {row} has {held}")
    return rows, kinds


ARRAYS: dict[str, Field] = {
    "format": _WORD,
    "version": _WHOLE,
    "width": _WHOLE,
    "height": _WHOLE,
    "background": Field("<f4", (3,), 3),
    "edge": _WORD,
    "transparent": _WHOLE,
    "order": _WORD,
    "next_id": _WHOLE,
    # Not as differences, which would save only 2 % of a file of 2048 rows.
    "ids": Field("<i8", ("N",), ROWS_MAX),
    **row_fields(ROWS_MAX),
}
"""The arrays of a scene file."""
