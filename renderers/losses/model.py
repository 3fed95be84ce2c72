"""The local quadratic model of a loss, with which growth places and removes shapes under any loss.

Around a picture C,

    L(C + d) ~ L(C) + g·d + Σ w |d|²,        g = dL/dC, w >= 0 for each pixel.

With the pseudo-target P = C - g / 2w this is, up to a constant, the weighted squared error Σ w |C + d - P|². Kernels
therefore compute leave-one-out worth, the gain of a candidate and its best colour for any loss from P and w. For the
mean squared error P is the target, w are the pixels' shares, and the model is exact.

For other losses w = |g| / 2|e|, with e = C - T: iteratively reweighted least squares, in which the best step at a pixel
is as long as its error. |g| and |e| are averaged over a neighbourhood, since for losses such as SSIM g is not aligned
with e at a single pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..gaussian import gaussian_filter

Array = np.ndarray[Any, Any]

# Standard deviation of the Gaussian that averages |g| and |e|, and the radius of its window, pixels.
NEIGHBOURHOOD, WINDOW = 2.0, 8


@dataclass(frozen=True, eq=False)
class LocalModel:
    """The local model of a loss: a weighted squared error around a picture.

    Attributes:
        image: (H, W, 3) float32, the picture C.
        target: (H, W, 3) float32, the pseudo-target P.
        shares: (H, W) float64, w.
        energy: (H, W) float32, the possible gain of each pixel, times the number of pixels.
    """

    image: Array
    target: Array
    shares: Array
    energy: Array

    @cached_property
    def problem(self) -> tuple[Array, Array]:
        """The pseudo-target, (3, H, W), and the shares, (H, W), both float32, as kernels take them."""
        return np.ascontiguousarray(np.moveaxis(self.target, 2, 0)), self.shares.astype(np.float32)


def pseudo_problem(gradient: Array, error: Array) -> tuple[Array, Array]:
    """The pseudo-target minus the picture, (H, W, 3) float32, and its shares, (H, W) float64.

    Args:
        gradient: (H, W, 3), dL/dC.
        error: (H, W, 3), picture minus target.

    Source: Holland, Welsch, "Robust regression using iteratively reweighted least-squares", 1977.
    """
    slope, length = (
        gaussian_filter(
            np.sqrt(np.einsum("ijk,ijk->ij", array, array, dtype=np.float64)), NEIGHBOURHOOD, WINDOW, "nearest"
        )
        for array in (gradient, error)
    )
    # Errors below a thousandth count as a thousandth, so that shares stay finite.
    shares = slope / (2 * np.maximum(length, 1e-3))
    step = np.where(shares > 0, -0.5 / np.where(shares > 0, shares, 1), 0)
    return (gradient * step[:, :, None]).astype(np.float32), shares


def squared_error(image: Array, target: Array, shares: Array) -> Array:
    """The squared error of each pixel, weighted by its share, times the number of pixels, (H, W) float32."""
    difference = image - target
    error = np.einsum("ijk,ijk->ij", difference, difference)
    return error * (shares * shares.size).astype(np.float32)
