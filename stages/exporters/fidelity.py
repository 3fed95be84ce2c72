"""SVG fidelity: independent rasterisers draw a file, and the result is compared with our own picture."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from artpipe.renderers import BackendUnavailable, InputError, Scene, psnr
from artpipe.renderers.alpha import flattened, picture_error

Array = np.ndarray[Any, Any]

# Larger files are refused: a rasteriser needs some 100 bytes per pixel.
PIXELS_MAX = 4096**2

# The identity as resvg takes matrices: row by row, without the last row.
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def rasterisers() -> list[str]:
    """Return the names in `RASTERISERS` whose package is installed."""
    return [name for name, (package, _) in RASTERISERS.items() if find_spec(package) is not None]


def need_rasteriser() -> None:
    """Require at least one installed rasteriser.

    Raises:
        BackendUnavailable: the extra `svg` is not installed.
    """
    if not rasterisers():
        raise BackendUnavailable("--check needs resvg, which is not installed; try: pip install 'artpipe[svg]'")


def svg_fidelity(path: Path, scene: Scene, rasteriser: str = "resvg") -> float:
    """Return the PSNR (dB) of an SVG file against our own picture of the scene at the file's size.

    A transparent canvas is compared over black and over white; their squared errors are averaged.
    Rasterisers round each shape to 8 bits: browsers come close to resvg, ThorVG stays 4 dB below.

    Args:
        path: an .svg or .svgz file.
        scene: the scene that the file was written from.
        rasteriser: a name in `RASTERISERS`.

    Raises:
        BackendUnavailable: the rasteriser is not installed.
        InputError: the file is too large to draw.
    """
    drawn = draw_svg(path, scene.canvas.transparent, rasteriser)
    scaled = scene.scaled(drawn.shape[1], drawn.shape[0])
    return psnr(max(picture_error(scaled, drawn), 1e-12))


def draw_svg(path: Path, transparent: bool = False, rasteriser: str = "resvg") -> Array:
    """Draw an SVG or SVGZ file at its own size.

    Args:
        path: the file.
        transparent: whether to keep alpha.
        rasteriser: a name in `RASTERISERS`.

    Returns:
        (H, W, 4) straight sRGB and alpha, or (H, W, 3) over white; float32, 0..1.

    Raises:
        BackendUnavailable: the rasteriser is not installed.
        InputError: the file is too large to draw.
    """
    package, draw = RASTERISERS[rasteriser]
    if find_spec(package) is None:
        raise BackendUnavailable(f"{rasteriser} is not installed; try: pip install 'artpipe[svg]'")
    data = path.read_bytes()
    pixels = draw(gzip.decompress(data) if path.suffix.lower() == ".svgz" else data, path)
    picture = np.asarray(pixels, np.float32) / 255
    return picture if transparent else flattened(picture, (1.0, 1.0, 1.0))


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > PIXELS_MAX:
        raise InputError(
            f"{path} has {width} x {height} pixels; --check takes at most {PIXELS_MAX}. Try a smaller --width"
        )


def _draw_by_resvg(data: bytes, path: Path) -> Array:
    """Return (H, W, 4) uint8, drawn with CSS support."""
    import resvg
    from PIL import Image

    tree = resvg.usvg.Tree.from_str(data.decode(), resvg.usvg.Options.default())
    _check_size(path, *tree.int_size())
    return np.asarray(Image.open(io.BytesIO(bytes(resvg.render(tree, _IDENTITY)))).convert("RGBA"))


def _draw_by_thorvg(data: bytes, path: Path) -> Array:
    """Return (H, W, 4) uint8, drawn with almost no CSS support, as in many toolkits and games."""
    import thorvg_python

    thorvg: Any = thorvg_python  # exports no names to type checkers
    engine = thorvg.Engine()
    picture = thorvg.Picture(engine)
    if picture.load_data(data, "svg", None, True) != thorvg.Result.SUCCESS:
        raise InputError(f"ThorVG cannot read {path}")
    width, height = (round(length) for length in picture.get_size()[1:])
    _check_size(path, width, height)
    canvas = thorvg.SwCanvas(engine)
    canvas.set_target(width, height, cs=thorvg.Colorspace.ABGR8888S)
    canvas.add(picture)
    canvas.draw(True)
    canvas.sync()
    pixels = np.frombuffer(bytes(canvas.buffer_arr), np.uint8).reshape(height, width, 4)
    canvas.destroy()
    return pixels


RASTERISERS: dict[str, tuple[str, Callable[[bytes, Path], Array]]] = {
    "resvg": ("resvg", _draw_by_resvg),
    "ThorVG": ("thorvg_python", _draw_by_thorvg),
}
"""Rasteriser name to the package that it needs and the function that draws with it."""
