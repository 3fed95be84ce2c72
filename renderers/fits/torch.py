"""The PyTorch renderer; PyTorch itself is imported when something needs it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base import FitSettings, RendererOptions
from ..canvas import Canvas
from ..errors import BackendUnavailable
from ..kernels.base import Kernel
from ..kernels.numba.kernel import shared_kernel
from ..kernels.renderer import KernelRenderer
from ..scene import Scene
from .base import BaseFit
from .tiled import TiledFit

if TYPE_CHECKING:
    import torch

    from .torch_losses import TorchLosses

Array = np.ndarray[Any, Any]


class TorchRenderer(KernelRenderer):
    """Draws with the tiled CPU kernel, or densely on any PyTorch device.

    On the CPU, a fit of the mean squared error takes its steps in the kernel, without PyTorch; PyTorch computes other
    losses, and differentiates the drawing for users.

    Args:
        options: device, kernel, memory, and whether the dense kernel is compiled.

    Raises:
        BackendUnavailable: PyTorch finds no such device.
    """

    name = "torch"

    def __init__(self, options: RendererOptions | None = None) -> None:
        self.options = options or RendererOptions()
        if self.options.kernel_name != "numba":
            _ = self.device  # raises if there is none

    @cached_property
    def device(self) -> torch.device:
        """The device of dense drawings and of losses."""
        import torch

        if self.options.device == "cuda" and not torch.cuda.is_available():
            raise BackendUnavailable(
                "PyTorch sees no GPU here; try device='cpu', or install a CUDA build: pip install torch"
            )
        return torch.device("cuda" if self.options.device == "cuda" else "cpu")

    @cached_property
    def pixels(self) -> Any:
        """The dense drawing of a chunk of pixels, compiled if the options say so."""
        import torch

        from ..kernels.dense_torch import draw_pixels

        return torch.compile(draw_pixels, dynamic=False) if self.options.compile else draw_pixels

    @property
    def kernel(self) -> Kernel:  # type: ignore[override]
        """The kernel; looked up at each use, since the thread limit may have changed."""
        if self.options.kernel_name == "numba":
            return shared_kernel(self.options.threads)
        from ..kernels.dense_torch import TorchKernel

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
        from .torch_drawing import drawing_of

        return drawing_of(scene, self.options, self.pixels)

    def fit(self, target: Array, canvas: Canvas, settings: FitSettings | None = None) -> BaseFit:
        """Opens a fit; see `base.FittingRenderer.fit`."""
        settings = FitSettings() if settings is None else settings
        if self.options.kernel_name == "numba":
            return TiledFit(target, canvas, settings, shared_kernel(self.options.threads), self._losses)
        from .torch_dense import TorchFit

        return TorchFit(
            target, canvas, settings, self.kernel, self.device, self.options.memory_mb, self.pixels, self._losses
        )

    def _losses(self, weights: Array | None) -> TorchLosses:
        from .torch_losses import ONE_THREAD, TorchLosses

        return TorchLosses(self.device, weights, ONE_THREAD if self.options.kernel_name == "numba" else nullcontext())
