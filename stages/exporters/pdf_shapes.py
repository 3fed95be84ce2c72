"""One shape as PDF operators.

PDF gradients have no opacity. A soft shape is its colour, filled through a soft mask: a gradient in grey, white where
the shape covers. Masks of radial shapes are drawn in units of the shape's radius, so that shapes of the same relative
softness share one; other shapes have a mask each, of the pieces that SVG draws.
"""

from __future__ import annotations

import cmath
import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from artpipe.renderers.primitives.base import Outline
from artpipe.renderers.primitives.falloff import Falloff

from .curves import bezier_arc
from .pdf_file import PdfFile
from .svg_shapes import Radial, Ramp, Shape, decimals, hard_outline, nested_outlines, number, radial, ramps

# Control points of a quarter of a unit circle as a Bézier curve.
_KAPPA = 0.5523
_CIRCLE = (
    f"1 0 m 1 {_KAPPA} {_KAPPA} 1 0 1 c -{_KAPPA} 1 -1 {_KAPPA} -1 0 c -1 -{_KAPPA} -{_KAPPA} -1 0 -1 c "
    f"{_KAPPA} -1 1 -{_KAPPA} 1 0 c"
)
# Pieces overlap by this much (pixels), so that anti-aliasing leaves no dark line between them, and reach at most
# `_SPIKE` times as far at a sharp corner.
_OVERLAP, _SPIKE = 0.2, 2.0


class PdfShapes:
    """Writes shapes as operators; collects the masks and gradients that they use.

    Args:
        file: receives the masks.
    """

    def __init__(self, file: PdfFile) -> None:
        self._file = file
        self.resources = file.reserve()
        self._states: dict[str, str] = {}
        self._shadings: dict[str, int] = {}
        self._masks: dict[str, int] = {}

    def finish(self) -> None:
        """Put the dictionary `resources` that the page and all masks refer to; after the last shape."""
        states = "".join(f"/{name}<<{entries}>>" for entries, name in self._states.items())
        shadings = "".join(f"/S{k} {k} 0 R" for k in self._shadings.values())
        self._file.put(self.resources, f"<</ExtGState<<{states}>>/Shading<<{shadings}>>>>")

    def soft(self, shape: Shape, falloff: Falloff) -> list[str]:
        """Return the operators of a soft shape, as lines."""
        if shape.primitive.is_radial:
            return [self._radial(radial(shape, falloff), shape)]
        if pieces := ramps(shape, falloff):
            return [self._pieces(pieces, shape)]
        outlines = nested_outlines(shape, falloff)
        return [self._outline(outline, opacity, shape, opacity) for outline, opacity in outlines]

    def hard(self, shape: Shape, falloff: Falloff) -> list[str]:
        """Return the operators of the hard shape nearest to a soft one, as lines."""
        outset, opacity = hard_outline(shape, falloff)
        return [self._outline(shape.primitive.outline(shape.columns, outset), opacity, shape, 1.0)]

    def _outline(self, outline: Outline, opacity: float, shape: Shape, steepness: float) -> str:
        """Return the operators of a hard outline."""
        places = min(2, decimals(steepness))
        state, colour = self._opacity(opacity), _colour(shape)
        if outline.stroke:
            ends = [number(outline.lengths[name], places) for name in ("x1", "y1", "x2", "y2")]
            width = number(outline.stroke, places)
            return f"q {state} {colour} RG {width} w 1 J {ends[0]} {ends[1]} m {ends[2]} {ends[3]} l S Q"
        if outline.tag == "circle":
            return f"q {state} {_frame(outline, places)} {colour} rg {_CIRCLE} f Q"
        return f"q {state} {colour} rg {' '.join(_path(outline, places))} h f Q"

    def _radial(self, soft: Radial, shape: Shape) -> str:
        """Return a unit circle filled through a mask, both transformed to the shape."""
        mask = self._mask("-1 -1 1 1", f"/{self._radial_shading(soft.stops)} sh")
        frame = _frame(soft.outline, min(2, decimals(soft.steepness)))
        return f"q {frame} {mask} {self._opacity(soft.opacity)} {_colour(shape)} rg {_CIRCLE} f Q"

    def _pieces(self, pieces: Sequence[Ramp], shape: Shape) -> str:
        """Return a rectangle filled through a mask of pieces with gradients."""
        places = min(2, decimals(shape.opacity / (2 * shape.softness)))
        lines, corners = [], []
        for ramp in pieces:
            part = _grown(ramp.piece.corners, _OVERLAP)
            corners += part
            region = " ".join(f"{number(x, 2)} {number(y, 2)} {'l' if k else 'm'}" for k, (x, y) in enumerate(part))
            x, y = number(ramp.piece.x, places), number(ramp.piece.y, places)
            lines.append(f"q {region} h W n {self._ramp(ramp, x, y)} sh Q")
        left, top = (math.floor(min(axis)) for axis in zip(*corners, strict=True))
        right, bottom = (math.ceil(max(axis)) for axis in zip(*corners, strict=True))
        mask = self._mask(f"{left} {top} {right} {bottom}", "\n".join(lines))
        box = f"{left} {top} {right - left} {bottom - top} re"
        return f"q {mask} {self._opacity(shape.opacity)} {_colour(shape)} rg {box} f Q"

    def _ramp(self, ramp: Ramp, x: str, y: str) -> str:
        """Return the operators that map a gradient of unit length to a piece, and its name."""
        if ramp.piece.turn is None:
            length = number(ramp.far, 3)
            return f"{length} 0 0 {length} {x} {y} cm /{self._radial_shading(ramp.stops)}"
        along = cmath.rect(1, math.radians(ramp.piece.turn))
        across, down = number(along.real, 5), number(along.imag, 5)
        turned = f"{across} {down} {number(-along.imag, 5)} {across} {x} {y} cm"
        (first, peak), (last, _) = ramp.stops
        lengths = [ramp.near + float(offset) * (ramp.far - ramp.near) for offset in (first, last)]
        if not ramp.piece.mirrored:
            name = self._shading(2, "0 0 1 0", [(0.0, peak), (1.0, "0")], "true false")
            return f"{turned} {number(lengths[1] - lengths[0], 3)} 0 0 1 {number(lengths[0], 3)} 0 cm /{name}"
        share = lengths[0] / lengths[1] / 2
        stops = [(0.0, "0"), (round(0.5 - share, 4), peak), (round(0.5 + share, 4), peak), (1.0, "0")]
        name = self._shading(2, "-1 0 1 0", stops, "false false")
        return f"{turned} {number(lengths[1], 3)} 0 0 1 0 0 cm /{name}"

    def _radial_shading(self, stops: Sequence[tuple[str, str]]) -> str:
        """Return the name of a gradient around (0, 0)."""
        first, last = float(stops[0][0]), float(stops[-1][0])
        shares = [((float(offset) - first) / (last - first), coverage) for offset, coverage in stops]
        return self._shading(3, f"0 0 {stops[0][0]} 0 0 {stops[-1][0]}", shares, "true false")

    def _shading(self, kind: int, places: str, stops: Sequence[tuple[float, str]], extend: str) -> str:
        """Return the name of a gradient in grey; equal ones are one object."""
        body = (
            f"<</ShadingType {kind}/ColorSpace/DeviceGray/Coords[{places}]/Function {_function(stops)}"
            f"/Extend[{extend}]>>"
        )
        if body not in self._shadings:
            self._shadings[body] = self._file.add(body)
        return f"S{self._shadings[body]}"

    def _mask(self, box: str, content: str) -> str:
        """Return the operator that sets a soft mask."""
        key = box + content
        if key not in self._masks:
            entries = f"/Subtype/Form/BBox[{box}]/Group<</S/Transparency/CS/DeviceGray>>/Resources {self.resources} 0 R"
            self._masks[key] = self._file.add_stream(entries, content.encode("ascii"))
        return self._state("M", f"/SMask<</S/Luminosity/G {self._masks[key]} 0 R>>")

    def _opacity(self, opacity: float) -> str:
        """Return the operator that sets the opacity."""
        written = number(opacity, 3)
        return self._state("A", f"/ca {written}/CA {written}")

    def _state(self, letter: str, entries: str) -> str:
        name = self._states.setdefault(entries, f"{letter}{len(self._states)}")
        return f"/{name} gs"


