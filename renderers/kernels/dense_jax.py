"""The dense kernel in JAX."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..canvas import Canvas
from ..primitives.base import OPACITY, Primitive
from ..primitives.circle import CIRCLE
from ..row_layout import present
from .dense import DenseKernel, composite, gain_sums, leave_one_out, opacities, pixels_per_chunk

Array = np.ndarray[Any, Any]


def split_background(canvas: Canvas) -> tuple[Array, Canvas]:
    """The background as an array, and a canvas without it: a static argument that is equal for all backgrounds."""
    return np.array(canvas.background, np.float32), Canvas(canvas.width, canvas.height, edge=canvas.edge)


def draw(
    rows: jax.Array,
    kinds: Any,
    background: jax.Array,
    primitives: tuple[Primitive, ...],
    canvas: Canvas,
    memory_mb: float,
) -> jax.Array:
    """The picture, (H, W, 3), in the precision of `rows`.

    Args:
        rows: (N, P).
        kinds: (N,) codes.
        background: (3,), sRGB in 0..1.
        primitives: the primitives present in `kinds`.
        canvas: size and falloff (its background is not read).
        memory_mb: memory limit; pixels are drawn in chunks, and again for the gradient.
    """
    kinds = jnp.asarray(kinds)
    if rows.shape[0] == 0:
        return jnp.broadcast_to(background.astype(rows.dtype), (canvas.height, canvas.width, 3))

    def draw_pixels(index: jax.Array) -> jax.Array:
        across, down = _centres(index, canvas, rows.dtype)
        a = opacities(jnp, rows, kinds, primitives, canvas.edge, across, down)
        # Full precision: GPUs would round the factors of the product to 10 bits.
        with jax.default_matmul_precision("highest"):
            return composite(jnp, _cumprod, a, rows, background.astype(rows.dtype))

    return _in_chunks(draw_pixels, rows, canvas, memory_mb).reshape(canvas.height, canvas.width, 3)


def _cumprod(values: jax.Array, axis: int) -> jax.Array:
    """`cumprod` as in `composite`. On a CPU a loop compiles in half the time of `jnp.cumprod` and runs faster."""

    def loop(values: jax.Array) -> jax.Array:
        def step(product: jax.Array, value: jax.Array) -> tuple[jax.Array, jax.Array]:
            return product * value, product * value

        ahead = jnp.moveaxis(values, axis, 0)
        return jnp.moveaxis(jax.lax.scan(step, jnp.ones_like(ahead[0]), ahead)[1], 0, axis)

    return jax.lax.platform_dependent(values, cpu=loop, default=partial(jnp.cumprod, axis=axis))


def _centres(index: jax.Array, canvas: Canvas, dtype: Any) -> tuple[jax.Array, jax.Array]:
    """X and y of the centres of the pixels with these flat indices."""
    return (index % canvas.width + 0.5).astype(dtype), (index // canvas.width + 0.5).astype(dtype)


def _in_chunks(of_pixels: Any, rows: jax.Array, canvas: Canvas, memory_mb: float) -> jax.Array:
    """A function of flat pixel indices evaluated at all pixels, chunk by chunk: (H W, ...)."""
    found = jax.lax.map(jax.checkpoint(of_pixels), _chunks(rows, canvas, memory_mb))
    return found.reshape(-1, *found.shape[2:])[: canvas.width * canvas.height]


def _chunks(rows: jax.Array, canvas: Canvas, memory_mb: float) -> jax.Array:
    """(chunks, K): flat indices of pixels that are drawn together; the last chunk may extend beyond the canvas."""
    chunk = pixels_per_chunk(canvas, rows.shape[0], memory_mb, rows.dtype.itemsize)
    chunk_count = -(-canvas.width * canvas.height // chunk)
    return jnp.arange(chunk_count * chunk).reshape(chunk_count, chunk)


def squared_loss(image: jax.Array, target: jax.Array, shares: jax.Array) -> jax.Array:
    """The weighted mean squared error of an image, (H, W, 3), from the pixels' shares, (H, W)."""
    return jnp.sum(jnp.square(image - target) * shares[:, :, None])


_STATIC = ("primitives", "canvas", "memory_mb")
_draw = jax.jit(draw, static_argnames=_STATIC)


def _loss_of(
    rows: Any, kinds: Any, background: Any, target: Any, shares: Any, *, primitives: Any, canvas: Any, memory_mb: Any
) -> Any:
    return squared_loss(draw(rows, kinds, background, primitives, canvas, memory_mb), target, shares)


_loss = jax.jit(_loss_of, static_argnames=_STATIC)
_loss_and_gradient = jax.jit(jax.value_and_grad(_loss_of, argnums=(0, 2)), static_argnames=_STATIC)


