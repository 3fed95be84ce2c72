"""How well an SVG file draws what was optimised: drawn back by a rasteriser that is not ours, and compared."""

from __future__ import annotations

import gzip
import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...renderers import BackendUnavailable, InputError, Scene, psnr
from ...renderers.alpha import picture_error

Array = np.ndarray[Any, Any]

# What is drawn to be compared, which takes some 100 bytes a pixel.
PIXELS_MAX = 4096**2

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

    On a transparent canvas: of the mean squared error over black and over white.
    resvg rounds each circle to 8 bits; browsers and Cairo come a decibel or more nearer.

    Raises:
        BackendUnavailable: the extra `svg` is not installed.
        InputError: the file is too large to be drawn.
    """
    need_rasteriser()
    drawn = draw_svg(path, scene.canvas.transparent)
    scaled = scene.scaled(drawn.shape[1], drawn.shape[0])
    return psnr(max(picture_error(scaled, drawn), 1e-12))


def draw_svg(path: Path, transparent: bool = False) -> Array:
    """An SVG or SVGZ file drawn by resvg at its own size, over white, or (H, W, 4) over nothing; float32."""
    import resvg
    from PIL import Image

    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix.lower() == ".svgz" else data).decode()
    tree = resvg.usvg.Tree.from_str(text, resvg.usvg.Options.default())
    width, height = tree.int_size()
    if width * height > PIXELS_MAX:
        raise InputError(f"{path} has {width} x {height} pixels; checking needs at most {PIXELS_MAX}. Try --width")
    beneath = None if transparent else (255, 255, 255, 255)
    picture = Image.open(io.BytesIO(bytes(resvg.render(tree, _AS_IT_IS, bg_color=beneath))))
    return np.asarray(picture.convert("RGBA" if transparent else "RGB"), np.float32) / 255
