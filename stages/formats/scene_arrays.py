"""The scene as plain arrays in an .npz file: the compact twin of the JSON file, with the same names and meanings.

`numpy.load("scene.npz")["rows"]` is all that a reader needs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from artpipe.renderers import Scene
from artpipe.renderers.primitives.circle import CIRCLE
from artpipe.renderers.scene import columns_of

from .arrays import Field

Array = np.ndarray[Any, Any]

# The largest scene that is written or read: some 100 times what a fit has. Its rows and ids fill 10 MB.
ROWS_MAX = 250_000

# Characters of a word; the longest there is has 13.
_WORD_MAX = 64
_WORD, _WHOLE = Field("<U", (), _WORD_MAX), Field("<i8", (), 1)

# The order of columns in files.
COLUMNS = ["x", "y", "red", "green", "blue", "opacity", "softness", "radius"]
_COLUMNS = len(COLUMNS)
_PLACES = [[column.name for column in columns_of(CIRCLE)].index(name) for name in COLUMNS]

# N is the number of rows. The ids are kept as they are: their differences would save 2 % of a file of 2048 rows.
ARRAYS: dict[str, Field] = {
    "format": _WORD,
    "version": _WHOLE,
    "width": _WHOLE,
    "height": _WHOLE,
    "background": Field("<f4", (3,), 3),
    "edge": _WORD,
    "transparent": _WHOLE,
    "order": _WORD,
    "columns": Field("<U", (_COLUMNS,), _COLUMNS * _WORD_MAX),
    "kinds": Field("<U", (1,), _WORD_MAX),
    "next_id": _WHOLE,
    "ids": Field("<i8", ("N",), ROWS_MAX),
    "rows": Field("<f4", ("N", _COLUMNS), ROWS_MAX * _COLUMNS),
}


def to_file(scene: Scene) -> Array:
    """The rows with their columns in the order of `COLUMNS`."""
    return np.stack([scene.column(name) for name in COLUMNS], axis=1)


def from_file(table: Array) -> Array:
    """The rows of a scene from a table in the order of `COLUMNS`."""
    rows = np.empty_like(table)
    rows[:, _PLACES] = table
    return rows
