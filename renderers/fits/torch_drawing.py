"""Drawings that PyTorch differentiates: with the tiled CPU kernel in an autograd function, or densely."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ..base import RendererOptions
from ..canvas import Canvas
from ..checks import instance, real_array, shown
from ..errors import InputError
from ..kernels.dense_torch import draw
from ..kernels.numba.kernel import shared_kernel
from ..primitives.circle import CIRCLE
from ..row_layout import check_drawable, clamped, row_limits
from ..scene import Scene

Array = np.ndarray[Any, Any]


def drawing_of(scene: Scene, options: RendererOptions, pixels: Callable[..., Any]) -> Callable[..., torch.Tensor]:
    """See `torch.TorchRenderer.drawing`.

    Args:
        scene: defines canvas and columns.
        options: kernel, memory and threads.
        pixels: the dense drawing of a chunk, maybe compiled.
    """
    canvas = instance("scene", scene, Scene).canvas
    width = scene.rows.shape[1]
    mixed = len(scene.primitives) > 1
    kinds = scene.kinds.copy()  # `torch.compile` needs a writable array
    count = scene.count if mixed else None
    primitives = scene.primitives or (CIRCLE,)
    low, high = (limit.tolist() for limit in row_limits(kinds, width))  # lists: `torch.compile` can trace them

    def draw_rows(rows: torch.Tensor, background: Any = None) -> torch.Tensor:
        rows = _numbers("rows", rows, (count, width))
        own = kinds if mixed else np.full(rows.shape[0], primitives[0].code, np.uint8)
        if background is None:
            background = torch.tensor(canvas.background, dtype=rows.dtype, device=rows.device)
        elif not isinstance(background, torch.Tensor):
            background = torch.from_numpy(real_array("background", background, "(3,) real numbers").astype(np.float64))
        background = _numbers("background", background, (3,)).to(rows)
        if not _is_finite(rows, background):
            check_drawable(rows.detach().cpu().numpy(), background.detach().cpu().numpy())
        limits = [torch.tensor(limit, dtype=rows.dtype, device=rows.device) for limit in (low, high)]
        rows, background = clamped(torch.where, rows, *limits), clamped(torch.where, background, 0.0, 1.0)
        if options.kernel_name == "numba":
            image: torch.Tensor = DrawByKernel.apply(rows, background, own, canvas, options.threads)
            return image
        image = draw(rows, own, background, primitives, canvas, options.memory_mb, pixels)
        # The sums propagate to the picture any NaN that could not be checked.
        return image + 0 * (rows.sum() + background.sum())

    return draw_rows


def _numbers(name: str, value: Any, shape: tuple[int | None, ...]) -> torch.Tensor:
    """The tensor in floating point, checked to have this shape; None is any size."""

    def needs() -> str:  # evaluated only for errors: `torch.compile` cannot trace it
        return "(" + ", ".join("N" if size is None else str(size) for size in shape) + ") real numbers"

    if not isinstance(value, torch.Tensor):
        raise InputError(f"{name} is {shown(value)}; needs a tensor of {needs()}. Try torch.tensor({name})")
    if value.ndim != len(shape) or any(size not in (None, own) for size, own in zip(shape, value.shape, strict=True)):
        raise InputError(f"{name} has shape {tuple(value.shape)}; needs {needs()}")
    if value.is_floating_point():
        return value
    if value.is_complex() or value.dtype == torch.bool:
        raise InputError(f"{name} has dtype {value.dtype}; needs {needs()}")
    return value.to(torch.float32)


def _is_finite(*tensors: torch.Tensor) -> bool:
    """Whether all values are finite; True inside `torch.func.vmap` and `torch.compile`, where values are unknown."""
    if torch.compiler.is_compiling():
        return True
    try:
        return all(bool(torch.isfinite(tensor.detach()).all()) for tensor in tensors)  # waits for the device
    except RuntimeError:
        return True


class DrawByKernel(torch.autograd.Function):
    """The picture, (H, W, 3) float32, drawn by the tiled CPU kernel; differentiable in rows and background."""

    @staticmethod
    def forward(
        ctx: Any, rows: torch.Tensor, background: torch.Tensor, kinds: Array, canvas: Canvas, threads: int | None
    ) -> torch.Tensor:
        """Draws `rows`, (N, P), on `background`, (3,)."""
        host = rows.detach().to("cpu", torch.float32).numpy()
        ctx.canvas = replace(canvas, background=tuple(background.detach().tolist()))
        ctx.kernel, ctx.kinds = shared_kernel(threads), kinds
        ctx.save_for_backward(rows, background)
        return torch.from_numpy(ctx.kernel.render(host, kinds, ctx.canvas)).to(rows.device)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, image_gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None, None]:
        """The vector-Jacobian product: dL/drows and dL/dbackground of dL/dimage, (H, W, 3)."""
        rows, background = ctx.saved_tensors
        host = rows.detach().to("cpu", torch.float32).numpy()
        by_rows, by_background = ctx.kernel.vjp(
            host, ctx.kinds, ctx.canvas, image_gradient.detach().to("cpu", torch.float32).numpy()
        )
        return torch.from_numpy(by_rows).to(rows), torch.from_numpy(by_background).to(background), None, None, None
