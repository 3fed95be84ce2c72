"""The blur of a plane, such as the error of each pixel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


# A blur this wide (pixels) is done on a plane of half the sides, twice as wide on one of a quarter, and so on. On a
# canvas of 2048 pixels a side, blurring was a third of all work before.
WIDE = 16.0


def blurred(plane: Array, sigma: float) -> Array:
    """(H, W): the plane under a Gaussian of this width, pixels; under a wide one, in blocks of an eighth of it or less.

    Args:
        plane: (H, W), not negative.
        sigma: standard deviation.
    """
    from scipy.ndimage import gaussian_filter

    if sigma < WIDE:
        return np.maximum(gaussian_filter(plane, sigma, mode="nearest", truncate=3.0), 0.0)
    height, width = plane.shape
    padded = np.pad(plane, ((0, height % 2), (0, width % 2)), mode="edge")
    halved = padded.reshape(len(padded) // 2, 2, -1, 2).mean(axis=(1, 3))
    # The mean over two pixels blurs too, by a variance of a quarter of a pixel².
    coarse = blurred(halved, math.sqrt(sigma * sigma - 0.25) / 2)
    return coarse.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
