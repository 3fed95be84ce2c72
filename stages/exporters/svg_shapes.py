"""One shape as SVG elements: soft, exact where SVG allows, or hard.

A shape whose curves of equal coverage are images of circles is one element with a `radialGradient`, exactly the linear
falloff. Other shapes with a rim of about a pixel are one hard element, whose anti-aliasing is the falloff; softer ones
are pieces with gradients, or nested outlines that approximate the falloff by steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from artpipe.renderers import Scene
from artpipe.renderers.primitives.base import Outline, Piece, Primitive
from artpipe.renderers.primitives.falloff import LINEAR, LOGISTIC, Falloff

Array = np.ndarray[Any, Any]

# Largest change of a pixel by rounding one number, 0..1. Chromium then draws 2048 circles at 47 dB of our own raster
# instead of 47.3, in 49 instead of 52 KB of gzip.
ROUNDING = 0.015
# The anti-aliasing of the outline would erode a rim with less softness than this (pixels), so the outline of such a
# shape lies `CLEARANCE` pixels outside its rim, where it is transparent. (With 0.5, Chromium draws 2048 circles at
# 46.7 dB of our raster, with 1 at 49.1 dB for 0.2 % more bytes.)
STEEP = 1.0
CLEARANCE = 0.7
# Allowed ends of such a rim, as shares of the outline's radius; few values compress well.
RIM_SHARES = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
# A lower opacity is invisible in 8 bits.
INVISIBLE = 0.0005
# The logistic falloff as linear segments: (r² - d²) / softness at the stops.
LOGISTIC_STOPS = (7.0, 5.0, 3.5, 2.5, 1.7, 1.0, 0.3, -0.3, -1.0, -1.7, -2.5, -3.5, -5.0, -7.0)
# Anti-aliasing draws a hard edge with this softness (pixels, at the size of the canvas): within `NEARLY` of it, a shape
# without a radial gradient is one hard element.
HARD, NEARLY = 0.5, 0.01
# Pieces reach this many pixels beyond the rim, since their corners are rounded to tenths of a pixel.
SLACK = 0.1
# Distance of nested outlines, and their difference; see `nested_outlines`.
STAIR = 1.0
STAIR_CHANGE = 0.1


class Shape(NamedTuple):
    """A row, in float64."""

    primitive: Primitive
    columns: list[float]
    thickness: float
    colour: tuple[float, float, float]
    opacity: float
    softness: float


def shown_rows(scene: Scene) -> Scene:
    """Return the scene without the rows that change no pixel."""
    left, top, right, bottom = scene.bounds().T
    inside = (right > 0) & (bottom > 0) & (left < scene.canvas.width) & (top < scene.canvas.height)
    return scene.select(inside & (scene.opacity >= INVISIBLE))


def shapes(scene: Scene) -> list[Shape]:
    """Return the rows in painting order."""
    found: list[Any] = [None] * scene.count
    for primitive, index, columns in scene.parts():
        paint = (scene.colour, scene.opacity, scene.softness)
        parts = zip(
            index.tolist(),
            np.stack(columns, axis=1).tolist(),
            primitive.thickness(columns).tolist(),
            *(values[index].astype(np.float64).tolist() for values in paint),
            strict=True,
        )
        for k, *values in parts:
            found[k] = Shape(primitive, *values)
    return found


class Radial(NamedTuple):
    """A soft shape whose curves of equal coverage are images of circles, as a radial gradient.

    Attributes:
        outline: where the gradient ends.
        stops: offset as a share of the outline's radius, and coverage, 0..1, as short decimals; outwards.
        opacity: a factor for all coverages.
        steepness: largest change of a pixel if the outline moves by a pixel.
    """

    outline: Outline
    stops: list[tuple[str, str]]
    opacity: float
    steepness: float


class Ramp(NamedTuple):
    """A piece of a soft shape with the gradient that fills it.

    Attributes:
        piece: the region, and the point or line from which the gradient is measured.
        near: distance from there at which offset 0 lies, pixels.
        far: distance at which offset 1 lies; a mirrored gradient is reflected beyond it.
        stops: offset and coverage, 0..1, as short decimals; increasing offsets.
    """

    piece: Piece
    near: float
    far: float
    stops: list[tuple[str, str]]


def radial(shape: Shape, falloff: Falloff) -> Radial:
    """Return the gradient of a shape with `is_radial`."""
    radius, softness = shape.thickness, shape.softness
    if falloff is LINEAR:
        rim, stops, peak = _linear_stops(radius, softness)
        steepness = shape.opacity / (2 * softness)
    else:
        rim, stops, peak = _logistic_stops(radius, softness)
        steepness = shape.opacity * max(radius, softness**0.5) / softness
    places = min(4, decimals(steepness * rim))
    written = [(number(offset, places), number(coverage, 3)) for offset, coverage in stops]
    return Radial(shape.primitive.outline(shape.columns, rim - radius), written, shape.opacity * peak, steepness)


def ramps(shape: Shape, falloff: Falloff) -> list[Ramp]:
    """Return the pieces of a soft shape; none if it has no pieces or its rim is about a pixel."""
    softness = shape.softness
    if falloff is not LINEAR or abs(softness - HARD) <= NEARLY:
        return []
    found = []
    for piece in shape.primitive.pieces(shape.columns, softness + SLACK):
        # Distances from the point or line at which the rim, and then the gradient, begins and ends.
        inner, outer = -softness - piece.distance, softness - piece.distance
        is_one_sided = piece.turn is not None and not piece.mirrored
        near = inner if is_one_sided else 0.0
        far = 2 * outer if piece.mirrored else outer
        peak = number(min(1.0, (outer - max(near, inner)) / (2 * softness)), 3)
        places = min(4, decimals(shape.opacity / (2 * softness) * (far - near)))
        stops = [
            (number((distance - near) / (far - near), places), coverage)
            for distance, coverage in ((max(near, inner), peak), (outer, "0"))
        ]
        found.append(Ramp(piece, near, far, stops))
    return found


def soft_elements(drawing: Any, shape: Shape, falloff: Falloff, names: Iterator[str]) -> tuple[list[Any], list[Any]]:
    """Return the elements of a soft shape.

    Args:
        drawing: the document, the factory of elements.
        shape: the shape.
        falloff: of its rim.
        names: ids for gradients.

    Returns:
        The gradients, and the elements in painting order.
    """
    if shape.primitive.is_radial:
        name, soft = next(names), radial(shape, falloff)
        gradient = _with_stops(drawing.radialGradient(id=name), shape, soft.stops)
        return [gradient], [_element(drawing, soft.outline, f"url(#{name})", soft.opacity, soft.steepness)]
    if pieces := ramps(shape, falloff):
        return _pieces(drawing, shape, pieces, names)
    outlines = nested_outlines(shape, falloff)
    return [], [_element(drawing, outline, hex_of(shape.colour), opacity, opacity) for outline, opacity in outlines]


def _pieces(drawing: Any, shape: Shape, pieces: Sequence[Ramp], names: Iterator[str]) -> tuple[list[Any], list[Any]]:
    """Return a gradient for each piece of a shape, and a group of the pieces.

    Pieces meet without anti-aliasing, so that each pixel belongs to one of them; at the rim they are transparent.
    """
    steepness = shape.opacity / (2 * shape.softness)
    places = min(2, decimals(steepness))
    gradients = []
    group = drawing.g()
    group["shape-rendering"] = "crispEdges"
    _set_opacity(group, "fill-opacity", shape.opacity)
    for piece, near, far, stops in pieces:
        name = next(names)
        x, y = number(piece.x, places), number(piece.y, places)
        if piece.turn is None:
            gradient = drawing.radialGradient((x, y), number(far, places), id=name)
        else:
            gradient = drawing.linearGradient((number(near, places), 0), (number(far, places), 0), id=name)
            length = max(math.dist(piece.corners[0], corner) for corner in piece.corners)
            turn = number(piece.turn, decimals(steepness * length * math.pi / 180))
            gradient["gradientTransform"] = f"translate({x} {y})rotate({turn})"
            if piece.mirrored:
                gradient["spreadMethod"] = "reflect"
        gradient["gradientUnits"] = "userSpaceOnUse"
        gradients.append(_with_stops(gradient, shape, stops))
        group.add(_filled(drawing, "polygon", {"points": _points(piece.corners, 1)}, f"url(#{name})"))
    return gradients, [group]


def _with_stops(gradient: Any, shape: Shape, stops: Sequence[tuple[str, str]]) -> Any:
    for offset, coverage in stops:
        gradient.add_stop_color(offset, hex_of(shape.colour), None if coverage == "1" else coverage)
    return gradient


def _linear_stops(radius: float, softness: float) -> tuple[float, list[tuple[float, float]], float]:
    """Return the outline's radius, the stops (offset, coverage), and a factor for the coverage of all stops."""
    rim = radius + softness
    share = _rim_share(rim, softness)
    inner = max(radius - softness, 0.0) / rim * share
    return rim / share, [(inner, 1.0), (share, 0.0)], min(1.0, 0.5 + radius / (2 * softness))


