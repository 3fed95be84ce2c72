"""Drawings that JAX differentiates: with the tiled CPU kernel as a host callback, or densely."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..base import RendererOptions
from ..canvas import Canvas
from ..checks import instance
from ..errors import InputError, one_line
from ..kernels.dense_jax import draw, split_background
from ..kernels.numba.kernel import shared_kernel
from ..primitives.circle import CIRCLE
from ..row_layout import check_drawable, clamped, row_limits
from ..scene import Scene
from .jax_device import GUARD

Array = np.ndarray[Any, Any]


class Kinds:
    """Codes of primitives as a static argument, equal and hashed by value."""

    def __init__(self, codes: Array) -> None:
        self.codes = codes
        self._key = codes.tobytes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kinds) and other._key == self._key

    def __hash__(self) -> int:
        return hash(self._key)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def draw_by_kernel(
    canvas: Canvas, threads: int | None, kinds: Kinds, rows: jax.Array, background: jax.Array
) -> jax.Array:
    """The picture, (H, W, 3) float32, drawn by the tiled CPU kernel; differentiable in rows and background.

    Each call is a host callback of the compiled program (`jax.pure_callback`).
    """
    shape = jax.ShapeDtypeStruct((canvas.height, canvas.width, 3), jnp.float32)
    host = partial(_host_render, canvas, threads, kinds)
    return jax.pure_callback(host, shape, rows, background, vmap_method="sequential")


def _draw_forward(
    canvas: Canvas, threads: int | None, kinds: Kinds, rows: jax.Array, background: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return draw_by_kernel(canvas, threads, kinds, rows, background), (rows, background)


def _draw_backward(
    canvas: Canvas,
    threads: int | None,
    kinds: Kinds,
    saved: tuple[jax.Array, jax.Array],
    image_gradient: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    shapes = tuple(jax.ShapeDtypeStruct(array.shape, jnp.float32) for array in saved)
    host = partial(_host_vjp, canvas, threads, kinds)
    result = jax.pure_callback(host, shapes, *saved, image_gradient, vmap_method="sequential")
    return result[0], result[1]


draw_by_kernel.defvjp(_draw_forward, _draw_backward)


def _host_canvas(canvas: Canvas, rows: Array, background: Array) -> tuple[Array, Canvas]:
    rows, background = np.asarray(rows), np.asarray(background)
    check_drawable(rows, background)
    return rows, replace(canvas, background=tuple(background.tolist()))


def _host_render(canvas: Canvas, threads: int | None, kinds: Kinds, rows: Array, background: Array) -> Array:
    rows, canvas = _host_canvas(canvas, rows, background)
    return shared_kernel(threads).render(rows, kinds.codes, canvas)


def _host_vjp(
    canvas: Canvas, threads: int | None, kinds: Kinds, rows: Array, background: Array, image_gradient: Array
) -> tuple[Array, Array]:
    rows, canvas = _host_canvas(canvas, rows, background)
    return shared_kernel(threads).vjp(rows, kinds.codes, canvas, np.asarray(image_gradient))


def drawing_of(scene: Scene, options: RendererOptions) -> Callable[..., jax.Array]:
    """See `jax.JaxRenderer.drawing`."""
    width = instance("scene", scene, Scene).rows.shape[1]
    default, canvas = split_background(scene.canvas)
    memory_mb, threads = options.memory_mb, options.threads
    tiled, kinds, mixed = options.kernel_name == "numba", scene.kinds, len(scene.primitives) > 1
    primitives = scene.primitives or (CIRCLE,)
    low, high = row_limits(kinds, width)

    def draw_rows(rows: Any, background: Any = None) -> jax.Array:
        GUARD.use()
        rows = _numbers("rows", rows, (scene.count if mixed else None, width))
        own = kinds if mixed else np.full(rows.shape[0], primitives[0].code, np.uint8)
        background = _numbers("background", default if background is None else background, (3,))
        if not isinstance(rows, jax.core.Tracer) and not isinstance(background, jax.core.Tracer):
            check_drawable(np.asarray(rows), np.asarray(background))  # waits for the device
        if tiled:
            rows, background = rows.astype(jnp.float32), background.astype(jnp.float32)
        background = clamped(jnp.where, background.astype(rows.dtype), 0, 1)
        with np.errstate(over="ignore"):  # the limits overflow in half precision
            limits = [jnp.asarray(limit, rows.dtype) for limit in (low, high)]
        rows = clamped(jnp.where, rows, *limits)
        if tiled:
            return draw_by_kernel(canvas, threads, Kinds(own), rows, background)
        # The sums propagate NaN of traced values to the picture; clipping the coverage would hide it.
        image = draw(rows, own, background, primitives, canvas, memory_mb)
        return image + 0 * (rows.sum() + background.sum())

    return draw_rows


def _numbers(name: str, value: Any, shape: tuple[int | None, ...]) -> jax.Array:
    """The value as a floating-point JAX array; its shape is checked even if its values are traced.

    Args:
        name: of the argument.
        value: an array, or nested sequences of numbers.
        shape: sizes, None for any.
    """
    needs = "(" + ", ".join("N" if size is None else str(size) for size in shape) + ") real numbers"
    try:
        value = jnp.asarray(value)
    except Exception as error:  # arrays of other libraries raise their own errors
        raise InputError(f"{name} is not an array of numbers ({one_line(error, 80)}); needs {needs}") from None
    if value.ndim != len(shape) or any(size not in (None, own) for size, own in zip(shape, value.shape, strict=True)):
        raise InputError(f"{name} has shape {value.shape}; needs {needs}")
    if jnp.issubdtype(value.dtype, jnp.floating):
        return value
    if not jnp.issubdtype(value.dtype, jnp.integer):
        raise InputError(f"{name} has dtype {value.dtype}; needs {needs}")
    return value.astype(jnp.float32)
