"""How well an SVG file draws what was optimised: drawn back by a rasteriser that is not ours, and compared."""

from __future__ import annotations

import gzip
import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...renderers import BackendUnavailable, Scene, mean_squared_error, psnr
from ...renderers.cpu_renderer import CpuRenderer

Array = np.ndarray[Any, Any]

# The identity; resvg takes matrices row by row, without the last row.
_AS_IT_IS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def need_rasteriser() -> None:
    """Refuses to go on without resvg.

    Raises:
        BackendUnavailable: the extra `svg` is not installed.
    """
    if find_spec("resvg") is None:
        raise BackendUnavailable("--check needs resvg, which is not installed; try: pip install 'artpipe[svg]'")


def svg_fidelity(path: Path, scene: Scene) -> float:
    """PSNR in dB of an SVG file, drawn by resvg, against our own picture of the scene at the file's size.

    resvg rounds each circle to 8 bits; browsers and Cairo come a decibel or more nearer.

    Raises:
        BackendUnavailable: the extra `svg` is not installed.
    """
    need_rasteriser()
    drawn = draw_svg(path)
    scaled = scene.scaled(drawn.shape[1], drawn.shape[0])
    own = np.clip(CpuRenderer().render(scaled), 0, 1)
    return psnr(max(mean_squared_error(drawn, own), 1e-12))


def draw_svg(path: Path) -> Array:
    """An SVG or SVGZ file drawn by resvg at its own size, (H, W, 3) float32, over white."""
    import resvg
    from PIL import Image

    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix.lower() == ".svgz" else data).decode()
    tree = resvg.usvg.Tree.from_str(text, resvg.usvg.Options.default())
    picture = Image.open(io.BytesIO(bytes(resvg.render(tree, _AS_IT_IS, bg_color=(255, 255, 255, 255)))))
    return np.asarray(picture.convert("RGB"), np.float32) / 255