def _rim_share(rim: float, softness: float) -> float:
    """Return the radius of the rim as a share of the outline's radius."""
    if softness >= STEEP:
        return 1.0
    return next((share for share in RIM_SHARES if rim / share - rim >= CLEARANCE), RIM_SHARES[-1])


def _logistic_stops(radius: float, softness: float) -> tuple[float, list[tuple[float, float]], float]:
    """As `_linear_stops`, for the logistic falloff, interpolated linearly between `LOGISTIC_STOPS`."""
    distances = [math.sqrt(max(radius**2 - z * softness, 0.0)) for z in LOGISTIC_STOPS]
    rim = distances[-1]
    share = _rim_share(rim, rim - radius)
    outline = rim / share
    coverage = LOGISTIC.coverage(np, np.array(distances) - radius, softness, radius)
    coverage[-1] = 0.0
    stops = [(d / outline, float(m)) for d, m in zip(distances, coverage, strict=True)]
    first = max(k for k, d in enumerate(distances) if d == distances[0])  # several may lie at the centre
    return outline, stops[first:], 1.0


def nested_outlines(
    shape: Shape, falloff: Falloff, stair: float = STAIR, change: float = STAIR_CHANGE
) -> list[tuple[Outline, float]]:
    """Return outlines that approximate the falloff, with their opacities, from the outermost inwards.

    Coverage rises by the same amount at each. Outlines are composited over each other: opacities a_1, a_2, … together
    cover 1 - (1 - a_1)(1 - a_2) ….

    Args:
        shape: the shape.
        falloff: of its rim.
        stair: outlines are this far apart, pixels.
        change: or farther, if they differ by at most this much in a pixel, 0..1.
    """
    margin = float(falloff.margin(np.array(shape.softness), np.array(shape.thickness)))
    distances = np.linspace(margin, -min(shape.thickness, margin), 65)
    coverage = falloff.coverage(np, distances, shape.softness, shape.thickness)
    peak = float(coverage[-1])
    pixels = (distances[0] - distances[-1]) / stair
    count = max(1, math.ceil(min(round(pixels), shape.opacity * peak / change)))
    outsets = np.interp((np.arange(count) + 0.5) / count * peak, coverage, distances)
    reached = shape.opacity * peak * np.arange(count + 1) / count
    opacities = (1 - (1 - reached[1:]) / (1 - reached[:-1])).tolist()
    outlines = [shape.primitive.outline(shape.columns, outset) for outset in outsets.tolist()]
    return list(zip(outlines, opacities, strict=True))


