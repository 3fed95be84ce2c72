"""A picture too large for memory, drawn in bands from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from .registry import load_renderer
from .scene import Scene

Array = np.ndarray[Any, Any]

# Rows of pixels that the CPU renderer draws together.
BAND_STEP = 16


def bands(scene: Scene, rows_each: int) -> Iterator[Array]:
    """The picture of a scene, (rows_each or, at the end, fewer, W, 3) float32 at a time, top first.

    Args:
        scene: what to draw, at the size of its canvas.
        rows_each: rows of pixels of a band; a multiple of `BAND_STEP` draws fastest.
    """
    renderer = load_renderer("cpu")
    canvas, bounds = scene.canvas, scene.bounds()
    highest, lowest = bounds[:, 1], bounds[:, 3]
    for top in range(0, canvas.height, rows_each):
        count = min(rows_each, canvas.height - top)
        # One pixel more than their bounds, for float32 rounding.
        part = scene.select((lowest > top - 1) & (highest < top + count + 1)).moved(0, -top)
        yield renderer.render(replace(part, canvas=replace(canvas, height=count)))
