"""Dense drawing: every row at every pixel, in a framework's own operations. Any device, any precision, any derivative.

The formulas are written once, on what numpy, JAX and PyTorch share: `xp` is `jax.numpy` or `torch`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..canvas import Canvas
from ..primitives.base import BLUE, OPACITY, RED, SHAPE, SOFTNESS, Primitive
from ..primitives.falloff import FALLOFFS, LINEAR

# Arrays of (pixels in a piece, N) that live at once, backward included.
LIVE_ARRAYS = 10


def opacities(
    xp: Any, rows: Any, kinds: Any, primitives: Sequence[Primitive], edge: str, across: Any, down: Any
) -> Any:
    """(K, N): opacity times coverage of each row at each pixel.

    Args:
        xp: `jax.numpy` or `torch`.
        rows: (N, P).
        kinds: (N,) codes; not read where there is one primitive.
        primitives: those that are among them.
        edge: the falloff.
        across: (K,) x of pixel centres.
        down: (K,) y of pixel centres.
    """
    falloff, covered = FALLOFFS[edge], None
    px, py, softness = across[:, None], down[:, None], rows[None, :, SOFTNESS]
    for primitive in primitives:
        shape = [rows[:, k] for k in range(SHAPE, primitive.width)]
        own = kinds == primitive.code
        if len(primitives) > 1:
            # Rows of other primitives become a plain shape, whose derivative is a number.
            shape = [xp.where(own, column, plain) for column, plain in zip(shape, primitive.example, strict=True)]
        distance = primitive.distance(xp, px, py, [column[None, :] for column in shape])
        # Only falloffs of circles read it.
        size = None if edge == LINEAR.name else primitive.thickness(shape)[None, :]
        found = falloff.coverage(xp, distance, softness, size)
        covered = found if covered is None else xp.where(own[None, :], found, covered)
    return rows[None, :, OPACITY] * covered


def composite(xp: Any, a: Any, rows: Any, background: Any) -> Any:
    """(K, 3): the colours of pixels, from what each row covers of them, (K, N), painted one over the other."""
    front = xp.flip(a, (1,))
    light = xp.cumprod(1 - front, 1)  # what is left after each row, front to back
    before = xp.concatenate([xp.ones_like(light[:, :1]), light[:, :-1]], 1)
    return (before * front) @ xp.flip(rows, (0,))[:, RED : BLUE + 1] + light[:, -1:] * background[None, :]


def pixels_in_a_piece(canvas: Canvas, row_count: int, memory_mb: float, bytes_each: int) -> int:
    """How many pixels are drawn at a time to stay within the memory."""
    budget = memory_mb * 2**20 / (max(1, row_count) * bytes_each * LIVE_ARRAYS)
    return int(min(canvas.width * canvas.height, max(1, budget)))
