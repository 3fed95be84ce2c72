"""From rows to what an optimiser moves, and back: log lengths, logit opacities, limits, learning rates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..base import Rates
from ..primitives.base import CIRCLE
from ..scene import Canvas

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Parameters:
    """The columns of circle rows as an optimiser sees them; each array is (P,).

    Attributes:
        is_log: columns moved as their logarithm.
        is_logit: columns moved as log(v / (1 - v)).
        slope: (3, P) float32; a value v changes with its raw value by `slope[0] + slope[1] v + slope[2] v²`.
        low: the smallest raw value, float32.
        high: the largest raw value, float32.
        rates: learning rates, float32.
    """

    is_log: Array
    is_logit: Array
    slope: Array
    low: Array
    high: Array
    rates: Array

    def encode(self, rows: Array) -> Array:
        """(N, P) float32 raw values of rows, moved into the limits."""
        values = np.asarray(rows, np.float64)
        raw = values.copy()
        raw[:, self.is_log] = np.log(np.maximum(values[:, self.is_log], 1e-30))
        opacity = np.clip(values[:, self.is_logit], 1e-12, 1 - 1e-12)
        raw[:, self.is_logit] = np.log(opacity / (1 - opacity))
        return np.clip(raw.astype(np.float32), self.low, self.high)


@lru_cache(maxsize=64)
def circle_parameters(canvas: Canvas, rates: Rates, softness_min: float) -> Parameters:
    """The parameters of circles on this canvas."""
    columns = CIRCLE.columns
    transforms = np.array([column.transform for column in columns])
    limits = np.array([column.limits(canvas.width, canvas.height, softness_min) for column in columns], np.float64)
    is_log, is_logit = transforms == "log", transforms == "logit"
    limits[is_log] = np.log(limits[is_log])
    limits[is_logit] = np.log(limits[is_logit] / (1 - limits[is_logit]))
    return Parameters(
        is_log=is_log,
        is_logit=is_logit,
        slope=np.stack([~(is_log | is_logit), is_log | is_logit, -1.0 * is_logit]).astype(np.float32),
        low=limits[:, 0].astype(np.float32),
        high=limits[:, 1].astype(np.float32),
        rates=np.array([getattr(rates, column.rate) for column in columns], np.float32),
    )
