"""The tiled CPU kernel as a renderer of scenes, without a framework."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...base import RendererOptions
from ...checks import instance
from ...losses.metrics import check_target, pixel_shares
from ...scene import Scene
from .kernel import CpuKernel, shared_kernel

Array = np.ndarray[Any, Any]


class CpuRenderer:
    """Draws and differentiates scenes by the CPU kernel; see `base.Renderer`.

    Args:
        options: how many threads draw; the rest is for frameworks.
    """

    name = "cpu"

    def __init__(self, options: RendererOptions | None = None) -> None:
        self.options = options or RendererOptions()

    @property
    def _kernel(self) -> CpuKernel:
        return shared_kernel(self.options.threads)

    def render(self, scene: Scene) -> Array:
        """The picture, (H, W, 3) float32."""
        scene = instance("scene", scene, Scene)
        return self._kernel.render(scene.rows, scene.canvas)

    def loss_and_gradient(
        self, scene: Scene, target: Array, weights: Array | None = None
    ) -> tuple[float, Array, Array]:
        """See `base.Renderer.loss_and_gradient`."""
        scene = instance("scene", scene, Scene)
        return self._kernel.loss_and_gradient(scene.rows, scene.canvas, *_problem(scene, target, weights))

    def worth(self, scene: Scene, target: Array, weights: Array | None = None) -> Array:
        """See `base.Renderer.worth`."""
        scene = instance("scene", scene, Scene)
        return self._kernel.worth(scene.rows, scene.canvas, *_problem(scene, target, weights))[1]


def _problem(scene: Scene, target: Array, weights: Array | None) -> tuple[Array, Array]:
    """The target as planes, (3, H, W), and the pixels' shares, (H, W), as the kernel takes them."""
    planes = np.ascontiguousarray(np.moveaxis(check_target(target, scene.canvas), 2, 0))
    return planes, pixel_shares(weights, scene.canvas.height, scene.canvas.width).astype(np.float32)