def hard_element(drawing: Any, shape: Shape, falloff: Falloff) -> Any:
    """Return the hard shape nearest to the soft one."""
    outset, opacity = hard_outline(shape, falloff)
    return _element(drawing, shape.primitive.outline(shape.columns, outset), hex_of(shape.colour), opacity, 1.0)


def hard_outline(shape: Shape, falloff: Falloff) -> tuple[float, float]:
    """Return distance from the rim and opacity of the hard shape nearest to a soft one, in the least squares.

    The best opacity is the soft shape's mean over the hard one; the best distance maximises (∫ coverage)² / area.
    """
    margin = float(falloff.margin(np.array(shape.softness), np.array(shape.thickness)))
    reach = shape.thickness + margin
    depths = np.linspace(0.0, reach, 257)  # from the middle outwards
    area = shape.primitive.area([np.asarray(column) for column in shape.columns], depths - shape.thickness)
    middle = (depths[1:] + depths[:-1]) / 2 - shape.thickness
    volume = np.cumsum(falloff.coverage(np, middle, shape.softness, shape.thickness) * np.diff(area))
    best = int(np.argmax(volume**2 / area[1:]))
    return float(depths[best + 1]) - shape.thickness, shape.opacity * float(volume[best] / area[best + 1])


def _element(drawing: Any, outline: Outline, fill: str, opacity: float, steepness: float) -> Any:
    """Return a filled outline.

    Args:
        drawing: the document.
        outline: the curve.
        fill: a colour or a gradient.
        opacity: of the element.
        steepness: largest change of a pixel if the curve moves by a pixel.
    """
    places = min(2, decimals(steepness))
    attributes = {name: number(length, places) for name, length in outline.lengths.items()}
    if outline.tag == "path":
        attributes["d"] = _path(outline, places)
    elif outline.points:
        attributes["points"] = _points(outline.points, places)
    if outline.matrix is not None:
        attributes["transform"] = f"matrix({' '.join(number(value, places) for value in outline.matrix)})"
    if outline.stroke:
        attributes |= {"stroke": fill, "stroke-width": number(outline.stroke, places)}
    element = _filled(drawing, outline.tag, attributes, fill)
    _set_opacity(element, "opacity", opacity)
    return element


