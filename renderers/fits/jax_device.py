"""The devices of JAX, and the guard against forks."""

from __future__ import annotations

import os

import jax

from ..checks import shown
from ..errors import BackendUnavailable, one_line
from .forked import ForkGuard

GUARD = ForkGuard()


def device_of(platform: str) -> jax.Device:
    """The first device of this platform.

    Raises:
        BackendUnavailable: JAX finds none, or was used before this process was forked.
    """
    GUARD.use()
    try:
        return jax.devices(platform)[0]
    except Exception as error:  # depends on the platform's plugin: AssertionError if CUDA finds no GPU
        if platforms := os.environ.get("JAX_PLATFORMS"):
            raise BackendUnavailable(
                f"JAX finds no {platform.upper()} with JAX_PLATFORMS={shown(platforms)}; unset that variable, or try "
                "JAX_PLATFORMS=cpu with device='cpu'"
            ) from None
        if platform == "cpu":
            raise BackendUnavailable(f"JAX cannot start on the CPU: {one_line(error)}") from None
        raise BackendUnavailable(
            "JAX sees no GPU here; try device='cpu', or install it with: pip install 'jax[cuda13]'"
        ) from None
