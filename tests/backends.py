"""The table of frameworks and kernels."""

import pytest

from artpipe import RendererOptions
from artpipe.renderers import FITTING_RENDERERS

KERNELS = ("numba", "dense")
FITS = {f"{name} {kernel}": (name, RendererOptions(kernel=kernel)) for name in FITTING_RENDERERS for kernel in KERNELS}
"""Name to framework and options."""

COMPILED = "jax dense"
"""Compiles for seconds for each size, count of rows and loss."""


def slowly(backends=FITS):
    """The backends as parameters of a test that compiles for each."""
    return [pytest.param(name, marks=[pytest.mark.slow] * (name == COMPILED)) for name in backends]