def _filled(drawing: Any, tag: str, attributes: dict[str, str], fill: str) -> Any:
    from svgwrite.base import BaseElement

    element = BaseElement(factory=drawing)
    element.elementname = tag
    element.attribs.update(attributes if tag == "line" else attributes | {"fill": fill})
    return element


def _set_opacity(element: Any, name: str, opacity: float) -> None:
    written = number(opacity, 2 if opacity >= 0.1 else 3)
    if written != "1":
        element[name] = written


def _path(outline: Outline, places: int) -> str:
    # SVG enlarges a radius that is too small for the end points, which gives a half circle; one too large gives less.
    radius = number(max(outline.arc - 0.5 * 10**-places, 0.0), places)
    starts, ends = outline.points[::2], outline.points[1::2]
    arcs = [
        f"{_points([start], places)}A{radius} {radius} 0 0 1 {_points([end], places)}"
        for start, end in zip(starts, ends, strict=True)
    ]
    return f"M{'L'.join(arcs)}z"


def _points(points: Sequence[tuple[float, float]], places: int) -> str:
    return " ".join(number(value, places) for point in points for value in point)


def number(value: float, places: int) -> str:
    """Return the shortest decimal of at most this many places: 0.50 is `.5`."""
    text = f"{value:.{places}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if text in ("-0", ""):
        return "0"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def decimals(change: float) -> int:
    """Return the decimal places that a number needs if a pixel changes by `change` for each 1 of it."""
    return next((places for places in range(5) if 0.5 * 10**-places * change <= ROUNDING), 5)


def hex_of(colour: Any) -> str:
    """Return the colour as #rrggbb."""
    return "#" + "".join(f"{round(255 * float(value)):02x}" for value in colour)
