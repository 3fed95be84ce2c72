"""The PyTorch renderer: a differentiable drawing for users, and fits with torch.optim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from .alpha import Backdrop
from .base import FitSettings, RendererOptions
from .cpu_kernel import shared_kernel
from .cpu_renderer import CpuRenderer
from .errors import BackendUnavailable
from .fitting import BaseFit, mean
from .losses import check_target, pixel_shares
from .scene import Canvas, Scene, check_finite
from .torch_optimizer import RowAdam
from .torch_pure import draw, draw_pixels

Array = np.ndarray[Any, Any]


class TorchRenderer:
    """Draws with the tiled CPU kernel behind an autograd function, or densely on any PyTorch device.

    Args:
        options: device, path, memory, and whether the pure path is compiled.

    Raises:
        BackendUnavailable: the device is not there.
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

    def render(self, scene: Scene) -> Array:
        """The picture, (H, W, 3) float32; see `base.Renderer.render`."""
        if self.options.uses_kernel:
            return CpuRenderer(self.options).render(scene)
        with torch.no_grad():
            return self.drawing(scene)(self._tensor(scene.rows)).cpu().numpy()  # waits for the device

    def loss_and_gradient(
        self, scene: Scene, target: Array, weights: Array | None = None
    ) -> tuple[float, Array, Array]:
        """See `base.Renderer.loss_and_gradient`."""
        if self.options.uses_kernel:
            return CpuRenderer(self.options).loss_and_gradient(scene, target, weights)
        rows = self._tensor(scene.rows).requires_grad_()
        background = self._tensor(np.array(scene.canvas.background)).requires_grad_()
        wanted = self._tensor(check_target(target, scene.canvas))
        shares = self._tensor(pixel_shares(weights, scene.canvas.height, scene.canvas.width))
        loss = weighted_mse(self.drawing(scene)(rows, background), wanted, shares)
        by_rows, by_background = torch.autograd.grad(loss, (rows, background), allow_unused=True)
        by_rows = torch.zeros_like(rows) if by_rows is None else by_rows  # no rows, no graph
        return loss.item(), by_rows.cpu().numpy(), by_background.cpu().numpy()

    def worth(self, scene: Scene, target: Array, weights: Array | None = None) -> Array:
        """See `base.Renderer.worth`. Always by the CPU kernel: exact for all rows in one pass."""
        return CpuRenderer(self.options).worth(scene, target, weights)

    def drawing(self, scene: Scene) -> Callable[..., torch.Tensor]:
        """A function `(rows, background=None) -> image` that autograd differentiates.

        Args:
            scene: gives the canvas; rows may be any (N, P) tensor. The pure path keeps its precision and
                device; the kernel is float32 on the CPU.

        Example:
            >>> draw = TorchRenderer().drawing(scene)
            >>> rows = torch.tensor(scene.rows, requires_grad=True)
            >>> ((draw(rows) - target) ** 2).mean().backward()
        """
        canvas = scene.canvas

        def draw_rows(rows: torch.Tensor, background: torch.Tensor | None = None) -> torch.Tensor:
            if background is None:
                background = torch.tensor(canvas.background, dtype=rows.dtype, device=rows.device)
            if self.options.uses_kernel:
                image: torch.Tensor = DrawByKernel.apply(rows, background, canvas, self.options.threads)
                return image
            return draw(rows, background, canvas, self.options.memory_mb, self.pixels)

        return draw_rows

    def fit(self, target: Array, canvas: Canvas, settings: FitSettings | None = None) -> TorchFit:
        """Opens a fit; see `base.FittingRenderer.fit`."""
        return TorchFit(target, canvas, settings or FitSettings(), self)

    def _tensor(self, array: Array) -> torch.Tensor:
        return torch.tensor(np.asarray(array, np.float32), device=self.device)


