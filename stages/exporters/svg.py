"""SVG: a browser draws what was optimised.

Colour and opacity are attributes of every element and gradient stop, not style rules: readers without CSS would draw
the shapes black and opaque. A shape's opacity is on the element, not in the stops: several rasterisers draw that more
exactly.
"""

from __future__ import annotations

import gzip
import itertools
import string
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from artpipe.renderers import InputError, Scene
from artpipe.renderers.primitives.falloff import FALLOFFS

from ..formats.files import whole_file
from ..result import Result
from .growth import even_batches
from .layers import Layer, colour_layers
from .options import ExportOptions
from .paper import MM_PER_INCH, UNITS, sheet_for
from .svg_outline import Frame, outline_paths
from .svg_shapes import hard_element, hex_of, number, shapes, shown_rows, soft_elements

Array = np.ndarray[Any, Any]

# An animated file grows by this many groups, or by more if one would hold more than `BATCH_SHARE` of the shapes; each
# fades in for `FADE_SECONDS`. Browsers may keep a layer of the file's size for each group.
BATCHES = 64
BATCH_SHARE = 0.03
FADE_SECONDS = 0.4
# Widths of outlines, in the drawing's unit.
_HAIRLINES = {"px": 0.25, "mm": 0.1, "in": 0.004}


def export_svg(result: Result, path: Path, options: ExportOptions) -> None:
    """Write the scene as SVG: soft, flat, in layers or animated; gzipped if the path ends in .svgz."""
    text = svg_text(result, options)
    with whole_file(path) as file:
        data = text.encode()
        file.write(gzip.compress(data, 9, mtime=0) if path.suffix.lower() == ".svgz" else data)


def svg_text(result: Result, options: ExportOptions) -> str:
    """Return the SVG file as text.

    Args:
        result: the scene and its title.
        options: width, title, flat, layers; animated with seconds, hold, loop; outline with units, paper, dpi.

    Raises:
        InputError: outlines with a sheet that is too large, or with a paper but no physical unit.
    """
    import svgwrite

    scene = result.scene
    canvas = scene.canvas
    if options.outline:
        return _outline_text(result, options)
    width = options.width or canvas.width
    height = max(1, round(canvas.height * width / canvas.width))
    # Rounding to whole pixels changes the aspect ratio a little; the view box follows it, as in `Scene.scaled`.
    shown = number(height * canvas.width / width, 4)
    drawing = svgwrite.Drawing(size=(width, height), debug=False, profile="full")
    drawing.viewbox(0, 0, canvas.width, shown)
    drawing.set_desc(options.title_of(result), f"{counted(scene)}, painted one over the other. artpipe")
    styles: list[str] = []
    if not canvas.transparent:
        drawing.add(drawing.rect(size=(canvas.width, shown), fill=hex_of(canvas.background)))
    if options.layers is not None:
        groups = _layer_groups(drawing, colour_layers(shown_rows(scene), options.layers))
    elif options.animated:
        groups = _growing_groups(drawing, scene, options, styles)
    else:
        groups = [(drawing, scene)]
    names = _names(_tag(*(part.rows.tobytes() for _, part in groups)))
    for group, part in groups:
        _paint(drawing, group, part, names, options.flat)
    if styles:
        drawing.defs.elements.insert(0, drawing.style("".join(styles)))
    return _written(drawing)


def _written(drawing: Any) -> str:
    """What `drawing.write` writes, in half the time: it encodes each piece of text on its own."""
    text = ElementTree.tostring(drawing.get_xml(), encoding="unicode")
    text = text.encode(errors="xmlcharrefreplace").decode().replace(" />", "/>")
    return f'<?xml version="1.0" encoding="utf-8" ?>\n{text}\n'


