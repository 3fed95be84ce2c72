"""Renderers that wrap a kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base import RendererOptions
from ..checks import instance
from ..losses.metrics import check_target, pixel_shares
from ..scene import Scene
from .base import Kernel
from .numba.kernel import shared_kernel

Array = np.ndarray[Any, Any]


class KernelRenderer:
    """Draws and differentiates scenes with a kernel; see `renderers.base.Renderer`.

    Attributes:
        kernel: the kernel.
    """

    kernel: Kernel

    def render(self, scene: Scene) -> Array:
        """The picture, (H, W, 3) float32."""
        scene = instance("scene", scene, Scene)
        return self.kernel.render(scene.rows, scene.kinds, scene.canvas)

    def loss_and_gradient(
        self, scene: Scene, target: Array, weights: Array | None = None
    ) -> tuple[float, Array, Array]:
        """See `renderers.base.Renderer.loss_and_gradient`."""
        scene = instance("scene", scene, Scene)
        return self.kernel.loss_and_gradient(scene.rows, scene.kinds, scene.canvas, *_problem(scene, target, weights))

    def worth(self, scene: Scene, target: Array, weights: Array | None = None) -> Array:
        """See `renderers.base.Renderer.worth`."""
        scene = instance("scene", scene, Scene)
        return self.kernel.worth(scene.rows, scene.kinds, scene.canvas, *_problem(scene, target, weights))[1]


class CpuRenderer(KernelRenderer):
    """The tiled CPU kernel without a framework.

    Args:
        options: only `threads` is used.
    """

    name = "cpu"

    def __init__(self, options: RendererOptions | None = None) -> None:
        self.options = options or RendererOptions()

    @property
    def kernel(self) -> Kernel:  # type: ignore[override]
        """The kernel; looked up at each use, since the thread limit may have changed."""
        return shared_kernel(self.options.threads)


def _problem(scene: Scene, target: Array, weights: Array | None) -> tuple[Array, Array]:
    """The target as planes, (3, H, W), and the pixels' shares, (H, W); both float32."""
    planes = np.ascontiguousarray(np.moveaxis(check_target(target, scene.canvas), 2, 0))
    return planes, pixel_shares(weights, scene.canvas.height, scene.canvas.width).astype(np.float32)
