"""The JAX renderer; JAX itself is imported when something needs it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base import FitSettings, RendererOptions
from ..canvas import Canvas
from ..kernels.base import Kernel
from ..kernels.numba.kernel import shared_kernel
from ..kernels.renderer import KernelRenderer
from ..scene import Scene
from .base import BaseFit
from .tiled import TiledFit

if TYPE_CHECKING:
    import jax

    from .jax_losses import JaxLosses

Array = np.ndarray[Any, Any]


class JaxRenderer(KernelRenderer):
    """Draws with the tiled CPU kernel, or densely on any JAX device.

    On the CPU, a fit of the mean squared error takes its steps in the kernel, without JAX; JAX computes other losses,
    and differentiates the drawing for users.

    Args:
        options: device, kernel and memory.

    Raises:
        BackendUnavailable: JAX finds no such device.
    """

    name = "jax"

    def __init__(self, options: RendererOptions | None = None) -> None:
        self.options = options or RendererOptions()
        if self.options.kernel_name != "numba":
            _ = self.device  # raises if there is none

    @cached_property
    def device(self) -> jax.Device:
        """The device of dense drawings and of losses."""
        from .jax_device import device_of

        return device_of("gpu" if self.options.device == "cuda" else "cpu")

    @property
    def kernel(self) -> Kernel:  # type: ignore[override]
        """The kernel; looked up at each use, since the thread limit may have changed."""
        if self.options.kernel_name == "numba":
            return shared_kernel(self.options.threads)
        from ..kernels.dense_jax import JaxKernel
        from .jax_device import GUARD

        GUARD.use()
        return JaxKernel(self.device, self.options.memory_mb)

    def drawing(self, scene: Scene) -> Callable[..., jax.Array]:
        """A function `(rows, background=None) -> image` for use inside `jax.jit`, `jax.grad` and `jax.vmap`.

        Integer rows are drawn as float32. See `base.FittingRenderer.drawing` for invalid values.

        Args:
            scene: defines canvas and columns; the number of rows is free if all are of one primitive.

        Example:
            >>> draw = JaxRenderer().drawing(scene)
            >>> gradient = jax.grad(lambda rows: jnp.mean((draw(rows) - target) ** 2))(scene.rows)
        """
        from .jax_drawing import drawing_of

        return drawing_of(scene, self.options)

    def fit(self, target: Array, canvas: Canvas, settings: FitSettings | None = None) -> BaseFit:
        """Opens a fit; see `base.FittingRenderer.fit`."""
        settings = FitSettings() if settings is None else settings
        if self.options.kernel_name == "numba":
            return TiledFit(target, canvas, settings, shared_kernel(self.options.threads), self._losses)
        from .jax_dense import JaxFit

        return JaxFit(target, canvas, settings, self.kernel, self.device, self.options.memory_mb, self._losses)

    def _losses(self, weights: Array | None) -> JaxLosses:
        from .jax_losses import JaxLosses

        return JaxLosses(self.device, weights)