def _outline_text(result: Result, options: ExportOptions) -> str:
    """Return a drawing of outlines in `options.units`; a layer for each pen if there are layers."""
    import svgwrite

    scene, unit = result.scene, options.units
    canvas = scene.canvas
    width = options.width or canvas.width
    if unit == "px" and options.paper is not None:
        raise InputError("outlines on paper need a physical unit; try --units mm")
    # Without a physical size a pixel is a length of 1.
    sheet = sheet_for(canvas, width, MM_PER_INCH if unit == "px" else options.dpi, options.paper)
    scale, left, top, across, down = (
        length / UNITS.get(unit, 1.0) for length in (sheet.scale, sheet.left, sheet.top, sheet.width, sheet.height)
    )
    places = 3 if unit == "in" else 2
    frame = Frame(scale, left, top, scale * canvas.width, scale * canvas.height, places)
    size = [number(length, places + 1) for length in (across, down)]
    drawing = svgwrite.Drawing(size=[length + unit for length in size], debug=False, profile="full")
    drawing.viewbox(0, 0, *size)
    drawing.set_desc(options.title_of(result), f"outlines of {counted(scene)}, {unit}. artpipe")
    layers = [Layer((0.0, 0.0, 0.0), scene)]
    if options.layers is not None:
        layers = colour_layers(shown_rows(scene), options.layers)
    for (group, part), layer in zip(_layer_groups(drawing, layers), layers, strict=True):
        group.attribs |= {"fill": "none", "stroke": hex_of(layer.colour), "stroke-width": number(_HAIRLINES[unit], 4)}
        for data in outline_paths(part, frame):
            group.add(drawing.path(data))
    return _written(drawing)


def _paint(drawing: Any, group: Any, scene: Scene, names: Iterator[str], flat: bool) -> None:
    """Add the elements and gradients of each visible row."""
    falloff = FALLOFFS[scene.canvas.edge]
    gradients: list[Any]
    for shape in shapes(shown_rows(scene)):
        if flat:
            gradients, elements = [], [hard_element(drawing, shape, falloff)]
        else:
            gradients, elements = soft_elements(drawing, shape, falloff, names)
        for gradient in gradients:
            drawing.defs.add(gradient)
        for element in elements:
            group.add(element)
            if "stroke" in element.attribs:
                drawing["stroke-linecap"] = "round"


def counted(scene: Scene) -> str:
    """Return the number of shapes by kind: "1 circle", "300 shapes: 200 ellipses, 100 strokes"."""
    counts = [(int((scene.kinds == primitive.code).sum()), primitive.name) for primitive in scene.primitives]
    words = [f"{count} {name}{'s' * (count != 1)}" for count, name in counts]
    return words[0] if len(words) == 1 else f"{scene.count} shapes" + ": " * bool(words) + ", ".join(words)


def _layer_groups(drawing: Any, layers: list[Layer]) -> list[tuple[Any, Scene]]:
    """Return a group for each layer, which Inkscape and vpype also read as layers."""
    drawing.attribs["xmlns:inkscape"] = "http://www.inkscape.org/namespaces/inkscape"
    groups = []
    for k, layer in enumerate(layers, 1):
        group = drawing.g(id=f"layer-{k}")
        group.attribs["inkscape:groupmode"] = "layer"
        group.attribs["inkscape:label"] = f"{k} {hex_of(layer.colour)} ({counted(layer.scene)})"
        groups.append((drawing.add(group), layer.scene))
    return groups


def _growing_groups(drawing: Any, scene: Scene, options: ExportOptions, styles: list[str]) -> list[tuple[Any, Scene]]:
    """Return a group for each batch, and append the rules that fade them in one after the other to `styles`.

    Batches are runs of rows in painting order. Readers without CSS, and users who prefer reduced motion, see the
    finished picture.
    """
    ends = even_batches(scene, BATCHES, BATCH_SHARE)
    total = options.seconds + options.hold
    repeat = "infinite" if options.loop == 0 else str(options.loop)
    # SVGs within one HTML page share class names and keyframes, so these differ between files.
    tag = _tag(scene.rows.tobytes(), f"{total:g} {options.seconds:g} {repeat}".encode())
    rules = [f".{tag}{{animation:{number(total, 2)}s linear {repeat} both}}"]
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


def _tag(*content: bytes) -> str:
    """Return six letters derived from the content."""
    rest = zlib.crc32(b"".join(content))
    tag = ""
    for _ in range(6):
        rest, letter = divmod(rest, 52)
        tag += string.ascii_letters[letter]
    return tag


def _names(tag: str) -> Iterator[str]:
    """Yield the tag's first letter followed by 0, 1, …, Z, 00, 01, ….

    SVGs within one HTML page share ids; the letter makes most files differ. A second letter would cost 8 KB in a file
    of 2048 circles.
    """
    digits = string.digits + string.ascii_letters
    for length in itertools.count(1):
        for name in itertools.product(digits, repeat=length):
            yield tag[0] + "".join(name)
