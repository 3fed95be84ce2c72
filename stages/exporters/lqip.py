"""A placeholder for a web page: an image tag whose picture, a tiny SVG, is in its address.

Each shape is a `<use>` of a unit circle with a soft rim, under a matrix. Numbers are rounded before anything is
written, and the rounded scene is what is drawn: 32 ellipses take 1.1 KB after gzip, and lose 0.1 dB.
"""

from __future__ import annotations

import gzip
import html
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from artpipe.renderers import Canvas, InputError, Scene
from artpipe.renderers.primitives.falloff import FALLOFFS, LINEAR

from ..formats.files import write_text
from ..result import Result
from .options import ExportOptions
from .svg_shapes import Shape, hex_of, number, shapes, shown_rows

# A longer list would make a file too long for its purpose.
SHAPES_MAX = 256
# Longest side of the drawing, in which coordinates are whole numbers. With 256, 32 ellipses lose 0.2 dB more; with 1024
# they take 30 bytes more.
SIDE = 512
# Where a soft rim begins, as shares of its outer radius. With half as many, 32 ellipses lose 0.2 dB more; twice as many
# take 100 bytes more.
RIMS = tuple(k / 10 for k in range(10))


class Spot(NamedTuple):
    """A rounded circle or ellipse.

    Attributes:
        across: the symmetric matrix ((across, shear), (shear, down)) maps the unit circle to the outer rim.
        shear: see `across`.
        down: see `across`.
        x: of the centre.
        y: of the centre.
        rim: one of `RIMS`.
        colour: #rrggbb and two hexadecimal digits of opacity.
    """

    across: int
    shear: int
    down: int
    x: int
    y: int
    rim: float
    colour: str


def export_lqip(result: Result, path: Path, options: ExportOptions) -> None:
    """Write the image tag, in `options.width` or the scene's size, below a comment with its length.

    Raises:
        InputError: the scene has too many shapes, shapes without a radial gradient, or another falloff.
    """
    write_text(path, lqip_html(result, options))


def lqip_html(result: Result, options: ExportOptions) -> str:
    """Return the file; see `export_lqip`."""
    shown = options.resized(Scene.empty(result.scene.canvas)).canvas
    escaped = lqip_svg(result.scene).replace("#", "%23").replace("<", "%3C").replace(">", "%3E")
    title = html.escape(options.title_of(result), quote=True)
    tag = f'<img src="data:image/svg+xml,{escaped}" width="{shown.width}" height="{shown.height}" alt="{title}">\n'
    length, packed = len(tag.encode()), len(gzip.compress(tag.encode(), 9, mtime=0))
    return f"<!-- placeholder by artpipe: {length} bytes, {packed} after gzip -->\n{tag}"


def lqip_svg(scene: Scene) -> str:
    """Return the drawing; it holds no character that ends an attribute in double quotes."""
    canvas, spots = _canvas(scene), list(_spots(scene))
    rims = [rim for rim in RIMS if any(spot.rim == rim for spot in spots)]
    letters = {rim: chr(ord("a") + k) for k, rim in enumerate(rims)}
    defs = "".join(
        f"<radialGradient id='{letter}g'><stop offset='{number(rim, 2)}' stop-color='#fff'/><stop offset='1'/>"
        "</radialGradient>"
        f"<mask id='{letter}m'><circle r='1' fill='url(#{letter}g)'/></mask>"
        f"<circle id='{letter}' r='1' mask='url(#{letter}m)'/>"
        for rim, letter in letters.items()
    )
    uses = "".join(
        f"<use href='#{letters[rim]}' transform='matrix({across} {shear} {shear} {down} {x} {y})' fill='{colour}'/>"
        for across, shear, down, x, y, rim, colour in spots
    )
    width, height = canvas.width, canvas.height
    ground = "" if canvas.transparent else f"<path fill='{hex_of(canvas.background)}' d='M0 0h{width}v{height}H0z'/>"
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}'>"
        f"<defs>{defs}</defs>{ground}{uses}</svg>"
    )


def quantised(scene: Scene) -> Scene:
    """Return the scene that the placeholder draws, at the drawing's size.

    Raises:
        InputError: as `export_lqip`.
    """
    canvas, spots = _canvas(scene), list(_spots(scene))
    if not spots:
        return Scene.empty(canvas)
    matrices = np.array([[[spot.across, spot.shear], [spot.shear, spot.down]] for spot in spots], np.float64)
    lengths, vectors = np.linalg.eigh(matrices)  # increasing
    rims = np.array([spot.rim for spot in spots])
    middle = (1 + rims) / 2  # of the rim, where the coverage is one half
    paint = np.array([list(bytes.fromhex(spot.colour[1:])) for spot in spots]) / 255
    return Scene.ellipses(
        canvas,
        x=[spot.x for spot in spots], y=[spot.y for spot in spots],
        radius_x=lengths[:, 1] * middle, radius_y=lengths[:, 0] * middle,
        angle=np.degrees(np.arctan2(vectors[:, 1, 1], vectors[:, 0, 1])),
        colour=paint[:, :3], opacity=paint[:, 3], softness=lengths[:, 0] * (1 - rims) / 2,
    )  # fmt: skip


def _canvas(scene: Scene) -> Canvas:
    share = SIDE / max(scene.canvas.width, scene.canvas.height)
    width, height = (max(1, round(share * side)) for side in (scene.canvas.width, scene.canvas.height))
    return Scene.empty(scene.canvas).scaled(width, height).canvas


def _spots(scene: Scene) -> Iterator[Spot]:
    """Yield the visible shapes, rounded; those that become thinner than a pixel are left out."""
    if scene.count > SHAPES_MAX:
        raise InputError(
            f"a placeholder holds at most {SHAPES_MAX} shapes; the scene has {scene.count}. "
            "Try: artpipe run PICTURE --shape ellipse --max 32"
        )
    if FALLOFFS[scene.canvas.edge] is not LINEAR or not all(primitive.is_radial for primitive in scene.primitives):
        raise InputError("a placeholder is drawn with circles and ellipses of linear falloff. Try: --shape ellipse")
    share = SIDE / max(scene.canvas.width, scene.canvas.height)
    for shape in shapes(shown_rows(scene)):
        spot = _spot(shape, share)
        if spot.across * spot.down > spot.shear**2:
            yield spot


def _spot(shape: Shape, share: float) -> Spot:
    inner, outer = max(shape.thickness - shape.softness, 0.0), shape.thickness + shape.softness
    rim = min(RIMS, key=lambda each: abs(each - inner / outer))
    outset = (inner + outer) / (1 + rim) - shape.thickness  # the middle of the rim stays where it is
    outline = shape.primitive.outline(shape.columns, outset)
    if outline.matrix is None:
        x, y, across = (outline.lengths[name] for name in ("cx", "cy", "r"))
        shear, down = 0.0, across
    else:
        across, shear, _, down, x, y = outline.matrix
    peak = min(1.0, 0.5 + shape.thickness / (2 * shape.softness))
    across, shear, down, x, y = (share * value for value in (across, shear, down, x, y))
    colour = hex_of([*shape.colour, shape.opacity * peak])
    return Spot(round(across), round(shear), round(down), round(x), round(y), rim, colour)
