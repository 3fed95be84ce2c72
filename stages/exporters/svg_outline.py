"""Outlines of shapes as paths in the unit of a sheet, for pen plotters, cutters and engravers."""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from artpipe.renderers import Scene
from artpipe.renderers.primitives.base import Outline
from artpipe.renderers.primitives.falloff import FALLOFFS

from .curves import arc_between
from .svg_shapes import hard_outline, number, shapes, shown_rows

Array = np.ndarray[Any, Any]

# An outline that is cut off at the frame is a polyline, at most this far (mm, in or pixels) from the curve.
_TOLERANCE = 0.02


@dataclass(frozen=True)
class Frame:
    """Where the canvas lies on a drawing; outlines are cut off at its sides. All lengths in the drawing's unit.

    Attributes:
        scale: length of a canvas pixel.
        left: left side of the canvas.
        top: top of the canvas.
        width: of the canvas.
        height: of the canvas.
        places: decimal places of coordinates.
    """

    scale: float
    left: float
    top: float
    width: float
    height: float
    places: int

    def of(self, x: float, y: float) -> complex:
        """Return a point of the canvas on the drawing."""
        return complex(self.left + self.scale * x, self.top + self.scale * y)


def outline_paths(scene: Scene, frame: Frame) -> list[str]:
    """Return the outlines of all visible shapes as SVG path data, in an order in which the pen travels little.

    Each is that of the hard shape nearest to the soft one. Hidden parts are drawn too.
    """
    falloff = FALLOFFS[scene.canvas.edge]
    found: list[tuple[complex, complex, str]] = []
    for shape in shapes(shown_rows(scene)):
        outset, _ = hard_outline(shape, falloff)
        found += _cut(shape.primitive.outline(shape.columns, outset), frame)
    order = _short_way(np.array([start for start, _, _ in found]), np.array([end for _, end, _ in found]))
    return [found[k][2] for k in order]


def _short_way(starts: Array, ends: Array) -> list[int]:
    """Return an order of paths: after each the one that starts nearest to its end, from the upper left on."""
    order: list[int] = []
    left, here = np.arange(len(starts)), 0j
    while len(left):
        k = int(np.argmin(np.abs(starts[left] - here)))
        order.append(int(left[k]))
        here, left = ends[left[k]], np.delete(left, k)
    return order


def _cut(outline: Outline, frame: Frame) -> Iterator[tuple[complex, complex, str]]:
    """Yield start, end and path data of an outline: exact curves, or the polylines within the frame."""
    points = _corners(outline, frame)
    low, high = complex(frame.left, frame.top), complex(frame.left + frame.width, frame.top + frame.height)
    inside = (points.real >= low.real) & (points.real <= high.real)
    inside &= (points.imag >= low.imag) & (points.imag <= high.imag)
    if inside.all():
        start, data = _exact(outline, frame)
        yield start, start, data
        return
    for run in _runs(points, low, high):
        line = " ".join(_point(point, frame) for point in run[1:])
        yield run[0], run[-1], f"M{_point(run[0], frame)}L{line}"


def _exact(outline: Outline, frame: Frame) -> tuple[complex, str]:
    """Return start and path data of a whole outline, with elliptical arcs."""
    if outline.tag == "circle":
        across, down = _axes(outline, frame)
        middle = _middle(outline, frame)
        turn = number(math.degrees(cmath.phase(across)), 2)
        arc = f"A{number(abs(across), frame.places)} {number(abs(down), frame.places)} {turn} 1 1 "
        ends = [_point(middle + across, frame), _point(middle - across, frame)]
        return middle + across, f"M{ends[0]}{arc}{ends[1]}{arc}{ends[0]}z"
    points, radius = _knots(outline, frame)
    # SVG enlarges a radius that is too small for the end points, which gives a half circle; one too large gives less.
    arc = f"A{' '.join([number(max(radius - 0.5 * 10**-frame.places, 0.0), frame.places)] * 2)} 0 0 1 "
    data = "".join(
        (arc if radius and k % 2 else "L" if k else "M") + _point(point, frame) for k, point in enumerate(points)
    )
    return points[0], data + "z"


