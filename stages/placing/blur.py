"""Gaussian blur of a plane, such as the squared error of each pixel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from artpipe.renderers.gaussian import gaussian_filter

Array = np.ndarray[Any, Any]


# From this standard deviation (pixels) the blur runs at half resolution, from twice as much at a quarter, and so on. At
# full resolution, blurring took a third of the time on a canvas of 2048 x 2048 pixels.
WIDE = 16.0
# Radius of the window in standard deviations.
REACH = 3.0


def blurred(plane: Array, sigma: float) -> Array:
    """The plane blurred by a Gaussian, (H, W); for a wide one, in constant blocks of at most an eighth of `sigma`.

    Args:
        plane: (H, W), not negative.
        sigma: standard deviation, pixels.
    """
    if sigma < WIDE:
        return np.maximum(gaussian_filter(plane, sigma, int(REACH * sigma + 0.5), "nearest"), 0.0)
    height, width = plane.shape
    padded = np.pad(plane, ((0, height % 2), (0, width % 2)), mode="edge")
    halved = padded.reshape(len(padded) // 2, 2, -1, 2).mean(axis=(1, 3))
    # Averaging two pixels is itself a blur with a variance of 1/4 pixel².
    coarse = blurred(halved, math.sqrt(sigma * sigma - 0.25) / 2)
    return coarse.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
