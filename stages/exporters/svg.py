"""SVG: what a browser draws is what was optimised.

A soft circle is a `radialGradient` of two stops, which is the linear edge exactly. Colour and opacity are attributes
of every stop, not style rules: many readers know no CSS, and would draw the circles black and opaque. The circle's
opacity is on the element, not in the stops: several rasterisers draw that more exactly.
"""

from __future__ import annotations

import gzip
import itertools
import math
import string
import zlib
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import svgwrite

from artpipe.renderers import Scene
from artpipe.renderers.primitives.falloff import FALLOFFS, LINEAR, LOGISTIC

from ..formats.files import whole_file
from ..result import Result
from .growth import even_batches
from .layers import Layer, colour_layers
from .options import ExportOptions

Array = np.ndarray[Any, Any]

# By how much rounding of one number may change a pixel, 0..1: with it Chromium draws 2048 circles at 47 dB of our own
# raster instead of 47.3, in 49 instead of 52 KB of gzip.
ROUNDING = 0.015
# A rim steeper than this (softness in pixels) would be eaten by the anti-aliasing of the circle's own outline: so the
# outline of such a circle lies `CLEARANCE` pixels outside its rim, where it is transparent. (At 0.5 Chromium draws
# 2048 circles at 46.7 dB of our raster, at 1 at 49.1, for 0.2 % more bytes.)
STEEP = 1.0
CLEARANCE = 0.7
# Where such a rim may end, as shares of the outline's radius; few of them, since they compress well.
RIM_SHARES = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
# Below this opacity nothing is drawn, in 8 bits.
INVISIBLE = 0.0005
# The logistic edge in straight pieces: (r² - d²) / softness at the stops.
LOGISTIC_STOPS = (7.0, 5.0, 3.5, 2.5, 1.7, 1.0, 0.3, -0.3, -1.0, -1.7, -2.5, -3.5, -5.0, -7.0)
# An animated file grows by this many groups, or by more where one would hold more than `BATCH_SHARE` of the circles;
# each appears within `FADE_SECONDS`. (Browsers may hold a layer of the file's size for each.)
BATCHES = 64
BATCH_SHARE = 0.03
FADE_SECONDS = 0.4


def export_svg(result: Result, path: Path, options: ExportOptions) -> None:
    """Writes the scene as SVG: soft, flat, in layers or animated; gzipped where the path ends in .svgz."""
    text = svg_text(result, options)
    with whole_file(path) as file:
        data = text.encode()
        file.write(gzip.compress(data, 9, mtime=0) if path.suffix.lower() == ".svgz" else data)


def svg_text(result: Result, options: ExportOptions) -> str:
    """The SVG file as text.

    Args:
        result: the scene and its title.
        options: width, title, flat, layers, and animated with seconds, hold, loop.
    """
    scene = result.scene
    canvas = scene.canvas
    width = options.width or canvas.width
    height = max(1, round(canvas.height * width / canvas.width))
    # Whole pixels may change the aspect by a little: what is shown of the canvas follows, as in `Scene.scaled`.
    shown = number(height * canvas.width / width, 4)
    drawing = svgwrite.Drawing(size=(width, height), debug=False, profile="full")
    drawing.viewbox(0, 0, canvas.width, shown)
    drawing.set_desc(options.title_of(result), f"{scene.count} circles, painted one over the other. artpipe")
    paint = _flat_circles if options.flat else _soft_circles
    styles: list[str] = []
    if not canvas.transparent:
        drawing.add(drawing.rect(size=(canvas.width, shown), fill=_hex(canvas.background)))
    if options.layers is not None:
        groups = _layer_groups(drawing, colour_layers(_shown(scene), options.layers))
    elif options.animated:
        groups = _growing_groups(drawing, scene, options, styles)
    else:
        groups = [(drawing, scene)]
    names = _names(_tag(*(part.rows.tobytes() for _, part in groups)))
    for group, part in groups:
        paint(drawing, group, part, names)
    if styles:
        drawing.defs.elements.insert(0, drawing.style("".join(styles)))
    text = StringIO()
    drawing.write(text)
    return text.getvalue().replace(" />", "/>") + "\n"


