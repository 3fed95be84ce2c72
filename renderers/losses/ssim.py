"""Structural similarity: agreement of two pictures in local mean, contrast and structure."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numpy as np

from ..gaussian import gaussian_filter
from .base import Loss, weighted_mean

Array = np.ndarray[Any, Any]

# Constants of the paper: a Gaussian window of 1.5 pixels truncated at 5, and two stabilisers for 0..1 values.
_SIGMA, _RADIUS = 1.5, 5
_TAPS = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / _SIGMA) ** 2)
_TAPS /= _TAPS.sum()
_C1, _C2 = 0.01**2, 0.03**2
# Rows of a picture whose SSIM is computed at a time.
_BAND = 256


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
    height = len(image)
    total = 0.0
    for top in range(0, height, _BAND):  # in bands, for the memory of large pictures
        first, last = max(0, top - _RADIUS), min(height, top + _BAND + _RADIUS)
        own, wanted = (np.asarray(picture[first:last], np.float64) for picture in (image, target))
        band = slice(top - first, min(height, top + _BAND) - first)
        found = _similarity(np, own, _prepare(np, wanted))[:, band]
        total += float((found if weights is None else found * weights[top : top + _BAND]).sum())
    return total / (3 * height * image.shape[1])


def _prepare(xp: Any, target: Any) -> Any:
    """Planes of the target, (3, H, W), their local means and local mean squares."""
    planes = xp.moveaxis(target, 2, 0)
    smoothed = _smoothing(xp)
    return planes, smoothed(planes), smoothed(planes * planes)


def _similarity(xp: Any, image: Any, prepared: Any) -> Any:
    """The SSIM of each channel and pixel, (3, H, W)."""
    wanted, mean_b, square_b = prepared
    planes = xp.moveaxis(image, 2, 0)
    smooth = _smoothing(xp)(xp.concatenate([planes, planes * planes, planes * wanted], 0))
    mean_a, square_a, product = smooth[:3], smooth[3:6], smooth[6:]
    of_means, of_squares = mean_a * mean_b, mean_a * mean_a + mean_b * mean_b
    covariance, variances = product - of_means, square_a + square_b - of_squares
    return ((2 * of_means + _C1) * (2 * covariance + _C2)) / ((of_squares + _C1) * (variances + _C2))


def _value(xp: Any, image: Any, prepared: Any, weights: Any) -> Any:
    return 1 - weighted_mean(xp, xp.moveaxis(_similarity(xp, image, prepared), 0, 2), weights)


def _smoothing(xp: Any) -> Callable[[Any], Any]:
    """The window as a filter of planes, (C, H, W), in the fastest form for the framework."""
    if xp.__name__ == "jax.numpy":
        return _smoothed_in_jax()
    return _smoothed_in_torch if xp.__name__ == "torch" else _smoothed


def _smoothed(planes: Array) -> Array:
    return gaussian_filter(planes, _SIGMA, _RADIUS, "reflect")


def _smoothed_in_torch(planes: Any) -> Any:
    """The filter as two matrix products: 5 ms for 9 planes of 256 x 256; convolutions take 50, slices 80 ms."""
    down, across = (_window(size, planes.dtype, planes.device) for size in planes.shape[1:])
    return down @ planes @ across


@lru_cache(maxsize=4)
def _window(size: int, dtype: Any, device: Any) -> Any:
    """The window along one axis with mirrored borders as a symmetric matrix, a (size, size) tensor."""
    import torch

    mirrored = np.pad(np.arange(size), _RADIUS, mode="symmetric")
    window = np.zeros((size, size))
    for k, share in enumerate(_TAPS):
        np.add.at(window, (np.arange(size), mirrored[k : k + size]), share)
    return torch.tensor(window, dtype=dtype, device=device)


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