def _colour(shape: Shape) -> str:
    """Return the colour in 8 bits, as in SVG."""
    return " ".join(number(round(255 * value) / 255, 3) for value in shape.colour)


def _function(stops: Sequence[tuple[float, str]]) -> str:
    """Return the function that interpolates between stops, from 0 to 1."""
    parts = [
        f"<</FunctionType 2/Domain[0 1]/C0[{before}]/C1[{after}]/N 1>>"
        for (_, before), (_, after) in itertools.pairwise(stops)
    ]
    if len(parts) == 1:
        return parts[0]
    bounds = " ".join(number(offset, 4) for offset, _ in stops[1:-1])
    encode = " ".join(["0 1"] * len(parts))
    return f"<</FunctionType 3/Domain[0 1]/Functions[{' '.join(parts)}]/Bounds[{bounds}]/Encode[{encode}]>>"


def _frame(outline: Outline, places: int) -> str:
    """Return the operator that maps the unit circle to an outline."""
    radius = outline.lengths["r"]
    matrix = outline.matrix or (1, 0, 0, 1, outline.lengths["cx"], outline.lengths["cy"])
    values = [radius * value for value in matrix[:4]] + list(matrix[4:])
    return " ".join(number(value, places) for value in values) + " cm"


def _path(outline: Outline, places: int) -> Iterator[str]:
    """Yield the operators of a polygon, or of a path whose every second side is an arc."""
    for k, (x, y) in enumerate(outline.points):
        if outline.arc and k % 2:
            for curve in bezier_arc(complex(*outline.points[k - 1]), complex(x, y), outline.arc):
                yield " ".join(number(value, places) for point in curve for value in (point.real, point.imag)) + " c"
        else:
            yield f"{number(x, places)} {number(y, places)} {'l' if k else 'm'}"


def _grown(corners: Sequence[tuple[float, float]], margin: float) -> list[tuple[float, float]]:
    """Return a convex polygon with each side moved outwards by `margin`."""
    points = np.array([complex(*corner) for corner in corners])
    points = points[np.abs(points - np.roll(points, 1)) > 1e-9]
    if len(points) < 3:
        return list(corners)
    sides = np.roll(points, -1) - points
    area = np.sum((points.conjugate() * np.roll(points, -1)).imag)
    outward = -1j * np.sign(area or 1.0) * sides / np.abs(sides)
    before = np.roll(outward, 1)
    corner = (before + outward) / np.maximum(1 + (before.conjugate() * outward).real, 1e-9)
    corner *= np.minimum(1, _SPIKE / np.maximum(np.abs(corner), 1e-9))
    moved = points + margin * corner
    return [(float(point.real), float(point.imag)) for point in moved]
