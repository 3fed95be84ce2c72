"""Dense drawing in JAX's own operations: any device, any derivative. The tiled kernel's twin."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from ..primitives.base import BLUE, OPACITY, RADIUS, RED, SOFTNESS, X, Y
from ..scene import Canvas

# Arrays of (pixels in a piece, N) that live at once, backward included.
_LIVE_ARRAYS = 8


def coverage(distance2: jax.Array, radius: jax.Array, softness: jax.Array, edge: str) -> jax.Array:
    """Coverage in 0..1 from squared distance, radius and softness; the formulas of `falloff`."""
    if edge == "logistic":
        return jax.nn.sigmoid((radius**2 - distance2) / softness)
    distance = jnp.sqrt(jnp.where(distance2 > 0, distance2, 1.0)) * (distance2 > 0)  # finite slope at 0
    return jnp.clip(0.5 + (radius - distance) / (2 * softness), 0.0, 1.0)


def draw(rows: jax.Array, background: jax.Array, canvas: Canvas, memory_mb: float) -> jax.Array:
    """The picture, (H, W, 3), in the precision of `rows`.

    Args:
        rows: (N, P).
        background: (3,), sRGB in 0..1.
        canvas: size and edge (its background is not read).
        memory_mb: pixels are drawn in pieces, and drawn again for the gradient, so that this suffices.
    """
    pixel_count = canvas.width * canvas.height
    budget = memory_mb * 2**20 / (max(1, rows.shape[0]) * rows.dtype.itemsize * _LIVE_ARRAYS)
    piece = int(min(pixel_count, max(1, budget)))
    piece_count = -(-pixel_count // piece)
    index = jnp.arange(piece_count * piece).reshape(piece_count, piece)  # the last piece draws some pixels beyond
    pieces = jax.lax.map(jax.checkpoint(partial(_draw_pixels, rows, background, canvas)), index)
    return pieces.reshape(-1, 3)[:pixel_count].reshape(canvas.height, canvas.width, 3)


def _draw_pixels(rows: jax.Array, background: jax.Array, canvas: Canvas, index: jax.Array) -> jax.Array:
    """(K, 3): the colours of the pixels with these flat indices, (K,)."""
    front = rows[::-1]
    across = (index % canvas.width + 0.5).astype(rows.dtype)[:, None]
    down = (index // canvas.width + 0.5).astype(rows.dtype)[:, None]
    distance2 = jnp.square(across - front[None, :, X]) + jnp.square(down - front[None, :, Y])
    a = front[None, :, OPACITY] * coverage(distance2, front[None, :, RADIUS], front[None, :, SOFTNESS], canvas.edge)
    light = jnp.cumprod(1 - a, axis=1)  # what is left after each row, front to back
    before = jnp.concatenate([jnp.ones_like(light[:, :1]), light[:, :-1]], axis=1)
    # Products of weights and colours in full precision: GPUs would round them to 10 bits.
    painted = jnp.matmul(before * a, front[:, RED : BLUE + 1], precision=jax.lax.Precision.HIGHEST)
    return painted + (light[:, -1:] if rows.shape[0] else 1.0) * background[None, :]
