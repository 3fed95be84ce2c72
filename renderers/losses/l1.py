"""The mean absolute error."""

from __future__ import annotations

from typing import Any

from .base import Loss, weighted_mean


def _value(xp: Any, image: Any, target: Any, weights: Any) -> Any:
    return weighted_mean(xp, xp.abs(image - target), weights)


L1 = Loss("l1", "mean absolute error of sRGB values: less sensitive to outliers", _value)
