"""The PyTorch renderer: a differentiable drawing for users, and fits with torch.optim."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ..alpha import Backdrop
from ..base import FitSettings, RendererOptions
from ..canvas import Canvas
from ..checks import instance, real_array, shown
from ..errors import BackendUnavailable, InputError
from ..kernels.base import Kernel
from ..kernels.dense_torch import TorchKernel, draw, draw_pixels, squared_loss
from ..kernels.numba.kernel import shared_kernel
from ..kernels.renderer import KernelRenderer
from ..losses.objective import Objective
from ..primitives.base import Primitive
from ..primitives.circle import CIRCLE
from ..row_layout import check_drawable, clamped, row_limits
from ..scene import Scene
from .base import BaseFit, mean
from .row_adam_torch import RowAdam
from .rows import limited

Array = np.ndarray[Any, Any]


class TorchRenderer(KernelRenderer):
    """Draws with the tiled CPU kernel in an autograd function, or densely on any PyTorch device.

    Args:
        options: device, kernel, memory, and whether the dense kernel is compiled.

    Raises:
        BackendUnavailable: PyTorch finds no such device.
    """

    name = "torch"

    def __init__(self, options: RendererOptions | None = None) -> None:
        self.options = options or RendererOptions()
        if self.options.device == "cuda" and not torch.cuda.is_available():
            raise BackendUnavailable(
                "PyTorch sees no GPU here; try device='cpu', or install a CUDA build: pip install torch"
            )
        self.device = torch.device("cuda" if self.options.device == "cuda" else "cpu")
        self.pixels = torch.compile(draw_pixels, dynamic=False) if self.options.compile else draw_pixels

    @property
    def kernel(self) -> Kernel:  # type: ignore[override]
        """The kernel; looked up at each use, since the thread limit may have changed."""
        if self.options.kernel_name == "numba":
            return shared_kernel(self.options.threads)
        return TorchKernel(self.device, self.options.memory_mb, self.pixels)

    def drawing(self, scene: Scene) -> Callable[..., torch.Tensor]:
        """A function `(rows, background=None) -> image` that autograd differentiates.

        The dense kernel keeps the precision and device of the rows; the tiled one uses float32 on the CPU. Integer
        rows are drawn as float32. See `base.FittingRenderer.drawing` for invalid values.

        Args:
            scene: defines canvas and columns; the number of rows is free if all are of one primitive.

        Example:
            >>> draw = TorchRenderer().drawing(scene)
            >>> rows = torch.tensor(scene.rows, requires_grad=True)
            >>> ((draw(rows) - target) ** 2).mean().backward()
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
                background = torch.from_numpy(
                    real_array("background", background, "(3,) real numbers").astype(np.float64)
                )
            background = _numbers("background", background, (3,)).to(rows)
            if not _is_finite(rows, background):
                check_drawable(rows.detach().cpu().numpy(), background.detach().cpu().numpy())
            limits = [torch.tensor(limit, dtype=rows.dtype, device=rows.device) for limit in (low, high)]
            rows, background = clamped(torch.where, rows, *limits), clamped(torch.where, background, 0.0, 1.0)
            image = self.draw(rows, own, background, primitives, canvas)
            # The sums propagate to the picture any NaN that could not be checked.
            tiled = self.options.kernel_name == "numba"
            return image if tiled else image + 0 * (rows.sum() + background.sum())

        return draw_rows

    def draw(
        self,
        rows: torch.Tensor,
        kinds: Array,
        background: torch.Tensor,
        primitives: tuple[Primitive, ...],
        canvas: Canvas,
    ) -> torch.Tensor:
        """The picture, (H, W, 3), of rows within the limits of a scene; `drawing` without its checks."""
        if self.options.kernel_name == "numba":
            image: torch.Tensor = DrawByKernel.apply(rows, background, kinds, canvas, self.options.threads)
            return image
        return draw(rows, kinds, background, primitives, canvas, self.options.memory_mb, self.pixels)

    def fit(self, target: Array, canvas: Canvas, settings: FitSettings | None = None) -> TorchFit:
        """Opens a fit; see `base.FittingRenderer.fit`."""
        return TorchFit(target, canvas, FitSettings() if settings is None else settings, self)


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