def _knots(outline: Outline, frame: Frame) -> tuple[list[complex], float]:
    """Return the points between the sides of an outline; every second side is an arc if the radius is not 0."""
    if not outline.stroke:
        return [frame.of(*point) for point in outline.points], outline.arc * frame.scale
    start, end = (frame.of(outline.lengths[f"x{k}"], outline.lengths[f"y{k}"]) for k in (1, 2))
    radius = outline.stroke * frame.scale / 2
    aside = 1j * (end - start) / abs(end - start) * radius if end != start else 1j * radius
    return [start + aside, start - aside, end - aside, end + aside], radius


def _axes(outline: Outline, frame: Frame) -> tuple[complex, complex]:
    """Return the semi-axes of a circle or ellipse as vectors, the longer one first."""
    a, b, c, d = (outline.matrix or (1.0, 0.0, 0.0, 1.0))[:4]
    vectors, lengths, _ = np.linalg.svd(np.array([[a, c], [b, d]]) * outline.lengths["r"] * frame.scale)
    return tuple(complex(*vectors[:, k]) * float(lengths[k]) for k in (0, 1))  # type: ignore[return-value]


def _middle(outline: Outline, frame: Frame) -> complex:
    return frame.of(*(outline.matrix[4:] if outline.matrix else (outline.lengths["cx"], outline.lengths["cy"])))


def _corners(outline: Outline, frame: Frame) -> Array:
    """Return the corners of a closed polygon along an outline, (K,) complex; at most `_TOLERANCE` from the curve."""
    if outline.tag == "circle":
        across, down = _axes(outline, frame)
        angles = np.linspace(0, 2 * np.pi, 4 * _parts(abs(across)), endpoint=False)
        return _middle(outline, frame) + across * np.cos(angles) + down * np.sin(angles)
    points, radius = _knots(outline, frame)
    found: list[complex] = []
    for k, point in enumerate(points):
        if radius and k % 2:
            found += _arc_corners(found[-1], point, radius)
        else:
            found.append(point)
    return np.array(found)


def _arc_corners(start: complex, end: complex, radius: float) -> list[complex]:
    """Return points on a clockwise arc of at most half a circle, without its start."""
    middle, angle = arc_between(start, end, radius)
    count = 2 * _parts(radius)
    return [middle + (start - middle) * cmath.rect(1, angle * (k + 1) / count) for k in range(count)]


def _parts(radius: float) -> int:
    """Return into how many chords a quarter of a circle is divided."""
    return max(2, math.ceil(math.pi / 4 / math.acos(max(1 - _TOLERANCE / max(radius, _TOLERANCE), 0.0))))


def _runs(points: Array, low: complex, high: complex) -> list[list[complex]]:
    """Return the parts of a closed polygon's outline within a box, as polylines of two or more points."""
    runs: list[list[complex]] = []
    for start, end in zip(points.tolist(), np.roll(points, -1).tolist(), strict=True):
        part = _clipped(start, end, low, high)
        if part is None:
            continue
        if runs and runs[-1][-1] == part[0]:
            runs[-1].append(part[1])
        else:
            runs.append(list(part))
    if len(runs) > 1 and runs[-1][-1] == runs[0][0]:
        runs[0] = runs.pop() + runs[0][1:]
    return runs


def _clipped(start: complex, end: complex, low: complex, high: complex) -> tuple[complex, complex] | None:
    """Return the part of a line within a box (Liang and Barsky, 1984); None if there is none."""
    first, last = 0.0, 1.0
    step = end - start
    for moved, before, after in (
        (step.real, low.real - start.real, high.real - start.real),
        (step.imag, low.imag - start.imag, high.imag - start.imag),
    ):
        if moved == 0:
            if before > 0 or after < 0:
                return None
            continue
        near, far = sorted((before / moved, after / moved))
        first, last = max(first, near), min(last, far)
    if first >= last:
        return None
    return (start if first == 0 else start + first * step), (end if last == 1 else start + last * step)


def _point(point: complex, frame: Frame) -> str:
    return f"{number(point.real, frame.places)} {number(point.imag, frame.places)}"