def weighted_mse(image: torch.Tensor, target: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """The loss of `losses.mean_squared_error` from the pixels' shares, (H, W)."""
    return torch.sum(torch.square(image - target) * shares[:, :, None])


class DrawByKernel(torch.autograd.Function):
    """The picture, (H, W, 3) float32, by the tiled CPU kernel; differentiable by rows and background."""

    @staticmethod
    def forward(
        ctx: Any, rows: torch.Tensor, background: torch.Tensor, canvas: Canvas, threads: int | None
    ) -> torch.Tensor:
        """Draws `rows`, (N, P), on `background`, (3,)."""
        host = rows.detach().to("cpu", torch.float32).numpy()
        check_finite(host)
        ctx.canvas = replace(canvas, background=tuple(background.detach().tolist()))
        ctx.kernel = shared_kernel(threads)
        ctx.save_for_backward(rows, background)
        return torch.from_numpy(ctx.kernel.render(host, ctx.canvas)).to(rows.device)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, image_gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        """Pulls dL/dimage, (H, W, 3), back to rows and background."""
        rows, background = ctx.saved_tensors
        host = rows.detach().to("cpu", torch.float32).numpy()
        by_rows, by_background = ctx.kernel.pull_back(
            host, ctx.canvas, image_gradient.detach().to("cpu", torch.float32).numpy()
        )
        return torch.from_numpy(by_rows).to(rows), torch.from_numpy(by_background).to(background), None, None


class TorchFit(BaseFit):
    """A fit in PyTorch; see `base.Fit`. Its optimiser is `torch_optimizer.RowAdam`."""

    def __init__(self, target: Array, canvas: Canvas, settings: FitSettings, renderer: TorchRenderer) -> None:
        super().__init__(target, canvas, settings, renderer.options, str(renderer.device))
        self._renderer = renderer
        self._device = renderer.device
        p = self.parameters
        self._rates, self._low, self._high, self._slope = (
            torch.tensor(array, device=self._device)[..., None] for array in (p.rates, p.low, p.high, p.slope)
        )
        self._log, self._logit = _runs(p.is_log), _runs(p.is_logit)
        if settings.loss is not None or not renderer.options.uses_kernel:
            self._wanted = {backdrop: torch.tensor(backdrop.target, device=self._device) for backdrop in self.backdrops}
            self._pixel_shares = torch.tensor(self.shares, device=self._device)
        self._write([np.zeros((0, len(p.rates)), np.float32)], canvas)

    def _write(self, slates: list[Array], canvas: Canvas) -> None:
        raw, *kept = slates
        self._raw = torch.nn.Parameter(torch.tensor(raw.T.copy(), device=self._device))
        s = self.settings
        self._optimizer = RowAdam([self._raw], self._rates, s.beta1, s.beta2, s.epsilon)
        state = self._optimizer.state[self._raw]
        for key, slate in zip(state, kept, strict=False):
            state[key] = torch.tensor(slate.T.copy(), device=self._device)
        self._values = self._decode(self._raw.detach())
        self._scene_like = Scene.empty(canvas)

    def _read(self) -> list[Array]:
        tensors = [self._raw.detach(), *self._optimizer.state[self._raw].values()]
        return [tensor.cpu().numpy().T for tensor in tensors]

    def _set_rows(self, rows: Array) -> None:
        self._values = torch.tensor(rows.T.copy(), device=self._device)

    def _rows(self) -> Array:
        return self._values.t().contiguous().cpu().numpy()  # waits for the device

    def _decode(self, raw: torch.Tensor) -> torch.Tensor:
        """The values that raw parameters stand for, both (P, N), each column by its own transform alone."""
        values = raw.clone()
        for run in self._log:
            values[run] = raw[run].exp()
        for run in self._logit:
            values[run] = raw[run].sigmoid()
        return values

    def step(self, count: int = 1, scale: float = 1.0) -> float:
        """Takes optimiser steps; see `base.Fit.step`."""
        if not self._renderer.options.uses_kernel:
            return super().step(count, scale)
        # After each parallel operation PyTorch's OpenMP threads spin for a while, on the cores that the
        # kernel wants (a step took 4 ms instead of 1.5). The update is too small to gain from threads.
        thread_count = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return super().step(count, scale)
        finally:
            torch.set_num_threads(thread_count)

    def _step(self, scale: float) -> float:
        loss, gradient = self._gradient()
        self._raw.grad = gradient
        self._optimizer.param_groups[0]["rates"] = self._rates * scale
        self._optimizer.step()
        with torch.no_grad():
            torch.clamp(self._raw, self._low, self._high, out=self._raw)
            self._values = self._decode(self._raw)
        return loss

    def _gradient(self) -> tuple[float, torch.Tensor]:
        """The loss and its gradient by raw parameters. Raises FloatingPointError if they are not finite."""
        if self._renderer.options.uses_kernel:
            loss, by_rows = self._kernel_gradient()
            if not (np.isfinite(loss) and np.isfinite(by_rows).all()):
                raise FloatingPointError
            s0, s1, s2 = self._slope
            values = self._values
            return loss, torch.addcmul(s1, values, s2).mul_(values).add_(s0).mul_(torch.from_numpy(by_rows).t())
        if self._raw.shape[1] == 0:  # a bare canvas depends on no parameter
            return self.loss(), torch.zeros_like(self._raw)
        raw = self._raw.detach().requires_grad_()
        rows, draw = self._decode(raw).t(), self._renderer.drawing(self._scene_like)
        value = mean(
            [self._objective(draw(rows, self._background_of(backdrop)), backdrop) for backdrop in self.backdrops]
        )
        gradient = torch.autograd.grad(value, raw)[0]
        if not bool(torch.isfinite(value) & torch.isfinite(gradient).all()):  # waits for the device
            raise FloatingPointError
        return value.item(), gradient

    def _kernel_gradient(self) -> tuple[float, Array]:
        rows = self._rows()
        if self.settings.loss is None:
            return self._kernel_loss_and_gradient(rows)
        losses, gradients = [], []
        for backdrop in self.backdrops:
            canvas = backdrop.under(self.canvas)
            image = torch.from_numpy(self.kernel.render(rows, canvas)).requires_grad_()
            value = self._objective(image, backdrop)
            by_image = torch.autograd.grad(value, image)[0]
            losses.append(value.item())
            gradients.append(self.kernel.pull_back(rows, canvas, by_image.numpy())[0])
        return mean(losses), mean(gradients)

    def _background_of(self, backdrop: Backdrop) -> torch.Tensor:
        return torch.tensor(backdrop.under(self.canvas).background, dtype=self._raw.dtype, device=self._device)

    def _objective(self, image: torch.Tensor, backdrop: Backdrop) -> torch.Tensor:
        if self.settings.loss is not None:
            return torch.as_tensor(self.settings.loss(image, self._wanted[backdrop]))
        return weighted_mse(image, self._wanted[backdrop], self._pixel_shares)

    def _custom_loss(self, image: Array, backdrop: Backdrop) -> float:
        return float(self._objective(torch.from_numpy(image).to(self._device), backdrop))


def _runs(mask: Array) -> list[slice]:
    """The runs of true values, as slices: slicing is a view, where a list of indices copies and starts threads."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    return [slice(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]