class _OneThread:
    """Context in which PyTorch uses one thread, for work beside the CPU kernel.

    After each parallel operation PyTorch's OpenMP threads spin on the cores that the kernel needs (a step took 4 ms
    instead of 1.5), and sums of several threads differ in the last bits. Afterwards the previous count is restored. It
    is global to the process, so the first thread to enter saves it for all.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Resets to no thread inside."""
        self._lock = threading.Lock()
        self._inside = 0
        self._before = 1

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before = torch.get_num_threads()
            self._inside += 1
            torch.set_num_threads(1)

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            torch.set_num_threads(self._before)  # also restores the count of the calling thread


ONE_THREAD = _OneThread()


def _use_one_thread_in_child() -> None:
    """Restricts a forked child to one thread: PyTorch's threads do not exist there, and it would wait for them."""
    ONE_THREAD.reset()  # another thread may have held the lock
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_use_one_thread_in_child)


class TorchFit(BaseFit):
    """A fit in PyTorch; see `base.Fit`. Its optimiser is `row_adam_torch.RowAdam`."""

    def __init__(self, target: Array, canvas: Canvas, settings: FitSettings, renderer: TorchRenderer) -> None:
        super().__init__(target, canvas, settings, renderer.kernel, str(renderer.device))
        self._renderer = renderer
        self._device = renderer.device
        self._weights = None if self.pixel_weights is None else torch.tensor(self.pixel_weights, device=self._device)
        self._pixel_shares = torch.tensor(self.shares, device=self._device)
        self._write([np.zeros((0, self.parameters.width), np.float32)], canvas)

    def _write(self, slates: list[Array], canvas: Canvas) -> None:
        raw, *kept = slates
        p = self.parameters
        self._rates, self._low, self._high, self._slope = (
            torch.tensor(array, device=self._device) for array in (p.rates, p.low, p.high, p.slope)
        )
        self._kinds = torch.tensor(p.kinds, device=self._device)
        uniform = p.is_log.all(axis=1) | ~p.is_log.any(axis=1)
        self._log, self._logit = _runs(np.all(p.is_log, axis=1)), _runs(np.all(p.is_logit, axis=1))
        # Columns that are logarithmic in some primitives only.
        self._mixed = {int(k): torch.tensor(p.is_log[k], device=self._device) for k in np.flatnonzero(~uniform)}
        self._raw = torch.nn.Parameter(torch.tensor(raw.T.copy(), device=self._device))
        s = self.settings
        self._optimizer = RowAdam([self._raw], self._rates, s.beta1, s.beta2, s.epsilon)
        state = self._optimizer.state[self._raw]
        for key, slate in zip(state, kept, strict=False):
            state[key] = torch.tensor(slate.T.copy(), device=self._device)
        self._values = self._decode(self._raw.detach())

    def _read(self) -> list[Array]:
        tensors = [self._raw.detach(), *self._optimizer.state[self._raw].values()]
        return [tensor.cpu().numpy().T for tensor in tensors]

    def _set_rows(self, rows: Array) -> None:
        self._values = torch.tensor(rows.T.copy(), device=self._device)

    def _rows(self) -> Array:
        return self._values.t().contiguous().cpu().numpy()  # waits for the device

    def _decode(self, raw: torch.Tensor) -> torch.Tensor:
        """The values of raw parameters, both (P, N); each column computes only its own transform."""
        values = raw.clone()
        for run in self._log:
            values[run] = raw[run].exp()
        for run in self._logit:
            values[run] = raw[run].sigmoid()
        for k, is_log in self._mixed.items():
            values[k] = torch.where(is_log, torch.where(is_log, raw[k], 0.0).exp(), raw[k])
        return values

    def step(self, scales: Sequence[float] = (1.0,), objective: Objective | None = None) -> float:
        """Takes optimiser steps; see `base.Fit.step`."""
        with self._beside_the_kernel():
            return super().step(scales, objective)

    def _beside_the_kernel(self) -> AbstractContextManager[None]:
        """`ONE_THREAD` with the CPU kernel; the dense one computes with all threads."""
        return ONE_THREAD if self.kernel_name == "numba" else nullcontext()

    def _step(self, scale: float, objective: Objective) -> float:
        loss, gradient = self._gradient(objective)
        self._raw.grad = gradient
        self._optimizer.param_groups[0]["rates"] = self._rates * scale
        self._optimizer.step()
        with torch.no_grad():
            torch.clamp(self._raw, self._low, self._high, out=self._raw)
            raw = self._raw.detach()
            moved = limited(torch, self.parameters.primitives, raw, self._kinds)
            if moved is not raw:
                raw.copy_(moved)
            self._values = self._decode(self._raw)
        return loss

    def _gradient(self, objective: Objective) -> tuple[float, torch.Tensor]:
        """The loss and its gradient in the raw parameters. Raises FloatingPointError if they are not finite."""
        if self.kernel_name == "numba":
            loss, by_rows = self._kernel_loss_and_gradient(self._rows(), objective)
            if not (np.isfinite(loss) and np.isfinite(by_rows).all()):
                raise FloatingPointError
            s0, s1, s2 = self._slope
            values = self._values
            return loss, torch.addcmul(s1, values, s2).mul_(values).add_(s0).mul_(torch.from_numpy(by_rows).t())
        if self._raw.shape[1] == 0:  # the loss depends on no parameter
            return self.loss(objective=objective), torch.zeros_like(self._raw)
        raw = self._raw.detach().requires_grad_()
        rows, p = self._decode(raw).t(), self.parameters
        images = [
            self._renderer.draw(rows, p.kinds, self._background_of(backdrop), p.primitives, self.canvas)
            for backdrop in self.backdrops
        ]
        value = mean([self._value(objective, *pair) for pair in zip(images, self.backdrops, strict=True)])
        gradient = torch.autograd.grad(value, raw)[0]
        if not bool(torch.isfinite(value) & torch.isfinite(gradient).all()):  # waits for the device
            raise FloatingPointError
        return value.item(), gradient

    def _background_of(self, backdrop: Backdrop) -> torch.Tensor:
        return torch.tensor(backdrop.under(self.canvas).background, dtype=self._raw.dtype, device=self._device)

    def _value(self, objective: Objective, image: torch.Tensor, backdrop: Backdrop) -> torch.Tensor:
        """The loss of an image against the target over this backdrop, a scalar."""
        prepared = self._prepared_target(objective, backdrop)
        if objective.is_mse:
            return squared_loss(image, prepared, self._pixel_shares)
        random = self._drawn(objective)
        drawn = None if random is None else torch.tensor(random, device=self._device)
        value = torch.as_tensor(objective.value(torch, image, prepared, self._weights, drawn))
        if value.ndim or not value.is_floating_point():
            shape = tuple(value.shape)
            raise InputError(f"the loss returned {value.dtype} of shape {shape}; needs a floating-point scalar")
        if image.requires_grad and not value.requires_grad:
            raise InputError("the loss does not depend on the image through PyTorch operations, so it has no gradient")
        return value

    def _prepare(self, objective: Objective, target: Array) -> Any:
        return objective.prepare(torch, torch.tensor(target, device=self._device))

    def _loss_by_image(self, objective: Objective, image: Array, backdrop: Backdrop) -> tuple[float, Array]:
        with self._beside_the_kernel():
            leaf = torch.from_numpy(image).to(self._device).requires_grad_()
            value = self._value(objective, leaf, backdrop)
            return value.item(), torch.autograd.grad(value, leaf)[0].cpu().numpy()


def _runs(mask: Array) -> list[slice]:
    """The runs of true values as slices: these make views, whereas indices copy and start threads."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    return [slice(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]
