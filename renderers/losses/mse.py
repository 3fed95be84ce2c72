"""The mean squared error."""

from __future__ import annotations

from typing import Any

from .base import Loss, weighted_mean


def _value(xp: Any, image: Any, target: Any, weights: Any) -> Any:
    return weighted_mean(xp, xp.square(image - target), weights)


MSE = Loss("mse", "mean squared error of sRGB values", _value)
"""The default loss. Alone, it is fused into the kernels; this function is used in sums of losses."""
