"""Placing new circles on top of a picture: best colour and opacity, exact gain, lazy greedy choice.

A new topmost circle with coverage m, colour c and opacity α adds α m (c - C) to the composite C. With the
error d = t - C to the target and pixel shares w, it lowers the loss by

    2 α (c Σ w m d - Σ w m d C) - α² (c² Σ w m² - 2 c Σ w m² C + Σ w m² C²),   summed over channels:

quadratic in c for a given α and in α for a given c, so that five sums over its pixels give both, by turns.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...canvas import Canvas
from ...primitives.falloff import FALLOFFS
from ...scene import check_finite
from .candidates import CELL, CENTRES, COMPOSITE, PLANES, SHARES, TARGET, choose, colour
from .simd import LANES

Array = np.ndarray[Any, Any]


class PlacingBoard:
    """A picture under its target on which circles are placed one after the other.

    Args:
        canvas: size and edge.
        target: (H, W, 3), sRGB in 0..1.
        shares: (H, W), from `metrics.pixel_shares`.
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

    def choose(self, candidates: Array, count: int, opacity_min: float = 1.0) -> tuple[Array, Array]:
        """Paints up to `count` of the candidates, as a rule each time the one that lowers the loss most.

        Lazy greedy (Minoux, Accelerated greedy algorithms, 1978): a gain is computed again only when the
        candidate comes up and something was painted near it since. Where a painting raises the gain of
        another candidate, that is not seen until the other comes up; plain greedy would see it, for many
        times the work and about the same loss.

        Args:
            candidates: (M, P) circle rows; their colours are not read, their opacity is the most they may get.
            count: how many to choose.
            opacity_min: the least that they may get; their own opacity if that is smaller.

        Returns:
            (K,) int64 indices of the chosen candidates and (K, P) float32 rows with their best colours and opacities,
            both in painting order; K < count when no candidate is left whose gain, as last computed, is above 0.
        """
        rows = np.array(candidates, np.float32)
        check_finite(rows)
        chosen = np.empty(min(count, len(rows)), np.int64)
        self._stamps[:] = 0
        chosen_count = choose(
            self._planes.reshape(-1), self.canvas.height, self.canvas.width, self._padded,
            FALLOFFS[self.canvas.edge].code, rows, np.float32(opacity_min), self._stamps, chosen,
        )  # fmt: skip
        chosen = chosen[:chosen_count]
        return chosen, rows[chosen]

    def coloured(self, rows: Array) -> Array:
        """The rows in the colours that are best for each of them alone on top, at its own opacity; paints nothing.

        Args:
            rows: (M, P) circle rows. One that touches no pixel that counts keeps its colour.

        Returns:
            (M, P) float32.
        """
        rows = np.array(rows, np.float32)
        check_finite(rows)
        colour(
            self._planes.reshape(-1), self.canvas.height, self.canvas.width, self._padded,
            FALLOFFS[self.canvas.edge].code, rows,
        )  # fmt: skip
        return rows
