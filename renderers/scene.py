"""The scene: rows of primitives in painting order on a canvas. Stages pass on nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from .canvas import Canvas
from .checks import choice, instance, real_array, real_number, shown, whole_number
from .errors import InputError
from .primitives import ellipse
from .primitives.base import BLUE, FARTHEST, OPACITY, PAINT, RED, SHAPE, SOFTNESS, SOFTNESS_MIN, Primitive
from .primitives.circle import CIRCLE
from .primitives.ellipse import ELLIPSE
from .primitives.falloff import FALLOFFS
from .primitives.stroke import STROKE
from .primitives.table import BY_CODE, PRIMITIVES
from .primitives.triangle import TRIANGLE
from .row_layout import check_rows, columns_of, present, stacked_rows, width_of

Array = np.ndarray[Any, Any]
Values = Sequence[float] | Array

# ids are int64.
ID_MAX = 2**63 - 1


@dataclass(frozen=True, eq=False)
class Scene:
    """N primitives in painting order (row 0 first, farthest back) on a canvas. Immutable.

    A row is paint (red, green, blue, opacity, softness) followed by the columns of its shape. `kinds[i]` says which
    primitive row i is; `rows` is as wide as the widest primitive present, and holds 0 where a row has no column.

    Attributes:
        rows: (N, P) float32; lengths in pixels, colours and opacity in 0..1. Read-only.
        canvas: size, background and falloff.
        ids: (N,) int64, unique; a row keeps its id for life, wherever it moves in the list. Read-only.
        kinds: (N,) uint8, codes of primitives. May be given as the name of one; circles if not given. Read-only.
        next_id: the id that the next new row gets; never an id that was used before.

    Raises:
        InputError: a shape, a kind or an id is wrong, or a value is not finite or out of range; the
            message names the first such row.
    """

    rows: Array
    canvas: Canvas
    ids: Array = None  # type: ignore[assignment]
    kinds: Array = None  # type: ignore[assignment]
    next_id: int = -1

    def __post_init__(self) -> None:
        instance("canvas", self.canvas, Canvas)
        rows = _float32("rows", self.rows, "numbers, (N, P)")
        if rows.size == 0:
            rows = rows.reshape(0, rows.shape[1] if rows.ndim == 2 else 0)
        if rows.ndim != 2:
            raise InputError(f"rows have shape {rows.shape}; needs (N, P)")
        count = len(rows)
        kinds = _kinds_of(self.kinds, count)
        rows = _as_wide_as_needed(rows, kinds)
        ids = np.arange(count) if self.ids is None else _whole_numbers("ids", self.ids, count)
        ordered = np.sort(ids)
        if (ordered[1:] == ordered[:-1]).any() or (count and ordered[0] < 0):
            raise InputError("ids repeat or are negative; every row needs an id of its own")
        past_last = int(ordered[-1]) + 1 if count else 0
        if past_last > ID_MAX:
            raise InputError(f"ids reach {past_last - 1}; needs less than {ID_MAX}")
        given = whole_number("next_id", self.next_id, -1, ID_MAX)
        next_id = past_last if given < 0 else given
        if next_id < past_last:
            raise InputError(f"next_id is {next_id}; needs at least {past_last}, past every id in use")
        check_rows(rows, kinds)
        for primitive in present(kinds):
            if self.canvas.edge not in primitive.falloffs:
                needs = ", ".join(primitive.falloffs)
                raise InputError(f"a {primitive.name} on a canvas with edge={self.canvas.edge!r}; needs {needs}")
        object.__setattr__(self, "rows", _immutable(rows))
        object.__setattr__(self, "ids", _immutable(ids.astype(np.int64)))
        object.__setattr__(self, "kinds", _immutable(kinds.astype(np.uint8)))
        object.__setattr__(self, "next_id", next_id)

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies and unpickled scenes are checked and immutable like any other.
        return type(self), (self.rows, self.canvas, self.ids, self.kinds, self.next_id)

    @classmethod
    def circles(
        cls,
        canvas: Canvas,
        *,
        x: Values,
        y: Values,
        radius: Values | float,
        colour: Sequence[Sequence[float]] | Array,
        opacity: Values | float = 1.0,
        softness: Values | float = 0.5,
    ) -> Self:
        """A scene of circles from their columns, in painting order.

        Args:
            canvas: what they are painted on.
            x: (N,) centres, pixels.
            y: (N,) centres, pixels; like all that follow, or one value for all circles.
            radius: (N,) pixels.
            colour: (N, 3) sRGB in 0..1.
            opacity: (N,) 0..1.
            softness: (N,) pixels for the linear falloff, px² for the logistic one.

        Raises:
            InputError: a column has another shape, or a value is out of range.

        Example:
            >>> Scene.circles(Canvas(8, 8), x=[4], y=[4], radius=[3], colour=[[1, 0, 0]]).count
            1
        """
        return cls.of(CIRCLE, canvas, {"x": x, "y": y, "radius": radius}, colour, opacity, softness)

    @classmethod
    def ellipses(
        cls,
        canvas: Canvas,
        *,
        x: Values,
        y: Values,
        radius_x: Values | float,
        radius_y: Values | float,
        angle: Values | float = 0.0,
        colour: Sequence[Sequence[float]] | Array,
        opacity: Values | float = 1.0,
        softness: Values | float = 0.5,
    ) -> Self:
        """A scene of ellipses from their semi-axes, in painting order; see `circles` for what is not named here.

        Args:
            canvas: what they are painted on.
            x: (N,) centres, pixels.
            y: (N,) centres, pixels.
            radius_x: (N,) semi-axis that points right where the angle is 0, pixels, above 0.
            radius_y: (N,) semi-axis that points down there, pixels, above 0.
            angle: (N,) degrees by which they are turned clockwise as they are seen, as in SVG.
            colour: (N, 3).
            opacity: (N,).
            softness: (N,) pixels along the minor axis.

        Raises:
            InputError: a column has another shape, or a value is out of range.
        """
        first = _column("x", x)
        shape = (_count_of("x", first, ELLIPSE),)
        radii = [_column(name, radius) for name, radius in (("radius_x", radius_x), ("radius_y", radius_y))]
        for name, radius in zip(("radius_x", "radius_y"), radii, strict=True):
            if not np.all(radius > 0):
                raise InputError(f"{name} has values that are not above 0; needs lengths in pixels")
        wide = [_for_each(name, v, shape) for name, v in zip(("radius_x", "radius_y"), radii, strict=True)]
        turn = np.radians(_for_each("angle", _column("angle", angle), shape), dtype=np.float64)
        size, stretch, shear = ellipse.from_axes(wide[0].astype(np.float64), wide[1].astype(np.float64), turn)
        columns = {"x": first, "y": y, "size": size, "stretch": stretch, "shear": shear}
        return cls.of(ELLIPSE, canvas, columns, colour, opacity, softness)

    @classmethod
    def strokes(
        cls,
        canvas: Canvas,
        *,
        x0: Values,
        y0: Values,
        x1: Values,
        y1: Values,
        width: Values | float,
        colour: Sequence[Sequence[float]] | Array,
        opacity: Values | float = 1.0,
        softness: Values | float = 0.5,
    ) -> Self:
        """A scene of straight strokes with round ends, in painting order; see `circles` for what is not named here.

        Args:
            canvas: what they are painted on.
            x0: (N,) where they begin, pixels.
            y0: (N,) where they begin, pixels.
            x1: (N,) where they end, pixels.
            y1: (N,) where they end, pixels.
            width: (N,) pixels.
            colour: (N, 3).
            opacity: (N,).
            softness: (N,) pixels.

        Raises:
            InputError: a column has another shape, or a value is out of range.
        """
        columns = {"x0": x0, "y0": y0, "x1": x1, "y1": y1, "width": width}
        return cls.of(STROKE, canvas, columns, colour, opacity, softness)

    @classmethod
    def triangles(
        cls,
        canvas: Canvas,
        *,
        corners: Sequence[Any] | Array,
        colour: Sequence[Sequence[float]] | Array,
        opacity: Values | float = 1.0,
        softness: Values | float = 0.5,
    ) -> Self:
        """A scene of triangles, in painting order; see `circles` for what is not named here.

        Args:
            canvas: what they are painted on.
            corners: (N, 3, 2) x and y of the three corners, pixels, in either sense of rotation.
            colour: (N, 3).
            opacity: (N,).
            softness: (N,) pixels.

        Raises:
            InputError: a column has another shape, or a value is out of range.
        """
        points = _float32("corners", corners, "numbers, (N, 3, 2)")
        if points.size == 0:
            points = points.reshape(0, 3, 2)
        if points.shape[1:] != (3, 2):
            raise InputError(f"corners have shape {points.shape}; needs (N, 3, 2)")
        flat = points.reshape(len(points), 6)
        columns = {column.name: flat[:, k] for k, column in enumerate(TRIANGLE.columns)}
        return cls.of(TRIANGLE, canvas, columns, colour, opacity, softness)

    @classmethod
    def of(
        cls, primitive: Primitive, canvas: Canvas, shape: Mapping[str, Any], colour: Any, opacity: Any, softness: Any
    ) -> Self:
        """A scene of one primitive, in painting order; see `circles` for what is not named here.

        Args:
            primitive: of all rows.
            canvas: what they are painted on.
            shape: its columns by name; the first of them says how many rows there are.
            colour: (N, 3).
            opacity: (N,).
            softness: (N,).

        Raises:
            InputError: a column has another shape, or a value is out of range.
        """
        values = {name: _column(name, column) for name, column in shape.items()}
        first = next(iter(values))
        count = _count_of(first, values[first], primitive)
        values |= {"opacity": _column("opacity", opacity), "softness": _column("softness", softness)}
        rows = np.zeros((count, primitive.width), np.float32)
        for name, column in values.items():
            rows[:, _position(primitive, name)] = _for_each(name, column, (count,))
        colours = _column("colour", colour)
        if count or colours.size:
            rows[:, RED : BLUE + 1] = _for_each("colour", colours, (count, 3))
        return cls(rows, canvas, kinds=primitive.name)  # type: ignore[arg-type]

    @classmethod
    def empty(cls, canvas: Canvas) -> Self:
        """The bare canvas."""
        return cls(np.zeros((0, CIRCLE.width), np.float32), canvas)

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    @property
    def primitives(self) -> tuple[Primitive, ...]:
        """The primitives present, in order of their codes."""
        return present(self.kinds)

    @property
    def colour(self) -> Array:
        """(N, 3) sRGB in 0..1. Read-only, like all columns."""
        return self.rows[:, RED : BLUE + 1]

    @property
    def opacity(self) -> Array:
        """(N,) 0..1."""
        return self.rows[:, OPACITY]

    @property
    def softness(self) -> Array:
        """(N,) pixels, or px² for the logistic falloff."""
        return self.rows[:, SOFTNESS]

    def column(self, name: str) -> Array:
        """(N,) float32: one column of all rows, such as "opacity" or "radius".

        Raises:
            InputError: not all rows have such a column.
        """
        positions = {_position(primitive, name) for primitive in self.primitives or (CIRCLE,)}
        if len(positions) > 1:  # columns of the same name may lie elsewhere in another primitive
            columns = np.array([_position(BY_CODE[kind], name) for kind in self.kinds.tolist()])
            return self.rows[np.arange(self.count), columns]
        return self.rows[:, positions.pop()]

    def with_columns(self, **columns: Any) -> Self:
        """This scene with other values in some columns.

        Args:
            **columns: (N,) each, or one value for all; `colour` is (N, 3).

        Raises:
            InputError: a row has no such column, or values have the wrong shape or are out of range.
        """
        rows = self.rows.copy()
        for name, values in columns.items():
            if name == "colour":
                rows[:, RED : BLUE + 1] = _for_each(name, _column(name, values), (self.count, 3))
                continue
            held = _for_each(name, _column(name, values), (self.count,))
            for primitive in self.primitives:
                own = self.kinds == primitive.code
                rows[own, _position(primitive, name)] = held[own]
        return self.with_rows(rows)

    def parts(self) -> list[tuple[Primitive, Array, list[Array]]]:
        """For each primitive present: itself, where its rows are, (K,), and the columns of its shape, float64."""
        found = []
        for primitive in self.primitives:
            index = np.flatnonzero(self.kinds == primitive.code)
            shape = self.rows[index, SHAPE : primitive.width].astype(np.float64)
            found.append((primitive, index, list(shape.T)))
        return found

    def bounds(self) -> Array:
        """(N, 4) float64: left, top, right and bottom of where each row paints anything, pixels."""
        bounds = np.zeros((self.count, 4))
        falloff = FALLOFFS[self.canvas.edge]
        for primitive, index, shape in self.parts():
            margin = falloff.margin(self.softness[index].astype(np.float64), primitive.thickness(shape))
            bounds[index] = np.stack(primitive.bounds(shape, margin), axis=1)
        return bounds

    def thickness(self) -> Array:
        """(N,) float64: half the extent of each row across its thinnest direction, pixels; the radius of a circle."""
        return self._each(lambda primitive, shape: primitive.thickness(shape))

    def centres(self) -> Array:
        """(N, 2) float64: x and y of the middle of each row, pixels."""
        x = self._each(lambda primitive, shape: primitive.centre(shape)[0])
        return np.stack([x, self._each(lambda primitive, shape: primitive.centre(shape)[1])], axis=1)

    def _each(self, measure: Callable[[Primitive, list[Array]], Array]) -> Array:
        values = np.zeros(self.count)
        for primitive, index, shape in self.parts():
            values[index] = measure(primitive, shape)
        return values

    def append(self, rows: Array, kinds: str | Array = CIRCLE.name) -> Self:
        """This scene with rows painted on top, under new ids.

        Args:
            rows: (n, P), as wide as their primitives need.
            kinds: the name of their primitive, or (n,) codes.
        """
        rows = _float32("new rows", rows, "numbers, (n, P)")
        if rows.ndim != 2:
            raise InputError(f"new rows have shape {rows.shape}; needs (n, P)")
        codes = _kinds_of(kinds, len(rows))
        rows = _as_wide_as_needed(rows, codes)
        if self.next_id + len(rows) > ID_MAX:
            raise InputError(f"next_id is {self.next_id}; there are no ids left for {len(rows)} new rows")
        fresh = np.arange(self.next_id, self.next_id + len(rows), dtype=np.int64)
        return replace(
            self,
            rows=stacked_rows([self.rows, rows]),
            ids=np.concatenate([self.ids, fresh]),
            kinds=np.concatenate([self.kinds, codes.astype(np.uint8)]),
            next_id=self.next_id + len(rows),
        )

    @classmethod
    def stacked(cls, scenes: Sequence[Scene]) -> Self:
        """Several scenes of one canvas stacked, the first at the bottom; ids are kept.

        Raises:
            InputError: there is no scene, or an id is in two of them.
        """
        if not scenes:
            raise InputError("there are no scenes to stack; needs at least one")
        for scene in scenes:
            instance("scenes", scene, Scene)
        return cls(
            stacked_rows([scene.rows for scene in scenes]),
            scenes[0].canvas,
            ids=np.concatenate([scene.ids for scene in scenes]),
            kinds=np.concatenate([scene.kinds for scene in scenes]),
            next_id=max(scene.next_id for scene in scenes),
        )

    def select(self, index: Array) -> Self:
        """This scene with only some of its rows.

        Args:
            index: a mask, (N,) bool, or positions in their new painting order, (K,) whole numbers.

        Raises:
            InputError: it is neither, or takes a row twice.
        """
        positions: Any
        try:
            positions = np.arange(self.count)[index]
        except Exception:  # arrays of other libraries raise their own errors
            positions = None
        if np.ndim(positions) != 1:
            raise InputError(f"index is {shown(index)}; needs a mask or positions of {self.count} rows")
        return replace(self, rows=self.rows[positions], ids=self.ids[positions], kinds=self.kinds[positions])

    def with_rows(self, rows: Array) -> Self:
        """This scene with other values in its rows: the same count, ids and kinds."""
        return replace(self, rows=rows)

    def with_background(self, background: tuple[float, float, float]) -> Self:
        """This scene on another background colour."""
        return replace(self, canvas=replace(self.canvas, background=background))

    def moved(self, dx: float, dy: float) -> Self:
        """This scene with every row moved by (dx, dy) pixels on the same canvas.

        Raises:
            InputError: `dx` or `dy` is not a number within `FARTHEST`.
        """
        rows = self.rows.copy()
        given = {"x": real_number("dx", dx, -FARTHEST, FARTHEST), "y": real_number("dy", dy, -FARTHEST, FARTHEST)}
        steps = {unit: np.float32(step) for unit, step in given.items()}
        for primitive, index, _ in self.parts():
            for k, column in enumerate(primitive.columns, SHAPE):
                if column.unit in steps:
                    rows[index, k] = np.clip(rows[index, k] + steps[column.unit], column.low, column.high)
        return replace(self, rows=rows)

    def scaled(self, width: int, height: int | None = None) -> Self:
        """The same picture on a canvas `width` pixels wide; every length grows by the same factor.

        Args:
            width: pixels of the new canvas.
            height: pixels; the rounded proportional height if not given.
        """
        canvas = replace(self.canvas, width=width)
        factor = canvas.width / self.canvas.width
        canvas = replace(canvas, height=max(1, round(self.canvas.height * factor)) if height is None else height)
        rows = self.rows.copy()
        # Values that are clipped here are too small or too far away to be seen.
        for primitive, index, _ in self.parts():
            rows[index, SHAPE : primitive.width] = primitive.scaled(rows[index, SHAPE : primitive.width], factor)
        softness = rows[:, SOFTNESS] * np.float32(factor ** FALLOFFS[self.canvas.edge].power)
        rows[:, SOFTNESS] = np.clip(softness, SOFTNESS_MIN, PAINT[SOFTNESS].high)
        return replace(self, rows=rows, canvas=canvas)

    def same_as(self, other: Scene) -> bool:
        """Whether both scenes are equal bit for bit, ids and canvas included."""
        instance("other", other, Scene)
        return (
            self.canvas == other.canvas
            and self.next_id == other.next_id
            and np.array_equal(self.ids, other.ids)
            and np.array_equal(self.kinds, other.kinds)
            and self.rows.tobytes() == other.rows.tobytes()
        )


def _position(primitive: Primitive, name: str) -> int:
    """Index of a column in rows of this primitive."""
    names = [column.name for column in columns_of(primitive)]
    if name not in names:
        raise InputError(f"a {primitive.name} has no column {name!r}; it has {', '.join(names)}")
    return names.index(name)


def _kinds_of(kinds: Any, count: int) -> Array:
    """(count,) codes from the name of one primitive, from codes, or from None for circles."""
    if kinds is None or isinstance(kinds, str):
        name = CIRCLE.name if kinds is None else choice("kinds", kinds, PRIMITIVES)
        return np.full(count, PRIMITIVES[name].code)
    codes = _whole_numbers("kinds", kinds, count)
    if not all(code in BY_CODE for code in np.unique(codes).tolist()):
        known = ", ".join(f"{code} ({primitive.name})" for code, primitive in BY_CODE.items())
        raise InputError(f"kinds has codes {shown(sorted(set(codes.tolist())))}; known are {known}")
    return codes.astype(np.uint8)


def _as_wide_as_needed(rows: Array, kinds: Array) -> Array:
    """Rows exactly as wide as their primitives need, with 0 where a primitive has no column.

    Raises:
        InputError: they are narrower.
    """
    primitives = present(kinds)
    width = width_of(primitives)
    if rows.shape[1] < width and len(rows):
        widest = max(primitives, key=lambda primitive: primitive.width)
        names = ", ".join(column.name for column in columns_of(widest))
        raise InputError(f"rows have shape {rows.shape}; a {widest.name} needs {width} columns: {names}")
    if len(rows) == 0:
        return np.zeros((0, width), np.float32)
    rows = rows[:, :width]
    if len(primitives) > 1:
        rows = rows.copy()
        for primitive in primitives:
            rows[kinds == primitive.code, primitive.width :] = 0
    return rows


def _whole_numbers(name: str, values: Any, count: int) -> Array:
    """One whole number per row."""
    array = real_array(name, values, "whole numbers")
    if array.shape != (count,):
        raise InputError(f"{name} have shape {array.shape}; needs one per row, ({count},)")
    if count and array.dtype.kind not in "iu":
        raise InputError(f"{name} are {array.dtype}; needs whole numbers")
    return array


def _count_of(name: str, values: Array, primitive: Primitive) -> int:
    """Number of shapes in a column.

    Raises:
        InputError: it is not one-dimensional.
    """
    if values.ndim != 1:
        raise InputError(f"{name} has shape {values.shape}; needs one value for each {primitive.name}, (N,)")
    return len(values)


def _column(name: str, value: Any) -> Array:
    return _float32(name, value, "numbers")


def _float32(name: str, value: Any, needs: str) -> Array:
    with np.errstate(over="ignore"):  # gives infinity, which is refused
        return np.array(real_array(name, value, needs), np.float32, order="C")


def _for_each(name: str, values: Array, shape: tuple[int, ...]) -> Array:
    """The values, or the one value, for each row."""
    try:
        if values.shape[values.ndim - len(shape) + 1 :] == shape[1:]:  # a colour has three channels, not one for all
            return np.broadcast_to(values, shape)
    except ValueError:
        pass
    raise InputError(f"{name} has shape {values.shape}; needs one value for each of {shape[0]} rows, {shape}")


def _immutable(array: Array) -> Array:
    """A copy that cannot be made writeable, since its memory belongs to bytes."""
    return np.ndarray(array.shape, array.dtype, buffer=array.tobytes())
