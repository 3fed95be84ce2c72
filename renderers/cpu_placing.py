"""Placing new circles on top of a picture: best colour in closed form, exact gain, lazy greedy choice.

For a new topmost circle with coverage m and opacity α, let a = αm. On the composite C with target t and
pixel shares w, the colour that lowers the loss most is, channel by channel,

    c* = Σ w a v / Σ w a²,   v = t - (1 - a) C,   clipped to 0..1,

and it lowers the loss by Σ w ((C - t)² - v²) + 2 c* Σ w a v - c*² Σ w a².
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .cpu_candidates import CELL, CENTRES, COMPOSITE, PLANES, SHARES, TARGET, choose
from .edges import EDGES
from .scene import Canvas
from .simd import LANES

Array = np.ndarray[Any, Any]


class PlacingBoard:
    """A picture under its target on which circles are placed one after the other.

    Args:
        canvas: size and edge.
        target: (H, W, 3), sRGB in 0..1.
        shares: (H, W), from `losses.pixel_shares`.
    """

    def __init__(self, canvas: Canvas, target: Array, shares: Array) -> None:
        self.canvas = canvas
        self._padded = canvas.width + LANES  # a vector may hang over the right end of a row
        planes = np.zeros((PLANES, canvas.height, self._padded), np.float32)
        planes[TARGET : TARGET + 3, :, : canvas.width] = np.moveaxis(target, 2, 0)
        planes[SHARES, :, : canvas.width] = shares
        planes[CENTRES] = np.arange(self._padded, dtype=np.float32) + 0.5
        self._planes = planes
        self._stamps = np.zeros((-(-canvas.height // CELL), -(-canvas.width // CELL)), np.int32)

    def set_image(self, image: Array) -> None:
        """Starts from this picture, (H, W, 3)."""
        self._planes[COMPOSITE : COMPOSITE + 3, :, : self.canvas.width] = np.moveaxis(image, 2, 0)

    def image(self) -> Array:
        """The picture with all that was placed, (H, W, 3) float32."""
        return np.ascontiguousarray(np.moveaxis(self._planes[COMPOSITE : COMPOSITE + 3, :, : self.canvas.width], 0, 2))

    def choose(self, candidates: Array, count: int) -> Array:
        """Paints up to `count` of the candidates, each time the one that lowers the loss most.

        Lazy greedy (Minoux, Accelerated greedy algorithms, 1978): a gain is computed again only when the
        candidate comes up and something was painted near it since.

        Args:
            candidates: (M, P) circle rows; their colours are not read.
            count: how many to choose.

        Returns:
            (K, P) float32 rows with their best colours, in painting order; K < count when no candidate
            that is left would lower the loss.
        """
        rows = np.array(candidates, np.float32)
        chosen = np.empty(min(count, len(rows)), np.int64)
        self._stamps[:] = 0
        chosen_count = choose(
            self._planes.reshape(-1), self.canvas.height, self.canvas.width, self._padded,
            EDGES[self.canvas.edge].code, rows, self._stamps, chosen,
        )  # fmt: skip
        return rows[chosen[:chosen_count]]
