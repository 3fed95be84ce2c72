"""Metrics between a picture and its target in numpy, and the pixel weighting that all renderers use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..canvas import Canvas
from ..checks import real_array, real_number
from ..errors import InputError

Array = np.ndarray[Any, Any]


# Targets may exceed 0..1 by this much: our own pictures do, by float32 rounding.
SLACK = 1e-5


def mean_squared_error(image: Array, target: Array, weights: Array | None = None) -> float:
    """The weighted mean over pixels and channels of the squared difference, on 0..1 values.

    Args:
        image: (H, W, 3) floating-point numbers.
        target: (H, W, 3), sRGB in 0..1.
        weights: (H, W), not negative; only their proportions matter. Equal if not given.

    Raises:
        InputError: a shape, dtype or value is invalid.
    """
    image = real_array("image", image, "(H, W, 3) floating-point sRGB values in 0..1", "f")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(f"image has shape {image.shape}; needs (H, W, 3)")
    if not np.isfinite(image).all():
        raise InputError("image has values that are not finite; needs sRGB values in 0..1")
    height, width = image.shape[:2]
    squared = np.square(np.asarray(image, np.float64) - check_colours(target, width, height, np.float64))
    return float(np.sum(squared * pixel_shares(weights, height, width)[:, :, None]))


def pixel_shares(weights: Array | None, height: int, width: int) -> Array:
    """The share of one channel of each pixel in the loss, (H, W) float64; three times their sum is 1.

    Raises:
        InputError: the weights have another shape, are negative, not finite or all zero.
    """
    if weights is None:
        return np.full((height, width), 1.0 / (3.0 * height * width))
    needs = f"({height}, {width}) numbers, one per pixel"
    weights = real_array("weights", weights, needs, "biuf").astype(np.float64)
    if weights.shape != (height, width):
        raise InputError(f"weights have shape {weights.shape}; needs ({height}, {width}), one per pixel")
    if not np.isfinite(weights).all() or weights.min() < 0 or weights.max() == 0:
        raise InputError("weights must be finite and not negative, with at least one above 0")
    if not 1e-200 < weights.max() < 1e200:  # keeps the sum and its inverse finite
        weights = weights / weights.max()
    return weights / (3.0 * weights.sum())


def psnr(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error on 0..1 values; infinite for 0.

    Raises:
        InputError: it is not a number, or negative.
    """
    mse = real_number("mse", mse, 0, math.inf)
    return math.inf if mse == 0 else -10.0 * math.log10(mse)


def seed_loss(mse: float) -> float:
    """The mean squared error on values in -1..1, as published by the seed project: 4 x MSE.

    Raises:
        InputError: it is not a number, or negative.
    """
    return 4.0 * real_number("mse", mse, 0, math.inf)


def check_target(target: Array, canvas: Canvas) -> Array:
    """The target as (H, W, 3) float32, contiguous.

    Raises:
        InputError: its shape differs from the canvas, or its values are not floating-point numbers in 0..1.
    """
    return check_colours(target, canvas.width, canvas.height)


def check_colours(
    target: Array, width: int, height: int, dtype: Any = np.float32, channels: Sequence[int] = (3,)
) -> Array:
    """The target, checked, in this dtype, contiguous.

    Args:
        target: (H, W, C), sRGB and straight alpha in 0..1.
        width: expected W.
        height: expected H.
        dtype: of the result.
        channels: accepted values of C.

    Raises:
        InputError: as `check_target`.
    """
    shapes = " or ".join(f"({height}, {width}, {count})" for count in channels)
    target = real_array(
        "target", target, f"floating-point values in 0..1, {shapes}. Try dividing integers by their range", "f"
    )
    if target.shape not in [(height, width, count) for count in channels]:
        raise InputError(f"target has shape {target.shape}; the canvas needs {shapes}, values in 0..1")
    what = "sRGB values" if target.shape[2] == 3 else "sRGB and alpha values"
    if not np.isfinite(target).all():
        raise InputError(f"target has values that are not finite; needs {what} in 0..1")
    low, high = target.min(), target.max()
    if low < -SLACK or high > 1 + SLACK:
        raise InputError(f"target has values from {low:.6g} to {high:.6g}; needs {what} in 0..1")
    return np.ascontiguousarray(target, dtype)
