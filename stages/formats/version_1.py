"""Files of version 1, as files of version 2: circles alone, whose columns had one order."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from artpipe.renderers.primitives.circle import CIRCLE

from .arrays import Field
from .scene_arrays import ARRAYS, WORD_MAX

COLUMNS = ["x", "y", "red", "green", "blue", "opacity", "softness", "radius"]


def row_fields(most: int) -> dict[str, Field]:
    """The field of at most so many rows."""
    return {"rows": Field("<f4", ("N", len(COLUMNS)), most * len(COLUMNS))}


SCENE_ARRAYS: dict[str, Field] = {
    **{name: field for name, field in ARRAYS.items() if name != "row_kinds"},
    "columns": Field("<U", (len(COLUMNS),), len(COLUMNS) * WORD_MAX),
    "kinds": Field("<U", (1,), WORD_MAX),
    **row_fields(ARRAYS["ids"].most),
}
"""The arrays of a scene file."""


def with_kinds(values: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of a scene, or of scenes, with those of `scene_arrays.row_fields`."""
    row_kinds = np.zeros(len(values["rows"]), np.uint8)
    return {**values, "kinds": [CIRCLE.name], "columns": [" ".join(COLUMNS)], "row_kinds": row_kinds}


def with_named_rows(content: Mapping[str, Any]) -> dict[str, Any]:
    """What the JSON file of a scene holds, with the kind at the head of each row."""
    rows = [[CIRCLE.name, *row] if isinstance(row, list) else row for row in content["rows"]]
    return {**content, "kinds": {CIRCLE.name: COLUMNS}, "rows": rows}


def check_columns(content: Mapping[str, Any]) -> None:
    """Refuses a scene that is not of circles with these columns.

    Raises:
        KeyError: it does not say what it is of.
        ValueError: it is of something else.
    """
    if content["columns"] != COLUMNS:
        raise ValueError(f"columns are {reprlib.repr(content['columns'])}; needs {', '.join(COLUMNS)}")
    if content["kinds"] != [CIRCLE.name]:
        raise ValueError(f"kinds are {reprlib.repr(content['kinds'])}; needs {CIRCLE.name} alone in version 1")
