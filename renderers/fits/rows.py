"""The parametrisation of rows for an optimiser: log lengths, logit opacities, limits, learning rates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..base import FitSettings, Rates
from ..canvas import Canvas
from ..primitives.base import OPACITY_FARTHEST, SHAPE, THINNEST, Column, Look, Primitive
from ..primitives.circle import CIRCLE
from ..row_layout import columns_of, present, width_of

Array = np.ndarray[Any, Any]

_UNUSED = Column("", "share", "identity", "position", lambda w, h, s: (0.0, 0.0), 0.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Parameters:
    """The transforms, limits and learning rates of the columns of rows.

    Arrays are (P, 1) if all rows are of one primitive, otherwise (P, N).

    Attributes:
        primitives: the primitives present; circles if there are no rows.
        kinds: (N,) uint8.
        is_log: columns optimised as their logarithm.
        is_logit: columns optimised as log(v / (1 - v)).
        radius: (2,) float32, the least and the most size of a shape, pixels; None if only the canvas limits it.
        slope: (3, P, 1 or N) float32; the derivative of a value v with respect to its raw value is
            `slope[0] + slope[1] v + slope[2] v²`.
        low: the smallest raw value, float32.
        high: the largest raw value, float32.
        rates: learning rates, float32.
    """

    primitives: tuple[Primitive, ...]
    kinds: Array
    is_log: Array
    is_logit: Array
    slope: Array
    low: Array
    high: Array
    rates: Array
    radius: Array | None

    @property
    def width(self) -> int:
        """Columns of a row, P."""
        return len(self.low)

    def encode(self, rows: Array, index: Array | slice = slice(None)) -> Array:
        """The raw values of rows, (K, P) float32, clipped to the limits.

        Args:
            rows: (K, P).
            index: their indices among the N rows.
        """
        is_log, is_logit, low, high = (
            (part if part.shape[1] == 1 else part[:, index]).T
            for part in (self.is_log, self.is_logit, self.low, self.high)
        )
        values = np.asarray(rows, np.float64)
        opacity = np.clip(values, 1e-12, 1 - 1e-12)
        raw = np.where(is_log, np.log(np.maximum(values, 1e-30)), values)
        raw = np.where(is_logit, np.log(opacity / (1 - opacity)), raw)
        raw = np.clip(raw.astype(np.float32), low, high)
        return np.asarray(limited(np, self.primitives, raw.T, self.kinds[index], self.radius)).T

    def decode(self, raw: Array) -> Array:
        """The rows of raw values, (N, P) float32 both; fits decode in their framework, which may round differently."""
        values = raw.T.astype(np.float64)
        opacity = 1 / (1 + np.exp(-np.where(self.is_logit, values, 0)))
        values = np.where(self.is_log, np.exp(np.where(self.is_log, values, 0)), values)
        return np.where(self.is_logit, opacity, values).T.astype(np.float32)


def limited(xp: Any, primitives: tuple[Primitive, ...], raw: Any, kinds: Any, radius: Any) -> Any:
    """Raw values projected onto each primitive's joint limits of several columns; see `Primitive.limited`.

    Args:
        xp: `numpy`, `jax.numpy` or `torch`.
        primitives: the primitives present.
        raw: (P, N).
        kinds: (N,) codes; not read if there is one primitive.
        radius: see `Parameters`.
    """
    for primitive in primitives:
        shape = [raw[k] for k in range(SHAPE, primitive.width)]
        moved = primitive.limited(xp, shape, radius)
        if moved is shape:
            continue
        if len(primitives) > 1:
            own = kinds == primitive.code
            moved = [xp.where(own, new, old) for new, old in zip(moved, shape, strict=True)]
        raw = xp.concatenate([raw[:SHAPE], xp.stack(list(moved)), raw[primitive.width :]], 0)
    return raw


def parameters_of(kinds: Array, canvas: Canvas, settings: FitSettings) -> Parameters:
    """The parametrisation of rows of these kinds, (N,) codes, on this canvas."""
    primitives = present(kinds) or (CIRCLE,)
    width = width_of(primitives)
    radius = None
    if settings.look.radius != Look.radius:
        radius = np.maximum(settings.look.radius, THINNEST).astype(np.float32)
    tables = [_table(primitive, width, canvas, settings.rates, settings.look) for primitive in primitives]
    if len(tables) == 1:
        columns = [part[..., None] for part in tables[0]]
    else:
        place = np.searchsorted([primitive.code for primitive in primitives], kinds)
        columns = [np.moveaxis(np.stack(parts)[place], 0, -1) for parts in zip(*tables, strict=True)]
    is_log, is_logit, slope, low, high, own_rates = columns
    return Parameters(primitives, kinds, is_log, is_logit, slope, low, high, own_rates, radius)


@lru_cache(maxsize=64)
def _table(primitive: Primitive, width: int, canvas: Canvas, rates: Rates, look: Look) -> tuple[Array, ...]:
    """The arrays of `Parameters` for rows of one primitive, (P,) each; `slope` is (3, P)."""
    columns = columns_of(primitive)
    columns = (*columns, *[_UNUSED] * (width - len(columns)))
    transforms = np.array([column.transform for column in columns])
    limits = np.array([column.limits(canvas.width, canvas.height, look) for column in columns], np.float64)
    is_log, is_logit = transforms == "log", transforms == "logit"
    limits[is_log] = np.log(limits[is_log])
    with np.errstate(divide="ignore"):
        logits = np.log(limits[is_logit] / (1 - limits[is_logit]))
    limits[is_logit] = np.clip(logits, -OPACITY_FARTHEST, OPACITY_FARTHEST)
    slope = np.stack([~(is_log | is_logit), is_log | is_logit, -1.0 * is_logit]).astype(np.float32)
    own_rates = np.array([getattr(rates, column.rate) * column.pace for column in columns], np.float32)
    return is_log, is_logit, slope, limits[:, 0].astype(np.float32), limits[:, 1].astype(np.float32), own_rates
