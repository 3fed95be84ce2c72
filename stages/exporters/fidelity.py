"""How well an SVG file draws what was optimised: drawn back by rasterisers that are not ours, and compared."""

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

# Larger files are not drawn: a rasteriser takes some 100 bytes a pixel.
PIXELS_MAX = 4096**2

# The identity; resvg takes matrices row by row, without the last row.
_AS_IT_IS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def rasterisers() -> list[str]:
    """Names of the rasterisers that are installed, of those in `RASTERISERS`."""
    return [name for name, (package, _) in RASTERISERS.items() if find_spec(package) is not None]


def need_rasteriser() -> None:
    """Refuses to go on without any rasteriser.

    Raises:
        BackendUnavailable: the extra `svg` is not installed.
    """
    if not rasterisers():
        raise BackendUnavailable("--check needs resvg, which is not installed; try: pip install 'artpipe[svg]'")


def svg_fidelity(path: Path, scene: Scene, rasteriser: str = "resvg") -> float:
    """PSNR in dB of an SVG file, drawn by a rasteriser, against our own picture of the scene at the file's size.

    On a transparent canvas: of the mean squared error over black and over white.
    Rasterisers round each shape to 8 bits: browsers reach about what resvg reaches, ThorVG 4 dB less.

    Args:
        path: an .svg or .svgz file.
        scene: what it was made from.
        rasteriser: a name in `RASTERISERS`.

    Raises:
        BackendUnavailable: the rasteriser is not installed.
        InputError: the file is too large to be drawn.
    """
    drawn = draw_svg(path, scene.canvas.transparent, rasteriser)
    scaled = scene.scaled(drawn.shape[1], drawn.shape[0])
    return psnr(max(picture_error(scaled, drawn), 1e-12))


def draw_svg(path: Path, transparent: bool = False, rasteriser: str = "resvg") -> Array:
    """An SVG or SVGZ file drawn at its own size.

    Args:
        path: the file.
        transparent: whether to keep its alpha.
        rasteriser: a name in `RASTERISERS`.

    Returns:
        (H, W, 4), straight sRGB and alpha, or (H, W, 3) over white; float32, 0..1.

    Raises:
        BackendUnavailable: the rasteriser is not installed.
        InputError: the file is too large to be drawn.
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
        raise InputError(f"{path} has {width} x {height} pixels; checking needs at most {PIXELS_MAX}. Try --width")


def _draw_by_resvg(data: bytes, path: Path) -> Array:
    """(H, W, 4) uint8, by a reader that knows CSS."""
    import resvg
    from PIL import Image

    tree = resvg.usvg.Tree.from_str(data.decode(), resvg.usvg.Options.default())
    _check_size(path, *tree.int_size())
    return np.asarray(Image.open(io.BytesIO(bytes(resvg.render(tree, _AS_IT_IS)))).convert("RGBA"))


def _draw_by_thorvg(data: bytes, path: Path) -> Array:
    """(H, W, 4) uint8, by a reader that knows next to no CSS, as those of many toolkits and games."""
    import thorvg_python

    thorvg: Any = thorvg_python  # it exports no name to type checkers
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
"""Name to the package that a rasteriser needs, and what draws by it."""
