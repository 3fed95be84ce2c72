"""Lottie: the growing painting as vector animation for apps and web pages.

Lottie lists layers and shapes from the front to the back. Only the falloff of radial shapes is exact: players draw
lines where pieces with gradients meet, so that other soft shapes are nested outlines.
"""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from artpipe.renderers import Canvas, Scene
from artpipe.renderers.primitives.base import Outline
from artpipe.renderers.primitives.falloff import FALLOFFS, Falloff

from ..formats.files import write_text
from ..result import Result
from .curves import bezier_path
from .growth import even_batches
from .options import ExportOptions
from .svg import BATCH_SHARE, BATCHES, FADE_SECONDS
from .svg_shapes import HARD, NEARLY, Shape, hex_of, nested_outlines, radial, shapes, shown_rows

# Version of the format: that of the player that introduced all that the file uses.
_VERSION = "5.5.7"
# Nested outlines are finer than in SVG, since animations are mostly shown enlarged.
_STAIR, _CHANGE = 0.4, 0.05


def export_lottie(result: Result, path: Path, options: ExportOptions) -> None:
    """Write the growth in batches of equal visible change, as in an animated SVG; the last frames show the result."""
    write_text(path, json.dumps(lottie_of(result, options), separators=(",", ":"), ensure_ascii=False))


def lottie_of(result: Result, options: ExportOptions) -> dict[str, Any]:
    """Return the animation as a JSON object.

    Args:
        result: the scene and its title.
        options: width, title, fps, seconds, hold.
    """
    scene, canvas = result.scene, options.resized(Scene.empty(result.scene.canvas)).canvas
    enlarged = 100 * canvas.width / scene.canvas.width
    end = (options.seconds + options.hold) * options.fps
    ends = even_batches(scene, BATCHES, BATCH_SHARE)
    layers = []
    for k, (first, last) in enumerate(pairwise([0, *ends])):
        start = k / len(ends) * options.seconds
        shown = min(start + min(FADE_SECONDS, options.seconds / 2), options.seconds + options.hold)
        batch = _batch(scene.select(np.arange(first, last)), start * options.fps, shown * options.fps, enlarged)
        layers.append(_layer(4, f"batch {k + 1}", end, **batch))
    if not canvas.transparent:
        layers.insert(0, _background(canvas, end))
    return {
        "v": _VERSION, "nm": options.title_of(result), "fr": options.fps, "ip": 0, "op": _short(end),
        "w": canvas.width, "h": canvas.height, "ddd": 0, "assets": [],
        "layers": [{"ind": k, **layer} for k, layer in enumerate(reversed(layers), 1)],
    }  # fmt: skip


def _layer(kind: int, name: str, end: float, **entries: Any) -> dict[str, Any]:
    layer = {"ty": kind, "nm": name, "ip": 0, "op": _short(end), "st": 0, "sr": 1, "bm": 0, "ks": _layer_transform()}
    return layer | entries


def _layer_transform(opacity: Any = None, percent: float = 100) -> dict[str, Any]:
    scale = _value([_short(percent), _short(percent)])
    return {"o": opacity or _value(100), "r": _value(0), "p": _value([0, 0]), "a": _value([0, 0]), "s": scale}


def _background(canvas: Canvas, end: float) -> dict[str, Any]:
    return _layer(1, "background", end, sc=hex_of(canvas.background), sw=canvas.width, sh=canvas.height)


def _batch(scene: Scene, start: float, shown: float, percent: float) -> dict[str, Any]:
    """Return what is special to a layer: its first frame, its fading in until `shown`, its size and its shapes."""
    falloff = FALLOFFS[scene.canvas.edge]
    groups = [group for shape in shapes(shown_rows(scene)) for group in _groups(shape, falloff)]
    ease = {"i": {"x": [1], "y": [1]}, "o": {"x": [0], "y": [0]}}
    fade = {"a": 1, "k": [{"t": _short(start), "s": [0], **ease}, {"t": _short(shown), "s": [100]}]}
    return {"ip": _short(start), "ks": _layer_transform(fade, percent), "shapes": groups[::-1]}


