"""Dense drawing in PyTorch's own operations: any device, any precision. The tiled kernel's twin."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.checkpoint import checkpoint

from ..primitives.base import BLUE, OPACITY, RADIUS, RED, SOFTNESS, X, Y
from ..scene import Canvas

# Arrays of (pixels in a piece, N) that live at once, backward included.
_LIVE_ARRAYS = 10

PixelDrawing = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, int, str], torch.Tensor]


def coverage(distance2: torch.Tensor, radius: torch.Tensor, softness: torch.Tensor, edge: str) -> torch.Tensor:
    """Coverage in 0..1 from squared distance, radius and softness; the formulas of `falloff`."""
    if edge == "logistic":
        return torch.sigmoid((radius**2 - distance2) / softness)
    positive = distance2 > 0
    distance = torch.sqrt(torch.where(positive, distance2, 1.0)) * positive  # finite slope at 0
    return torch.clamp(0.5 + (radius - distance) / (2 * softness), 0.0, 1.0)


def draw_pixels(
    rows: torch.Tensor, background: torch.Tensor, index: torch.Tensor, width: int, edge: str
) -> torch.Tensor:
    """(K, 3): the colours of the pixels with these flat indices, (K,), on a canvas so wide."""
    front = rows.flip(0)
    across = (index % width + 0.5).to(rows.dtype)[:, None]
    down = (torch.div(index, width, rounding_mode="floor") + 0.5).to(rows.dtype)[:, None]
    distance2 = torch.square(across - front[None, :, X]) + torch.square(down - front[None, :, Y])
    a = front[None, :, OPACITY] * coverage(distance2, front[None, :, RADIUS], front[None, :, SOFTNESS], edge)
    light = torch.cumprod(1 - a, dim=1)  # what is left after each row, front to back
    before = torch.cat([torch.ones_like(light[:, :1]), light[:, :-1]], dim=1)
    return (before * a) @ front[:, RED : BLUE + 1] + light[:, -1:] * background[None, :]


def draw(
    rows: torch.Tensor,
    background: torch.Tensor,
    canvas: Canvas,
    memory_mb: float,
    pixels: PixelDrawing = draw_pixels,
) -> torch.Tensor:
    """The picture, (H, W, 3), on the device and in the precision of `rows`.

    Args:
        rows: (N, P).
        background: (3,), sRGB in 0..1.
        canvas: size and edge (its background is not read).
        memory_mb: pixels are drawn in pieces, and drawn again for the gradient, so that this suffices.
        pixels: `draw_pixels`, or what `torch.compile` made of it.
    """
    if rows.shape[0] == 0:
        return background.expand(canvas.height, canvas.width, 3).clone()
    pixel_count = canvas.width * canvas.height
    budget = memory_mb * 2**20 / (rows.shape[0] * rows.element_size() * _LIVE_ARRAYS)
    piece = int(min(pixel_count, max(1, budget)))
    index = torch.arange(pixel_count, device=rows.device)
    if piece == pixel_count:
        image = pixels(rows, background, index, canvas.width, canvas.edge)
    else:
        image = torch.cat(
            [
                checkpoint(pixels, rows, background, part, canvas.width, canvas.edge, use_reentrant=False)
                for part in index.split(piece)
            ]
        )
    return image.reshape(canvas.height, canvas.width, 3)
