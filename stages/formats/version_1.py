"""Conversion of files of version 1, circles with columns in a fixed order, to version 2."""

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
    """The field of up to `most` rows."""
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
    """The content of a scene's JSON file, with the kind at the head of each row."""
    rows = [[CIRCLE.name, *row] if isinstance(row, list) else row for row in content["rows"]]
    return {**content, "kinds": {CIRCLE.name: COLUMNS}, "rows": rows}


def check_columns(content: Mapping[str, Any]) -> None:
    """Checks that a scene is of circles with these columns.

    Raises:
        KeyError: `columns` or `kinds` is missing.
        ValueError: it has others.
    """
    if content["columns"] != COLUMNS:
        raise ValueError(f"columns are {reprlib.repr(content['columns'])}; needs {', '.join(COLUMNS)}")
    if content["kinds"] != [CIRCLE.name]:
        raise ValueError(f"kinds are {reprlib.repr(content['kinds'])}; needs {CIRCLE.name} alone in version 1")