def _groups(shape: Shape, falloff: Falloff) -> list[dict[str, Any]]:
    """Return the groups that draw a shape, in painting order."""
    if shape.primitive.is_radial:
        soft = radial(shape, falloff)
        fill = _gradient(shape, soft.stops, soft.opacity)
        return [_group([_unit_circle(), fill], *_placing(soft.outline))]
    colour = _value([*(_short(value) for value in shape.colour), 1])
    found = []
    is_hard = abs(shape.softness - HARD) <= NEARLY  # anti-aliasing is its falloff
    for outline, opacity in nested_outlines(shape, falloff, *(() if is_hard else (_STAIR, _CHANGE))):
        if outline.stroke:
            width = _value(_short(outline.stroke))
            paint = {"ty": "st", "c": colour, "o": _value(_short(100 * opacity)), "w": width, "lc": 2, "lj": 2}
        else:
            paint = {"ty": "fl", "c": colour, "o": _value(_short(100 * opacity)), "r": 1}
        found.append(_group([_path(outline), paint]))
    return found


def _unit_circle() -> dict[str, Any]:
    return {"ty": "el", "p": _value([0, 0]), "s": _value([2, 2])}


def _gradient(shape: Shape, stops: list[tuple[str, str]], opacity: float) -> dict[str, Any]:
    """Return the fill of a unit circle: one colour, with the coverage as its alpha.

    Some players look for alphas only where there is a colour, so that each offset has both.
    """
    known = [(float(offset), float(coverage)) for offset, coverage in stops]
    alphas = dict([(0.0, known[0][1]), *known, (1.0, known[-1][1])])
    colours = [value for offset in alphas for value in (offset, *(_short(part) for part in shape.colour))]
    ramp = {"p": len(alphas), "k": _value([*colours, *(value for stop in alphas.items() for value in stop)])}
    return {
        "ty": "gf", "t": 2, "s": _value([0, 0]), "e": _value([1, 0]), "h": _value(0), "a": _value(0), "r": 1,
        "o": _value(_short(100 * opacity)), "g": ramp,
    }  # fmt: skip


def _placing(outline: Outline) -> tuple[list[float], list[float], float]:
    """Return where the unit circle goes: position, scale in per cent, and turn in degrees."""
    radius = outline.lengths["r"]
    if outline.matrix is None:
        return [outline.lengths["cx"], outline.lengths["cy"]], [100 * radius, 100 * radius], 0.0
    a, b, c, d, x, y = outline.matrix
    vectors, lengths, _ = np.linalg.svd(np.array([[a, c], [b, d]]) * radius)
    turn = math.degrees(math.atan2(vectors[1, 0], vectors[0, 0]))
    return [x, y], [100 * float(length) for length in lengths], turn


def _group(
    items: list[dict[str, Any]],
    position: list[float] | None = None,
    scale: list[float] | None = None,
    turn: float = 0.0,
) -> dict[str, Any]:
    """Return items with a transform that is applied to them together."""
    transform = {
        "ty": "tr", "p": _value([_short(value) for value in position or (0.0, 0.0)]), "a": _value([0, 0]),
        "s": _value([_short(value) for value in scale or (100.0, 100.0)]), "r": _value(_short(turn)), "o": _value(100),
    }  # fmt: skip
    return {"ty": "gr", "it": [*items, transform]}


def _path(outline: Outline) -> dict[str, Any]:
    """Return a line or a closed path; tangents are relative to their vertices."""
    if outline.stroke:
        ends = [complex(outline.lengths[f"x{k}"], outline.lengths[f"y{k}"]) for k in (1, 2)]
        vertices = [(end, end, end) for end in ends]
    else:
        vertices = bezier_path(outline.points, outline.arc)
    curve = {
        "c": not outline.stroke,
        "v": [_pair(vertex) for vertex, _, _ in vertices],
        "i": [_pair(before - vertex) for vertex, before, _ in vertices],
        "o": [_pair(after - vertex) for vertex, _, after in vertices],
    }
    return {"ty": "sh", "ks": _value(curve)}


def _pair(point: complex) -> list[float]:
    return [_short(point.real), _short(point.imag)]


def _value(value: Any) -> dict[str, Any]:
    """Return a property that does not change."""
    return {"a": 0, "k": value}


def _short(value: float) -> float:
    """Return the number with three decimals, whole ones without a point."""
    rounded = round(float(value), 3)
    return int(rounded) if rounded == int(rounded) else rounded