def _soft_circles(drawing: Any, group: Any, scene: Scene, names: Iterator[str]) -> None:
    """Adds a gradient and a circle for each row that shows."""
    edge = scene.canvas.edge
    for circle in _circles(_shown(scene)):
        radius, softness, opacity = circle.radius, circle.softness, circle.opacity
        if edge == LINEAR.name:
            outline, stops, peak = _linear_stops(radius, softness)
        else:
            outline, stops, peak = _logistic_stops(radius, softness)
        slope = opacity / (2 * softness) if edge == LINEAR.name else opacity * max(radius, softness**0.5) / softness
        places = min(2, decimals(slope))
        name = next(names)
        gradient = drawing.radialGradient(id=name)
        colour = _hex(circle.colour)
        for offset, coverage in stops:
            written = number(coverage, 3)
            gradient.add_stop_color(
                number(offset, min(4, decimals(slope * outline))), colour, None if written == "1" else written
            )
        drawing.defs.add(gradient)
        _add_circle(drawing, group, circle, outline, places, f"url(#{name})", opacity * peak)


def _linear_stops(radius: float, softness: float) -> tuple[float, list[tuple[float, float]], float]:
    """The outline's radius, the stops (offset, coverage), and what all their coverages are to be multiplied by."""
    rim = radius + softness
    share = _rim_share(rim, softness)
    inner = max(radius - softness, 0.0) / rim * share
    return rim / share, [(inner, 1.0), (share, 0.0)], min(1.0, 0.5 + radius / (2 * softness))


def _rim_share(rim: float, softness: float) -> float:
    """Where the rim lies in its outline, as a share of the outline's radius."""
    if softness >= STEEP:
        return 1.0
    return next((share for share in RIM_SHARES if rim / share - rim >= CLEARANCE), RIM_SHARES[-1])


def _logistic_stops(radius: float, softness: float) -> tuple[float, list[tuple[float, float]], float]:
    """As `_linear_stops`, for the logistic edge: straight pieces between some of its points."""
    distances = [math.sqrt(max(radius**2 - z * softness, 0.0)) for z in LOGISTIC_STOPS]
    rim = distances[-1]
    share = _rim_share(rim, rim - radius)
    outline = rim / share
    coverage = LOGISTIC.coverage(np, np.array(distances) - radius, softness, radius)
    coverage[-1] = 0.0
    stops = [(d / outline, float(m)) for d, m in zip(distances, coverage, strict=True)]
    first = max(k for k, d in enumerate(distances) if d == distances[0])  # several may lie at the centre
    return outline, stops[first:], 1.0


def _flat_circles(drawing: Any, group: Any, scene: Scene, names: Iterator[str]) -> None:
    """Adds a hard disc for each row that shows: the one that differs least from the soft circle."""
    del names
    for circle in _circles(_shown(scene)):
        radius, opacity = flat_disc(circle.radius, circle.softness, circle.opacity, scene.canvas.edge)
        _add_circle(drawing, group, circle, radius, 2, _hex(circle.colour), opacity)


def flat_disc(radius: float, softness: float, opacity: float, edge: str) -> tuple[float, float]:
    """Radius and opacity of the hard disc nearest to a soft circle, in the least squares.

    A disc of radius ρ is nearest at the opacity that is the circle's mean over it, and takes away the most of
    the squared difference where (∫ coverage)² / area is largest.
    """
    falloff = FALLOFFS[edge]
    reach = radius + float(falloff.margin(np.array(softness), np.array(radius)))
    rims = np.linspace(reach / 256, reach, 256)
    middle = rims - reach / 512
    coverage = falloff.coverage(np, middle - radius, softness, radius)
    volume = np.cumsum(coverage * 2 * np.pi * middle) * (reach / 256)
    area = np.pi * rims**2
    best = int(np.argmax(volume**2 / area))
    return float(rims[best]), opacity * float(volume[best] / area[best])


def _add_circle(
    drawing: Any, group: Any, circle: _Circle, radius: float, places: int, fill: str, opacity: float
) -> None:
    element = drawing.circle((number(circle.x, places), number(circle.y, places)), number(radius, places), fill=fill)
    written = number(opacity, 2 if opacity >= 0.1 else 3)
    if written != "1":
        element["opacity"] = written
    group.add(element)


