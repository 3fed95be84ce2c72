"""Rows of scenes: which primitives they hold, how wide they are, and the limits of their columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .checks import shown
from .errors import InputError, NotFinite
from .primitives.base import PAINT, SHAPE, Column, Primitive
from .primitives.circle import CIRCLE
from .primitives.table import BY_CODE

Array = np.ndarray[Any, Any]


def present(kinds: Array) -> tuple[Primitive, ...]:
    """The primitives whose codes are among these, in order of their codes."""
    found = np.flatnonzero(np.bincount(kinds, minlength=1)) if len(kinds) else ()
    return tuple(BY_CODE[int(code)] for code in found)


def width_of(primitives: Sequence[Primitive]) -> int:
    """Columns of the widest of these; of a circle if there are none."""
    return max((primitive.width for primitive in primitives), default=CIRCLE.width)


def columns_of(primitive: Primitive) -> tuple[Column, ...]:
    """All columns of a row of this primitive, paint first."""
    return (*PAINT, *primitive.columns)


def stacked_rows(parts: Sequence[Array]) -> Array:
    """Rows of different widths concatenated, padded with 0."""
    width = max(part.shape[1] for part in parts)
    return np.concatenate([np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in parts])


def check_rows(rows: Array, kinds: Array) -> None:
    """Checks that renderers can draw these rows.

    Args:
        rows: (N, P) numbers.
        kinds: (N,) codes.

    Raises:
        InputError: naming the first bad row and column, and what it needs.
    """
    check_finite(rows)
    low, high = row_limits(kinds, rows.shape[1])
    bad = (rows < low) | (rows > high)
    if bad.any():
        row, k = (int(index) for index in np.argwhere(bad)[0])
        column = columns_of(BY_CODE[int(kinds[row])])[k]
        raise InputError(f"row {row} has {column.name} {rows[row, k]:.9g}; needs {column.low:.9g} to {column.high:.9g}")


def row_limits(kinds: Array, width: int) -> tuple[Array, Array]:
    """Lower and upper limits of every column, (1, P) float64 each, or (N, P) if there are several primitives.

    Columns that a primitive does not have are not limited.
    """
    primitives = present(kinds) or (CIRCLE,)
    low, high = _limits_of(primitives, width)
    if len(primitives) == 1:
        return low, high
    place = np.searchsorted([primitive.code for primitive in primitives], kinds)
    return low[place], high[place]


@lru_cache(maxsize=64)
def _limits_of(primitives: tuple[Primitive, ...], width: int) -> tuple[Array, Array]:
    """Lower and upper limits of the columns of each primitive, (K, P) float64 each; shared, so read-only."""
    low, high = np.full((len(primitives), width), -np.inf), np.full((len(primitives), width), np.inf)
    for k, primitive in enumerate(primitives):
        columns = columns_of(primitive)
        low[k, : len(columns)], high[k, : len(columns)] = zip(*((c.low, c.high) for c in columns), strict=True)
    low.flags.writeable = high.flags.writeable = False
    return low, high


def clamped(where: Callable[..., Any], values: Any, low: Any, high: Any) -> Any:
    """Values clipped to limits, except NaN and infinity; the first step of every drawing function.

    The derivative is 1 inside and at a limit, as for a colour of exactly 0 or 1, and 0 outside.

    Args:
        where: the framework's `where`.
        values: an array of the framework.
        low: limit, a number or an array that broadcasts against the values.
        high: limit, likewise.
    """
    below, above = (values < low) & (values > -np.inf), (values > high) & (values < np.inf)
    return where(below, low, where(above, high, values))


def check_finite(rows: Array) -> None:
    """Checks that all values are finite.

    Raises:
        NotFinite: an InputError that names the first such row and column.
    """
    if not np.isfinite(rows).all():
        row, column = np.argwhere(~np.isfinite(rows))[0]
        name = PAINT[column].name if column < SHAPE else f"shape column {column - SHAPE}"
        raise NotFinite(f"row {row} has {rows[row, column]} in its {name}; needs a finite number")


def check_drawable(rows: Array, background: Array) -> None:
    """Checks that rows and background are finite.

    Raises:
        InputError: a value of the rows, (N, P), or of the background, (3,), is not finite.
    """
    check_finite(rows)
    if not np.isfinite(background).all():
        raise InputError(f"background is {shown(background.tolist())}; needs three finite sRGB values")
