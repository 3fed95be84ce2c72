"""Layers of the networks of perceptual losses, for JAX and PyTorch; `xp` is `jax.numpy` or `torch`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Convolution:
    """A convolution with a bias, in NumPy arrays or in those of a framework (see `Constants`)."""

    kernel: Any  # (O, I, side, side); depthwise: (O, 1, side, side), one kernel per channel
    bias: Any  # (O,)
    stride: int = 1
    padding: tuple[int, int] = (0, 0)  # zeros before and after, on both axes
    is_depthwise: bool = False


class Constants:
    """The layers of a network, converted once per dtype and device.

    Args:
        xp: `jax.numpy` or `torch`.
        layers: in float32 NumPy arrays.
    """

    def __init__(self, xp: Any, layers: Sequence[Convolution]) -> None:
        self._xp, self._layers = xp, layers
        self._converted: dict[tuple[Any, Any], list[Convolution]] = {}

    def like(self, x: Any) -> list[Convolution]:
        """The layers in the dtype and on the device of `x`."""
        key = x.dtype, None if is_jax(self._xp) else x.device
        if key not in self._converted:
            self._converted[key] = [self._convert(layer, x) for layer in self._layers]
        return self._converted[key]

    def _convert(self, layer: Convolution, x: Any) -> Convolution:
        kernel, bias = like(self._xp, layer.kernel, x), like(self._xp, layer.bias, x)
        if not is_jax(self._xp):
            kernel = kernel.contiguous(memory_format=self._xp.channels_last)
        return replace(layer, kernel=kernel, bias=bias)


def is_jax(xp: Any) -> bool:
    """Whether this is JAX's namespace; PyTorch's otherwise."""
    return bool(xp.__name__ == "jax.numpy")


def like(xp: Any, array: Array, x: Any) -> Any:
    """A NumPy constant in the dtype and on the device of `x`; for JAX still in NumPy, since `x` may be traced."""
    if is_jax(xp):
        return np.asarray(array, x.dtype)
    return xp.tensor(np.asarray(array), dtype=x.dtype, device=x.device)


def convolve(xp: Any, x: Any, layer: Convolution) -> Any:
    """The convolution of (B, H, W, I), (B, H', W', O)."""
    if is_jax(xp):
        return (_depthwise_in_jax if layer.is_depthwise else _in_jax)(x, layer) + layer.bias[None, None, None, :]
    from torch.nn import functional

    x = x.permute(0, 3, 1, 2)  # strides of "channels last", the faster memory format on a CPU
    before, after = layer.padding
    if before != after:
        x, before = functional.pad(x, (before, after, before, after)), 0
    groups = len(layer.bias) if layer.is_depthwise else 1
    return functional.conv2d(x, layer.kernel, layer.bias, layer.stride, before, 1, groups).permute(0, 2, 3, 1)


def _in_jax(x: Any, layer: Convolution) -> Any:
    from jax import lax

    return lax.conv_general_dilated(
        x, layer.kernel, (layer.stride,) * 2, (layer.padding,) * 2, dimension_numbers=("NHWC", "OIHW", "NHWC")
    )


def _depthwise_in_jax(x: Any, layer: Convolution) -> Any:
    """A sum of shifted pictures: on a CPU, XLA takes 20 to 200 times as long for the gradient of grouped channels."""
    import jax
    from jax import numpy as jnp

    kernel, stride, (before, after) = layer.kernel[:, 0], layer.stride, layer.padding
    reach = kernel.shape[1] - 1
    unreached = [(length + before + after - reach - 1) % stride for length in x.shape[1:3]]  # pixels past the last step

    @jax.custom_vjp
    def convolved(x: Any) -> Any:
        return _shifted_sum(jnp.pad(x, ((0, 0), (before, after), (before, after), (0, 0))), kernel, stride)

    def vjp(_: None, gradient: Any) -> tuple[Any]:
        # The transposed convolution: the gradient is dilated by the stride, the kernel mirrored.
        spread = [(reach - before, reach - after + rest, stride - 1) for rest in unreached]
        spread_out = jax.lax.pad(gradient, jnp.zeros((), x.dtype), ((0, 0, 0), *spread, (0, 0, 0)))
        return (_shifted_sum(spread_out, kernel[:, ::-1, ::-1], 1),)

    convolved.defvjp(lambda x: (convolved(x), None), vjp)
    return convolved(x)


def _shifted_sum(x: Any, kernel: Any, stride: int) -> Any:
    """The depthwise convolution of (B, H, W, C) with (C, side, side), without padding, (B, H', W', C)."""
    from jax.lax import optimization_barrier

    x = optimization_barrier(x)  # else XLA fuses the padding into each summand, and compiles 1.5 times as long
    side, total = kernel.shape[1], 0.0
    down, across = (length - side + 1 for length in x.shape[1:3])
    for i in range(side):
        for j in range(side):
            shifted = x[:, i : i + down : stride, j : j + across : stride, :]
            total = total + shifted * kernel[:, i, j][None, None, None, :]
    return total


def max_pool(xp: Any, x: Any) -> Any:
    """Max pooling over 3 x 3 pixels at a stride of 2, without padding, (B, H', W', C)."""
    if is_jax(xp):
        from jax import lax

        return lax.reduce_window(x, -xp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "VALID")
    from torch.nn import functional

    return functional.max_pool2d(x.permute(0, 3, 1, 2), 3, 2).permute(0, 2, 3, 1)


def area_mean(xp: Any, x: Any, height: int, width: int) -> Any:
    """The means of (H, W) over equal cells with fractional borders, (height, width)."""
    down, across = (like(xp, cells(*counts), x) for counts in ((height, x.shape[0]), (width, x.shape[1])))
    return down @ x @ across.T


def cells(count: int, pixels: int) -> Array:
    """The share of each pixel of a line in the mean over each of `count` equal cells, (count, pixels) float64."""
    edges = np.arange(count + 1) * (pixels / count)
    left = np.arange(pixels)
    covered = np.minimum(edges[1:, None], left + 1) - np.maximum(edges[:-1, None], left)
    return np.maximum(covered, 0) * (count / pixels)


def enlarged(xp: Any, image: Any, least: int) -> Any:
    """An image, (H, W, C), enlarged by repeating pixels until each side has at least `least` of them."""
    height, width, channels = image.shape
    by = -(-least // min(height, width))
    if by <= 1:
        return image
    squares = xp.broadcast_to(image[:, None, :, None, :], (height, by, width, by, channels))
    return squares.reshape(height * by, width * by, channels)
