"""The dense kernel in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.checkpoint import checkpoint

from ..canvas import Canvas
from ..primitives.base import OPACITY, Primitive
from ..primitives.circle import CIRCLE
from ..row_layout import present
from .dense import DenseKernel, composite, gain_sums, leave_one_out, opacities, pixels_per_chunk

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
    """The colours, (K, 3), of the pixels with these flat indices, (K,)."""
    a = opacities(torch, rows, kinds, primitives, edge, *_centres(index, width, rows.dtype))
    return composite(torch, torch.cumprod, a, rows, background)


def _centres(index: torch.Tensor, width: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """X and y of the centres of the pixels with these flat indices."""
    down = torch.div(index, width, rounding_mode="floor")
    return (index % width + 0.5).to(dtype), (down + 0.5).to(dtype)


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
        primitives: the primitives present in `kinds`.
        canvas: size and falloff (its background is not read).
        memory_mb: memory limit; pixels are drawn in chunks, and again for the gradient.
        pixels: `draw_pixels`, or its compiled form.
    """
    if rows.shape[0] == 0:
        return background.expand(canvas.height, canvas.width, 3).clone()
    chunk = pixels_per_chunk(canvas, rows.shape[0], memory_mb, rows.element_size())
    index = torch.arange(canvas.width * canvas.height, device=rows.device)
    codes = torch.tensor(kinds, device=rows.device)
    if chunk == len(index):
        image = pixels(rows, codes, background, index, primitives, canvas.width, canvas.edge)
    else:
        image = torch.cat(
            [
                checkpoint(
                    pixels, rows, codes, background, part, primitives, canvas.width, canvas.edge, use_reentrant=False
                )
                for part in index.split(chunk)
            ]
        )
    return image.reshape(canvas.height, canvas.width, 3)


def squared_loss(image: torch.Tensor, target: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """The weighted mean squared error of an image, (H, W, 3), from the pixels' shares, (H, W)."""
    return torch.sum(torch.square(image - target) * shares[:, :, None])


def _scan(step: Any, carry: Any, columns: tuple[torch.Tensor, ...]) -> tuple[Any, torch.Tensor]:
    """As `jax.lax.scan`, with a scalar per step."""
    found = []
    for row in zip(*columns, strict=True):
        carry, value = step(carry, row)
        found.append(value)
    return carry, torch.stack(found)


class TorchKernel(DenseKernel):
    """The dense kernel on a PyTorch device; see `kernels.base.Kernel`.

    Args:
        device: the device.
        memory_mb: memory limit, MB.
        pixels: `draw_pixels`, or its compiled form.
    """

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
        target_image, pixel_shares = self._tensor(np.moveaxis(target, 0, 2)), self._tensor(shares)
        return self._loss_and_gradients(
            rows, kinds, canvas, lambda image: squared_loss(image, target_image, pixel_shares)
        )

    def vjp(self, rows: Array, kinds: Array, canvas: Canvas, image_gradient: Array) -> tuple[Array, Array]:
        """See `Kernel.vjp`."""
        cotangent = self._tensor(image_gradient)
        return self._loss_and_gradients(rows, kinds, canvas, lambda image: torch.sum(image * cotangent))[1:]

    def _loss_and_gradients(
        self, rows: Array, kinds: Array, canvas: Canvas, loss_of: Callable[[torch.Tensor], torch.Tensor]
    ) -> tuple[float, Array, Array]:
        """The loss of the picture, and its gradients with respect to rows and background."""
        leaf, background = (self._tensor(array).requires_grad_() for array in (rows, canvas.background))
        loss = loss_of(self._draw(leaf, kinds, background, canvas))
        by_rows, by_background = torch.autograd.grad(loss, (leaf, background), allow_unused=True)
        by_rows = torch.zeros_like(leaf) if by_rows is None else by_rows  # no rows, no graph
        return loss.item(), by_rows.cpu().numpy(), by_background.cpu().numpy()

    def worth(self, rows: Array, kinds: Array, canvas: Canvas, target: Array, shares: Array) -> tuple[float, Array]:
        """See `Kernel.worth`."""
        image = self.render(rows, kinds, canvas)
        flat_target, flat_shares = (
            self._tensor(np.moveaxis(target, 0, 2)).reshape(-1, 3),
            self._tensor(shares).reshape(-1),
        )
        loss = squared_loss(self._tensor(image), flat_target.reshape(image.shape), self._tensor(shares)).item()
        held, background = self._tensor(rows), self._tensor(canvas.background)
        found = torch.zeros(len(rows), dtype=torch.float64, device=self._device)
        for index, a in self._chunks(held, kinds, canvas):
            found += leave_one_out(
                torch, torch.cumprod, _scan, a, held, background, flat_target[index], flat_shares[index]
            )
        return loss, found.cpu().numpy()

    def _chunks(self, rows: torch.Tensor, kinds: Array, canvas: Canvas) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Flat indices of the pixels of each chunk, and the rows' `opacities` there."""
        if len(rows) == 0:
            return
        codes, primitives = torch.tensor(kinds, device=self._device), present(kinds)
        index = torch.arange(canvas.width * canvas.height, device=self._device)
        for part in index.split(pixels_per_chunk(canvas, len(rows), self._memory_mb, rows.element_size())):
            centres = _centres(part, canvas.width, rows.dtype)
            with torch.no_grad():
                yield part, opacities(torch, rows, codes, primitives, canvas.edge, *centres)

    def _gain_sums(
        self, image: Array, canvas: Canvas, target: Array, shares: Array, rows: Array, kinds: Array
    ) -> Array:
        opaque = self._tensor(rows)
        opaque[:, OPACITY] = 1.0
        pixels = [self._tensor(picture).reshape(-1, 3) for picture in (image, np.moveaxis(target, 0, 2))]
        flat_shares, found = self._tensor(shares).reshape(-1), np.zeros((9, len(rows)))
        for index, m in self._chunks(opaque, kinds, canvas):
            sums = gain_sums(torch, m, pixels[0][index], pixels[1][index], flat_shares[index])
            found += sums.cpu().numpy()
        return found
