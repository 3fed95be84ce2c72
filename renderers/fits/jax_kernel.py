"""The tiled CPU kernel as a function that JAX differentiates."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..canvas import Canvas
from ..kernels.numba.kernel import shared_kernel
from ..row_layout import check_drawable

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
