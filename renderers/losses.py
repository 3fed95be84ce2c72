"""Losses between a picture and its target, in numpy; the weighting that every renderer follows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .errors import InputError
from .scene import Canvas

Array = np.ndarray[Any, Any]


def mean_squared_error(image: Array, target: Array, weights: Array | None = None) -> float:
    """The weighted mean over pixels and channels of the squared difference, on 0..1 values.

    Args:
        image: (H, W, 3).
        target: (H, W, 3).
        weights: (H, W), not negative; only their proportions matter. Equal if not given.
    """
    squared = np.square(np.asarray(image, np.float64) - target)
    shares = pixel_shares(weights, *squared.shape[:2])
    return float(np.sum(squared * shares[:, :, None]))


def pixel_shares(weights: Array | None, height: int, width: int) -> Array:
    """(H, W) float64: what one channel of each pixel counts in the loss; three times their sum is 1.

    Raises:
        InputError: the weights have another shape, are negative, not finite or all zero.
    """
    if weights is None:
        return np.full((height, width), 1.0 / (3.0 * height * width))
    weights = np.asarray(weights, np.float64)
    if weights.shape != (height, width):
        raise InputError(f"weights have shape {weights.shape}; needs ({height}, {width}), one a pixel")
    if not np.isfinite(weights).all() or weights.min() < 0 or weights.sum() == 0:
        raise InputError("weights need to be finite, not negative, and somewhere above 0")
    return weights / (3.0 * weights.sum())


def psnr(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error on 0..1 values."""
    return math.inf if mse <= 0 else -10.0 * math.log10(mse)


def seed_loss(mse: float) -> float:
    """The same error on values in -1..1, as the seed project publishes it: 4 x MSE."""
    return 4.0 * mse


def check_target(target: Array, canvas: Canvas) -> Array:
    """The target as (H, W, 3) float32, contiguous.

    Raises:
        InputError: its shape is not the canvas's, or a value is not a finite number.
    """
    target = np.ascontiguousarray(target, np.float32)
    if target.shape != (canvas.height, canvas.width, 3):
        raise InputError(
            f"target has shape {target.shape}; the canvas needs ({canvas.height}, {canvas.width}, 3), values in 0..1"
        )
    if not np.isfinite(target).all():
        raise InputError("target has values that are not finite; needs sRGB values in 0..1")
    return target
