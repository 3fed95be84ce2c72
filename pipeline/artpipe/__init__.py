"""artpipe turns a painting into soft shapes: grown where the picture is wrong, refined by gradient descent.

    import artpipe

    result = artpipe.fit("painting.jpg", count=2048)        # result.scene, result.image, result.metrics
    image = artpipe.render(result.scene)                    # (H, W, 3) float32, sRGB in 0..1
    artpipe.export(result, "painting.svg", "timelapse.gif")

Names are loaded when they are first used: importing artpipe loads no framework and no compiler.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from artpipe.pipeline.api import export as export
    from artpipe.pipeline.api import fit as fit
    from artpipe.pipeline.api import render as render
    from artpipe.renderers import ArtpipeError as ArtpipeError
    from artpipe.renderers import BackendUnavailable as BackendUnavailable
    from artpipe.renderers import Canvas as Canvas
    from artpipe.renderers import Diverged as Diverged
    from artpipe.renderers import Fit as Fit
    from artpipe.renderers import FitSettings as FitSettings
    from artpipe.renderers import InputError as InputError
    from artpipe.renderers import Interrupted as Interrupted
    from artpipe.renderers import OutOfMemory as OutOfMemory
    from artpipe.renderers import PictureWarning as PictureWarning
    from artpipe.renderers import Rates as Rates
    from artpipe.renderers import Renderer as Renderer
    from artpipe.renderers import RendererOptions as RendererOptions
    from artpipe.renderers import Scene as Scene
    from artpipe.renderers import load_fitting_renderer as load_fitting_renderer
    from artpipe.renderers import load_renderer as load_renderer
    from artpipe.renderers import mean_squared_error as mean_squared_error
    from artpipe.renderers import psnr as psnr
    from artpipe.renderers import seed_loss as seed_loss
    from artpipe.stages.events import Snapshot as Snapshot
    from artpipe.stages.formats.scene_file import load_scene as load_scene
    from artpipe.stages.formats.scene_file import save_scene as save_scene
    from artpipe.stages.history import History as History
    from artpipe.stages.metrics import Metrics as Metrics
    from artpipe.stages.result import Result as Result

_HOMES = {
    "artpipe.pipeline.api": ["export", "fit", "render"],
    "artpipe.stages.events": ["Snapshot"],
    "artpipe.stages.history": ["History"],
    "artpipe.stages.metrics": ["Metrics"],
    "artpipe.stages.result": ["Result"],
    "artpipe.stages.formats.scene_file": ["load_scene", "save_scene"],
    "artpipe.renderers": [
        "ArtpipeError", "BackendUnavailable", "Canvas", "Diverged", "Fit", "FitSettings", "InputError",
        "Interrupted", "OutOfMemory", "PictureWarning", "Rates", "Renderer", "RendererOptions", "Scene",
        "load_fitting_renderer", "load_renderer", "mean_squared_error", "psnr", "seed_loss",
    ],
}  # fmt: skip
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'artpipe' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME_OF])
