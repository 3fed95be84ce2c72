"""A picture too large for memory, drawn in bands from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..primitives.base import RADIUS, SOFTNESS, Y
from ..primitives.falloff import EDGES
from ..scene import Scene
from .numba.kernel import shared_kernel

Array = np.ndarray[Any, Any]


def bands(scene: Scene, rows_each: int) -> Iterator[Array]:
    """The picture of a scene, (rows_each or, at the end, fewer, W, 3) float32 at a time, top first.

    Args:
        scene: what to draw, at the size of its canvas.
        rows_each: rows of pixels of a band; a multiple of the kernel's `TILE` draws fastest.
    """
    canvas = scene.canvas
    reach = EDGES[canvas.edge].support(scene.rows[:, RADIUS], scene.rows[:, SOFTNESS])
    highest, lowest = scene.rows[:, Y] - reach, scene.rows[:, Y] + reach
    for top in range(0, canvas.height, rows_each):
        count = min(rows_each, canvas.height - top)
        # A pixel more than they reach, for what float32 may misplace.
        rows = scene.rows[(lowest > top - 1) & (highest < top + count + 1)].copy()
        rows[:, Y] -= np.float32(top)
        yield shared_kernel().render(rows, replace(canvas, height=count))
