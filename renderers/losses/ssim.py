"""Structural similarity: agreement of two pictures in local mean, contrast and structure."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from .base import Loss, weighted_mean

Array = np.ndarray[Any, Any]

# Constants of the paper: a Gaussian window of 1.5 pixels truncated at 5, and two stabilisers for 0..1 values.
_SIGMA, _RADIUS = 1.5, 5
_TAPS = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / _SIGMA) ** 2)
_TAPS /= _TAPS.sum()
_C1, _C2 = 0.01**2, 0.03**2


def structural_similarity(image: Array, target: Array, weights: Array | None = None) -> float:
    """The SSIM, a mean over pixels and channels; 1 for equal pictures.

    Args:
        image: (H, W, 3), sRGB in 0..1.
        target: (H, W, 3), sRGB in 0..1.
        weights: (H, W) with a mean of 1; equal if not given.

    Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", IEEE Transactions on Image Processing 13(4), 2004. Here per channel, with mirrored borders, so that it
    is defined for small pictures.
    """
    wanted = np.asarray(target, np.float64)
    return 1 - float(_value(np, np.asarray(image, np.float64), _prepare(np, wanted), weights))


def _prepare(xp: Any, target: Any) -> Any:
    """Planes of the target, (3, H, W), their local means and local mean squares."""
    planes = xp.moveaxis(target, 2, 0)
    smoothed = _smoothing(xp)
    return planes, smoothed(planes), smoothed(planes * planes)


def _value(xp: Any, image: Any, prepared: Any, weights: Any) -> Any:
    wanted, mean_b, square_b = prepared
    planes = xp.moveaxis(image, 2, 0)
    smooth = _smoothing(xp)(xp.concatenate([planes, planes * planes, planes * wanted], 0))
    mean_a, square_a, product = smooth[:3], smooth[3:6], smooth[6:]
    of_means, of_squares = mean_a * mean_b, mean_a * mean_a + mean_b * mean_b
    covariance, variances = product - of_means, square_a + square_b - of_squares
    similarity = ((2 * of_means + _C1) * (2 * covariance + _C2)) / ((of_squares + _C1) * (variances + _C2))
    return 1 - weighted_mean(xp, xp.moveaxis(similarity, 0, 2), weights)


def _smoothing(xp: Any) -> Callable[[Any], Any]:
    """The window as a filter of planes, (C, H, W), in the fastest form for the framework."""
    return _smoothed_in_jax() if xp.__name__ == "jax.numpy" else partial(_smoothed, xp)


def _smoothed(xp: Any, planes: Any) -> Any:
    """The filter as two matrix products. In PyTorch 5 ms for 9 planes of 256 x 256; convolutions 50, slices 80 ms."""
    down, across = (xp.asarray(_window(size), dtype=planes.dtype) for size in planes.shape[1:])
    if xp.__name__ == "torch":
        down, across = down.to(planes.device), across.to(planes.device)
    return down @ planes @ across


@cache
def _window(size: int) -> Array:
    """The window along one axis with mirrored borders as a symmetric matrix, (size, size) float64."""
    mirrored = np.pad(np.arange(size), _RADIUS, mode="symmetric")
    window = np.zeros((size, size))
    for k, share in enumerate(_TAPS):
        np.add.at(window, (np.arange(size), mirrored[k : k + size]), share)
    return window


@cache
def _smoothed_in_jax() -> Callable[[Any], Any]:
    """The filter as sums of shifted slices. In JAX 1.3 ms for 9 planes of 256 x 256; matrix products take 8 ms.

    Since the window is symmetric, its vector-Jacobian product is the filter itself; that of the slices takes 100 ms.
    """
    import jax
    import jax.numpy as jnp

    def along(planes: Any, axis: int) -> Any:
        size = planes.shape[axis]
        width = [(_RADIUS, _RADIUS) if axis == k else (0, 0) for k in range(3)]
        # Keeps XLA from fusing the padding into the sum, which would compute it again for each slice.
        padded = jax.lax.optimization_barrier(jnp.pad(planes, width, mode="symmetric"))
        return sum(
            share * jax.lax.slice_in_dim(padded, k, k + size, axis=axis) for k, share in enumerate(_TAPS.tolist())
        )

    @jax.custom_vjp
    def smoothed(planes: Any) -> Any:
        return along(along(planes, 1), 2)

    smoothed.defvjp(lambda planes: (smoothed(planes), None), lambda _, gradient: (smoothed(gradient),))
    return smoothed


SSIM = Loss("ssim", "1 - structural similarity: favours texture and edges over exact colour", _value, _prepare)
