"""Where a picture is wrong: squared error, and its blur."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def blurred(plane: Array, sigma: float) -> Array:
    """(H, W): the plane under a Gaussian of this width, pixels."""
    from scipy.ndimage import gaussian_filter

    return np.maximum(gaussian_filter(plane, sigma, mode="nearest", truncate=3.0), 0.0)


def squared_error(image: Array, target: Array, shares: Array) -> Array:
    """(H, W) float32: what each pixel counts in the loss, times the number of pixels."""
    difference = image - target
    error = np.einsum("ijk,ijk->ij", difference, difference)
    return error * (shares * shares.size).astype(np.float32)