@partial(jax.jit, static_argnames=_STATIC)
def _vjp(
    rows: Any, kinds: Any, background: Any, image_gradient: Any, *, primitives: Any, canvas: Any, memory_mb: Any
) -> Any:
    _, pull = jax.vjp(lambda rows, back: draw(rows, kinds, back, primitives, canvas, memory_mb), rows, background)
    return pull(image_gradient)


@partial(jax.jit, static_argnames=_STATIC)
def _worth(
    rows: Any, kinds: Any, background: Any, target: Any, shares: Any, *, primitives: Any, canvas: Any, memory_mb: Any
) -> Any:
    flat_target, flat_shares = target.reshape(-1, 3), shares.reshape(-1)

    def of_pixels(index: jax.Array) -> jax.Array:
        a = opacities(jnp, rows, kinds, primitives, canvas.edge, *_centres(index, canvas, rows.dtype))
        inside = index < flat_shares.shape[0]
        own = jnp.where(inside, flat_shares.at[index].get(mode="clip"), 0)
        with jax.default_matmul_precision("highest"):
            return leave_one_out(
                jnp, _cumprod, jax.lax.scan, a, rows, background, flat_target.at[index].get(mode="clip"), own
            )

    return jax.lax.map(of_pixels, _chunks(rows, canvas, memory_mb)).sum(0)


@partial(jax.jit, static_argnames=_STATIC)
def _sums(
    image: Any, rows: Any, kinds: Any, target: Any, shares: Any, *, primitives: Any, canvas: Any, memory_mb: Any
) -> Any:
    flat_image, flat_target, flat_shares = image.reshape(-1, 3), target.reshape(-1, 3), shares.reshape(-1)
    opaque = rows.at[:, OPACITY].set(1.0)

    def of_pixels(index: jax.Array) -> jax.Array:
        m = opacities(jnp, opaque, kinds, primitives, canvas.edge, *_centres(index, canvas, rows.dtype))
        own = jnp.where(index < flat_shares.shape[0], flat_shares.at[index].get(mode="clip"), 0)
        with jax.default_matmul_precision("highest"):
            own_image, own_target = (flat.at[index].get(mode="clip") for flat in (flat_image, flat_target))
            return gain_sums(jnp, m, own_image, own_target, own)

    return jax.lax.map(of_pixels, _chunks(rows, canvas, memory_mb)).sum(0)


class JaxKernel(DenseKernel):
    """The dense kernel on a JAX device; see `kernels.base.Kernel`.

    Args:
        device: the device.
        memory_mb: memory limit, MB.
    """

    def __init__(self, device: jax.Device, memory_mb: float) -> None:
        self._device = device
        self._memory_mb = memory_mb

    def _static(self, kinds: Array, canvas: Canvas) -> dict[str, Any]:
        plain_canvas = split_background(canvas)[1]
        return {"primitives": present(kinds) or (CIRCLE,), "canvas": plain_canvas, "memory_mb": self._memory_mb}

    def render(self, rows: Array, kinds: Array, canvas: Canvas) -> Array:
        """See `Kernel.render`."""
        with jax.default_device(self._device):
            return np.asarray(_draw(rows, kinds, split_background(canvas)[0], **self._static(kinds, canvas)))

    def loss_and_gradient(
        self, rows: Array, kinds: Array, canvas: Canvas, target: Array, shares: Array
    ) -> tuple[float, Array, Array]:
        """See `Kernel.loss_and_gradient`."""
        with jax.default_device(self._device):
            loss, (by_rows, by_background) = _loss_and_gradient(
                rows,
                kinds,
                split_background(canvas)[0],
                np.moveaxis(target, 0, 2),
                shares,
                **self._static(kinds, canvas),
            )
            return float(loss), np.asarray(by_rows), np.asarray(by_background)

    def vjp(self, rows: Array, kinds: Array, canvas: Canvas, image_gradient: Array) -> tuple[Array, Array]:
        """See `Kernel.vjp`."""
        with jax.default_device(self._device):
            by_rows, by_background = _vjp(
                rows, kinds, split_background(canvas)[0], image_gradient, **self._static(kinds, canvas)
            )
            return np.asarray(by_rows), np.asarray(by_background)

    def worth(self, rows: Array, kinds: Array, canvas: Canvas, target: Array, shares: Array) -> tuple[float, Array]:
        """See `Kernel.worth`."""
        with jax.default_device(self._device):
            problem = np.moveaxis(target, 0, 2), shares
            static, background = self._static(kinds, canvas), split_background(canvas)[0]
            loss = _loss(rows, kinds, background, *problem, **static)
            found = _worth(rows, kinds, background, *problem, **static) if len(rows) else np.zeros(0)
            return float(loss), np.asarray(found, np.float64)

    def _gain_sums(
        self, image: Array, canvas: Canvas, target: Array, shares: Array, rows: Array, kinds: Array
    ) -> Array:
        with jax.default_device(self._device):
            problem = np.moveaxis(target, 0, 2), shares
            return np.asarray(_sums(image, rows, kinds, *problem, **self._static(kinds, canvas)), np.float64)