def _shown(scene: Scene) -> Scene:
    """The scene with only the rows that change any pixel."""
    left, top, right, bottom = scene.bounds().T
    inside = (right > 0) & (bottom > 0) & (left < scene.canvas.width) & (top < scene.canvas.height)
    return scene.select(inside & (scene.opacity >= INVISIBLE))


class _Circle(NamedTuple):
    """A row, in float64."""

    x: float
    y: float
    radius: float
    softness: float
    opacity: float
    colour: tuple[float, float, float]


def _circles(scene: Scene) -> Iterator[_Circle]:
    columns = [scene.column(name).astype(np.float64).tolist() for name in _Circle._fields[:5]]
    for *numbers, colour in zip(*columns, scene.colour.astype(np.float64).tolist(), strict=True):
        yield _Circle(*numbers, colour)


def _layer_groups(drawing: Any, layers: list[Layer]) -> list[tuple[Any, Scene]]:
    """A group for each layer, which Inkscape and vpype take for layers too."""
    drawing.attribs["xmlns:inkscape"] = "http://www.inkscape.org/namespaces/inkscape"
    groups = []
    for k, layer in enumerate(layers, 1):
        group = drawing.g(id=f"layer-{k}")
        group.attribs["inkscape:groupmode"] = "layer"
        group.attribs["inkscape:label"] = (
            f"{k} {_hex(layer.colour)} ({layer.scene.count} circle{'s' * (layer.scene.count != 1)})"
        )
        groups.append((drawing.add(group), layer.scene))
    return groups


def _growing_groups(drawing: Any, scene: Scene, options: ExportOptions, styles: list[str]) -> list[tuple[Any, Scene]]:
    """A group for each batch, and the rules by which one after the other appears.

    Rows are painted in the order in which they were found, so that the batches are runs of rows. A reader without CSS,
    or that is asked for less motion, shows the finished picture.
    """
    ends = even_batches(scene, BATCHES, BATCH_SHARE)
    total = options.seconds + options.hold
    often = "infinite" if options.loop == 0 else str(options.loop)
    # All SVGs in one HTML page share their class names and keyframes.
    tag = _tag(scene.rows.tobytes(), f"{total:g} {options.seconds:g} {often}".encode())
    rules = [f".{tag}{{animation:{number(total, 2)}s linear {often} both}}"]
    groups = []
    for k, (first, last) in enumerate(itertools.pairwise([0, *ends])):
        start = k / len(ends) * options.seconds
        shown = min(start + min(FADE_SECONDS, options.seconds / 2), total)
        rules.append(
            f"@keyframes {tag}{k}{{0%,{number(100 * start / total, 2)}%{{opacity:0}}"
            f"{number(100 * shown / total, 2)}%,to{{opacity:1}}}}.{tag}{k}{{animation-name:{tag}{k}}}"
        )
        group = drawing.add(drawing.g(class_=f"{tag} {tag}{k}"))
        groups.append((group, scene.select(np.arange(first, last))))
    styles.append(f"@media (prefers-reduced-motion:no-preference){{{''.join(rules)}}}")
    return groups


def number(value: float, places: int) -> str:
    """The shortest decimal of at most so many places: 0.50 is `.5`."""
    text = f"{value:.{places}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if text in ("-0", ""):
        return "0"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def decimals(change: float) -> int:
    """How many places a number needs, if a pixel changes by `change` for each 1 of it."""
    return next((places for places in range(5) if 0.5 * 10**-places * change <= ROUNDING), 5)


def _hex(colour: Any) -> str:
    return "#" + "".join(f"{round(255 * float(value)):02x}" for value in colour)


def _tag(*content: bytes) -> str:
    """Six letters that depend on the content."""
    rest = zlib.crc32(b"".join(content))
    tag = ""
    for _ in range(6):
        rest, letter = divmod(rest, 52)
        tag += string.ascii_letters[letter]
    return tag


def _names(tag: str) -> Iterator[str]:
    """The tag's first letter, followed by 0, 1, …, Z, 00, 01, ….

    All SVGs in one HTML page share their names. So files of different pictures mostly begin theirs with different
    letters; a second letter of the tag would cost 8 KB in a file of 2048 circles.
    """
    digits = string.digits + string.ascii_letters
    for length in itertools.count(1):
        for name in itertools.product(digits, repeat=length):
            yield tag[0] + "".join(name)
