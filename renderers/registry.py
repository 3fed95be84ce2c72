"""The table of renderers, each loaded on first use."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import cast

from .base import FittingRenderer, Renderer, RendererOptions
from .checks import choice, instance
from .errors import BackendUnavailable, InputError

RENDERERS: dict[str, tuple[str, str, str]] = {
    "jax": ("fits.jax", "JaxRenderer", "jax"),
    "torch": ("fits.torch", "TorchRenderer", "torch"),
    "cpu": ("kernels.renderer", "CpuRenderer", "numba"),
    "reference": ("kernels.reference", "ReferenceRenderer", "numpy"),
}
"""Name to module (in this package), class, and the library that it needs, which may be imported later."""

FITTING_RENDERERS = ("jax", "torch")
"""Those that can also fit; the first is the default."""

_CURES = {"torch": "pip install 'artpipe[torch]'", "jax": "pip install artpipe"}


def load_renderer(name: str, options: RendererOptions | None = None) -> Renderer:
    """The renderer of this name.

    Args:
        name: a key of `RENDERERS`.
        options: device, path, memory and threads, for all but the reference.

    Raises:
        InputError: there is no renderer of this name.
        BackendUnavailable: its library or device is missing; the message says what to install.
    """
    choice("renderer", name, RENDERERS)
    if options is not None:
        instance("options", options, RendererOptions)
    module, class_name, library = RENDERERS[name]
    try:
        if find_spec(library) is None:
            raise ModuleNotFoundError(name=library)
        renderer_class = getattr(import_module(f".{module}", __package__), class_name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(__package__.split(".")[0]):
            raise  # our own bug, not a missing library
        cure = _CURES.get(name, "pip install artpipe")
        raise BackendUnavailable(
            f"the {name} renderer needs {error.name}, which is not installed; try: {cure}"
        ) from None
    return cast(Renderer, renderer_class() if name == "reference" else renderer_class(options))


def load_fitting_renderer(name: str, options: RendererOptions | None = None) -> FittingRenderer:
    """The renderer of this name, if it can fit.

    Raises:
        InputError: it cannot fit, or does not exist.
        BackendUnavailable: as `load_renderer`.
    """
    if choice("renderer", name, RENDERERS) not in FITTING_RENDERERS:
        raise InputError(f"renderer {name!r} cannot fit; choose one of {', '.join(FITTING_RENDERERS)}")
    return cast(FittingRenderer, load_renderer(name, options))
