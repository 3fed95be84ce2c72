"""The protocol of kernels, which draw rows, differentiate the drawing and evaluate rows. Arrays in, arrays out."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from ..canvas import Canvas

Array = np.ndarray[Any, Any]


class Kernel(Protocol):
    """Draws rows and differentiates the drawing. All kernels agree to float32 rounding.

    Arguments of all methods:
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
        """The vector-Jacobian product with dL/dimage, (H, W, 3): dL/drows, (N, P), and dL/dbackground, (3,); float32.

        Raises:
            NotFinite: `rows` or `image_gradient` holds NaN or infinity.
        """
        ...

    def worth(self, rows: Array, kinds: Array, canvas: Canvas, target: Array, shares: Array) -> tuple[float, Array]:
        """The loss, and the leave-one-out worth of each row: by how much the loss rises without it, (N,) float64."""
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
        """Chooses up to `count` candidates greedily, by how much each lowers the loss, and paints them on a picture.

        Args:
            image: (H, W, 3), the picture.
            canvas: size and falloff.
            target: (3, H, W).
            shares: (H, W).
            candidates: (M, P) rows; colours are ignored, the opacity is the upper limit.
            kinds: (M,) codes.
            costs: (M,) positive divisors of the gains.
            count: number of rows to choose.
            opacity_min: lower limit of the opacity; that of the candidate if it is lower.

        Returns:
            (K,) int64 indices of the chosen candidates and (K, P) float32 rows with their best colours and opacities,
            both in painting order; K < count if no other candidate has a positive gain, as last computed.
        """
        ...

    def coloured(self, image: Array, canvas: Canvas, target: Array, shares: Array, rows: Array, kinds: Array) -> Array:
        """The rows, each in the best colour for it alone on top of a picture, at its own opacity.

        Returns:
            (M, P) float32. A row that touches no pixel of positive share keeps its colour.
        """
        ...
