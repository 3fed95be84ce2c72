"""What a kernel is: it draws rows on a canvas, differentiates the drawing, and judges rows. Arrays in, arrays out."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from ..canvas import Canvas

Array = np.ndarray[Any, Any]


class Kernel(Protocol):
    """Draws rows and differentiates the drawing. All kernels agree to float32 rounding.

    Arguments that all methods share:
        rows: (N, P) float32, as in `Scene.rows`.
        kinds: (N,) uint8, as in `Scene.kinds`.
        canvas: size, background, falloff.
        target: (3, H, W) float32, sRGB in 0..1.
        shares: (H, W) float32, each pixel's share of the loss, from `metrics.pixel_shares`.

    Attributes:
        name: a key of the table of kernels.
    """

    name: str

    def render(self, rows: Array, kinds: Array, canvas: Canvas) -> Array:
        """The picture, (H, W, 3) float32."""
        ...

    def loss_and_gradient(
        self, rows: Array, kinds: Array, canvas: Canvas, target: Array, shares: Array
    ) -> tuple[float, Array, Array]:
        """The weighted mean squared error, dL/drows as (N, P) float32, and dL/dbackground as (3,) float32."""
        ...

    def vjp(self, rows: Array, kinds: Array, canvas: Canvas, image_gradient: Array) -> tuple[Array, Array]:
        """The vector-Jacobian product: dL/drows, (N, P), and dL/dbackground, (3,), of dL/dimage, (H, W, 3); float32.

        Raises:
            NotFinite: `rows` or `image_gradient` has a number that is NaN or infinite.
        """
        ...

    def worth(self, rows: Array, kinds: Array, canvas: Canvas, target: Array, shares: Array) -> tuple[float, Array]:
        """The loss, and for each row how much it rises if that row alone is taken out, (N,) float64."""
        ...

    def place(
        self,
        image: Array,
        canvas: Canvas,
        target: Array,
        shares: Array,
        candidates: Array,
        kinds: Array,
        costs: Array,
        count: int,
        opacity_min: float,
    ) -> tuple[Array, Array]:
        """Paints up to `count` of the candidates on a picture, as a rule each time the one that lowers the loss most.

        Args:
            image: (H, W, 3), what they are painted on.
            canvas: size and falloff.
            target: (3, H, W).
            shares: (H, W).
            candidates: (M, P) rows; their colours are not read, their opacity is the most they may get.
            kinds: (M,) codes.
            costs: (M,) what each gain is divided by before gains are compared, above 0.
            count: how many to choose.
            opacity_min: the least opacity that they may get; their own if that is smaller.

        Returns:
            (K,) int64 indices of the chosen candidates and (K, P) float32 rows with their best colours and opacities,
            both in painting order; K < count when no candidate is left whose gain, as last computed, is above 0.
        """
        ...

    def coloured(self, image: Array, canvas: Canvas, target: Array, shares: Array, rows: Array, kinds: Array) -> Array:
        """The rows in the colours that are best for each of them alone on top of a picture, at its own opacity.

        Returns:
            (M, P) float32. A row that touches no pixel that counts keeps its colour.
        """
        ...
