"""The dense kernel in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils.checkpoint import checkpoint

from ..canvas import Canvas
from ..primitives.base import Primitive
from ..primitives.circle import CIRCLE
from ..scene import present
from .dense import composite, opacities, pixels_in_a_piece

Array = np.ndarray[Any, Any]
PixelDrawing = Callable[..., torch.Tensor]


def draw_pixels(
    rows: torch.Tensor,
    kinds: torch.Tensor,
    background: torch.Tensor,
    index: torch.Tensor,
    primitives: tuple[Primitive, ...],
    width: int,
    edge: str,
) -> torch.Tensor:
    """(K, 3): the colours of the pixels with these flat indices, (K,), on a canvas so wide."""
    across = (index % width + 0.5).to(rows.dtype)
    down = (torch.div(index, width, rounding_mode="floor") + 0.5).to(rows.dtype)
    return composite(torch, opacities(torch, rows, kinds, primitives, edge, across, down), rows, background)


def draw(
    rows: torch.Tensor,
    kinds: Array,
    background: torch.Tensor,
    primitives: tuple[Primitive, ...],
    canvas: Canvas,
    memory_mb: float,
    pixels: PixelDrawing = draw_pixels,
) -> torch.Tensor:
    """The picture, (H, W, 3), on the device and in the precision of `rows`.

    Args:
        rows: (N, P).
        kinds: (N,) codes.
        background: (3,), sRGB in 0..1.
        primitives: those that are among the kinds.
        canvas: size and falloff (its background is not read).
        memory_mb: pixels are drawn in pieces, and drawn again for the gradient, so that this suffices.
        pixels: `draw_pixels`, or what `torch.compile` made of it.
    """
    if rows.shape[0] == 0:
        return background.expand(canvas.height, canvas.width, 3).clone()
    piece = pixels_in_a_piece(canvas, rows.shape[0], memory_mb, rows.element_size())
    index = torch.arange(canvas.width * canvas.height, device=rows.device)
    codes = torch.tensor(kinds, device=rows.device)
    if piece == len(index):
        image = pixels(rows, codes, background, index, primitives, canvas.width, canvas.edge)
    else:
        image = torch.cat(
            [
                checkpoint(
                    pixels, rows, codes, background, part, primitives, canvas.width, canvas.edge, use_reentrant=False
                )
                for part in index.split(piece)
            ]
        )
    return image.reshape(canvas.height, canvas.width, 3)


def squared_loss(image: torch.Tensor, target: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """The weighted mean squared error of an image, (H, W, 3), from the pixels' shares, (H, W)."""
    return torch.sum(torch.square(image - target) * shares[:, :, None])


class TorchKernel:
    """The dense kernel on a device of PyTorch; see `kernels.base.Kernel`.

    Args:
        device: where it computes.
        memory_mb: what it may hold at once.
        pixels: `draw_pixels`, or what `torch.compile` made of it.
    """

    name = "dense"

    def __init__(self, device: torch.device, memory_mb: float, pixels: PixelDrawing = draw_pixels) -> None:
        self._device = device
        self._memory_mb = memory_mb
        self._pixels = pixels

    def _tensor(self, array: Any) -> torch.Tensor:
        return torch.tensor(np.asarray(array, np.float32), device=self._device)

    def _draw(self, rows: torch.Tensor, kinds: Array, background: torch.Tensor, canvas: Canvas) -> torch.Tensor:
        primitives = present(kinds) or (CIRCLE,)
        return draw(rows, kinds, background, primitives, canvas, self._memory_mb, self._pixels)

    def render(self, rows: Array, kinds: Array, canvas: Canvas) -> Array:
        """See `Kernel.render`."""
        with torch.no_grad():
            image = self._draw(self._tensor(rows), kinds, self._tensor(canvas.background), canvas)
            return image.cpu().numpy()  # waits for the device

    def loss_and_gradient(
        self, rows: Array, kinds: Array, canvas: Canvas, target: Array, shares: Array
    ) -> tuple[float, Array, Array]:
        """See `Kernel.loss_and_gradient`."""
        wanted, counts = self._tensor(np.moveaxis(target, 0, 2)), self._tensor(shares)
        return self._pulled(rows, kinds, canvas, lambda image: squared_loss(image, wanted, counts))

    def vjp(self, rows: Array, kinds: Array, canvas: Canvas, image_gradient: Array) -> tuple[Array, Array]:
        """See `Kernel.vjp`."""
        direction = self._tensor(image_gradient)
        return self._pulled(rows, kinds, canvas, lambda image: torch.sum(image * direction))[1:]

    def _pulled(
        self, rows: Array, kinds: Array, canvas: Canvas, loss_of: Callable[[torch.Tensor], torch.Tensor]
    ) -> tuple[float, Array, Array]:
        """The loss of the picture, and its gradients by rows and background."""
        leaf, background = (self._tensor(array).requires_grad_() for array in (rows, canvas.background))
        loss = loss_of(self._draw(leaf, kinds, background, canvas))
        by_rows, by_background = torch.autograd.grad(loss, (leaf, background), allow_unused=True)
        by_rows = torch.zeros_like(leaf) if by_rows is None else by_rows  # no rows, no graph
        return loss.item(), by_rows.cpu().numpy(), by_background.cpu().numpy()
