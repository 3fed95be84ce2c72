"""A p5.js sketch: a list of shapes and the code that paints them, to be changed by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

from artpipe.renderers import InputError
from artpipe.renderers.primitives.ellipse import axes
from artpipe.renderers.primitives.falloff import FALLOFFS, LINEAR

from ..formats.files import write_text
from ..result import Result
from .options import ExportOptions
from .svg import counted
from .svg_shapes import hex_of, shapes, shown_rows

_HEAD = """\
// {title}: {counted}, painted one over the other. By artpipe.
// To run it, paste it into https://editor.p5js.org. The shapes are at the end.

const WIDTH = {width}, HEIGHT = {height};  // of the picture, the unit of all shapes
const SCALE = {scale};  // of the canvas
const BACKGROUND = {background};
"""
# The sketch divides by radii.
_RADIUS_LEAST = 0.01
_LIST = """
// The first is painted first. Each is its kind, colour, opacity and softness, followed by
{columns}
const SHAPES = [
{rows}
];
"""


def _circle(shape: Sequence[float]) -> Sequence[float]:
    return *shape[:2], max(shape[2], _RADIUS_LEAST)


def _ellipse(shape: Sequence[float]) -> Sequence[float]:
    across, down, angle = (float(value) for value in axes([np.asarray(value) for value in shape]))
    return *shape[:2], max(across, _RADIUS_LEAST), max(down, _RADIUS_LEAST), math.degrees(angle)


def _stroke(shape: Sequence[float]) -> Sequence[float]:
    return shape


def _triangle(shape: Sequence[float]) -> Sequence[float]:
    """Return the corners clockwise as they are seen."""
    x0, y0, x1, y1, x2, y2 = shape
    return shape if (x1 - x0) * (y2 - y0) >= (x2 - x0) * (y1 - y0) else (x0, y0, x2, y2, x1, y1)


COLUMNS: dict[str, tuple[str, Callable[[Sequence[float]], Sequence[float]]]] = {
    "circle": ("x, y, radius", _circle),
    "ellipse": ("x, y, both radii, degrees", _ellipse),
    "stroke": ("x and y of both ends, thickness", _stroke),
    "triangle": ("x and y of the corners, clockwise", _triangle),
}
"""Name of a primitive to the numbers of it that a sketch lists, and the function that gives them."""


def export_sketch(result: Result, path: Path, options: ExportOptions) -> None:
    """Write the sketch; its canvas is `options.width` wide.

    Raises:
        InputError: the falloff is not linear, or the sketch cannot draw a kind of shape.
    """
    write_text(path, sketch_text(result, options))


def sketch_text(result: Result, options: ExportOptions) -> str:
    """Return the sketch; see `export_sketch`."""
    scene = result.scene
    canvas = scene.canvas
    if FALLOFFS[canvas.edge] is not LINEAR:
        raise InputError(f"a sketch draws the linear falloff; the scene has {canvas.edge}. Try .svg or .html")
    for primitive in scene.primitives:
        if primitive.name not in COLUMNS:
            raise InputError(f"a sketch draws {', '.join(COLUMNS)}; the scene has {primitive.name}. Try .svg or .html")
    head = _HEAD.format(
        title=" ".join(options.title_of(result).splitlines()),
        counted=counted(scene),
        width=canvas.width,
        height=canvas.height,
        scale=_text((options.width or canvas.width) / canvas.width, 4),
        background="null" if canvas.transparent else f"'{hex_of(canvas.background)}'",
    )
    columns = "\n".join(f"// {primitive.name}: {COLUMNS[primitive.name][0]}" for primitive in scene.primitives)
    rows = "\n".join(
        f"  ['{shape.primitive.name}', '{hex_of(shape.colour)}', {_texts([shape.opacity, shape.softness], 3)}, "
        f"{_texts(COLUMNS[shape.primitive.name][1](shape.columns), 2)}],"
        for shape in shapes(shown_rows(scene))
    )
    code = (files(__package__) / "sketch.js").read_text(encoding="utf-8")
    return head + code + _LIST.format(columns=columns, rows=rows)


def _texts(values: Sequence[float], places: int) -> str:
    return ", ".join(_text(value, places) for value in values)


def _text(value: float, places: int) -> str:
    """Return a decimal of at most this many places."""
    text = f"{value:.{places}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
