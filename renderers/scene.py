"""The scene: rows of primitives in painting order on a canvas. The only thing that stages hand on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from .checks import choice, instance, real_array, shown, whole_number
from .errors import InputError, NotFinite
from .primitives.base import BLUE, CIRCLE, DRAWN_PRIMITIVES, OPACITY, RADIUS, RED, SHAPE, SOFTNESS, X, Y
from .primitives.falloff import DRAWN_EDGES

Array = np.ndarray[Any, Any]

# Lengths and coordinates beyond this many pixels leave float32 too few digits to place an edge.
FARTHEST = 1e6
# A ramp narrower than this (pixels) has slopes that overflow a float32 gradient.
SOFTNESS_MIN = 1e-3
# The widest canvas that is drawn in one piece, pixels a side.
SIDE_MAX = 65536
# ids are int64.
ID_MAX = 2**63 - 1

# What a row may hold: column, least, most. The slack of a softness is the rounding of its limit to float32.
ROW_LIMITS = (
    (X, -FARTHEST, FARTHEST),
    (Y, -FARTHEST, FARTHEST),
    (RED, 0.0, 1.0),
    (RED + 1, 0.0, 1.0),
    (BLUE, 0.0, 1.0),
    (OPACITY, 0.0, 1.0),
    (SOFTNESS, SOFTNESS_MIN * (1 - 1e-6), FARTHEST),
    (RADIUS, 0.0, FARTHEST),
)


@dataclass(frozen=True)
class Canvas:
    """What rows are painted on, and how their rims fade.

    Attributes:
        width: columns of pixels. Pixel (column i, row j) has its centre at (i + 0.5, j + 0.5), as in SVG.
        height: rows of pixels.
        background: sRGB in 0..1, painted first.
        edge: one of `DRAWN_EDGES`.
        transparent: whether what rows leave bare is transparent. The background is then what shows through where
            nothing transparent can be: in renderers (see `alpha.render_with_alpha`) and in films without alpha.

    Raises:
        InputError: a side is out of range, a colour is not three numbers in 0..1, or the edge is unknown.
    """

    width: int
    height: int
    background: tuple[float, float, float] = (1.0, 1.0, 1.0)
    edge: str = "linear"
    transparent: bool = False

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            side = whole_number(f"canvas {name}", getattr(self, name), 1, SIDE_MAX, " of pixels")
            object.__setattr__(self, name, side)
        needs = "three sRGB values between 0 and 1"
        colour = real_array("background", self.background, needs)
        if colour.shape != (3,) or not np.all((colour >= 0) & (colour <= 1)):
            raise InputError(f"background is {shown(self.background)}; needs {needs}")
        choice("edge", self.edge, DRAWN_EDGES)
        if not isinstance(self.transparent, (bool, np.bool_)):
            raise InputError(f"transparent is {shown(self.transparent)}; needs True or False")
        # Kept at float32, like the rows, so that every renderer starts from the same number.
        object.__setattr__(self, "background", tuple(float(np.float32(c)) for c in colour))
        object.__setattr__(self, "transparent", bool(self.transparent))


@dataclass(frozen=True, eq=False)
class Scene:
    """N primitives in painting order (row 0 first, farthest back) on a canvas. Immutable.

    The layout holds any mix of primitives: `kinds[i]` says what row i is, and its columns are the seven
    that all kinds share (x, y, red, green, blue, opacity, softness) followed by the columns of its shape
    (a circle: radius). `rows` is as wide as the widest kind; unused columns are 0. A rotated ellipse, a
    polygon or a stroke is therefore a new entry in `primitives.PRIMITIVES` with more shape columns, and
    a scene that mixes it with circles needs no other change here.

    Attributes:
        rows: (N, P) float32; lengths in pixels, colours and opacity in 0..1. Read-only.
        canvas: size, background and edge.
        ids: (N,) int64, unique; a row keeps its id for life, wherever it moves in the list. Read-only.
        kinds: (N,) uint8, the codes of `PRIMITIVES`. Read-only.
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
        rows = _float32("rows", self.rows, f"numbers, (N, {SHAPE + 1}) or wider")
        if rows.size == 0:
            rows = rows.reshape(0, rows.shape[1] if rows.ndim == 2 and rows.shape[1] > SHAPE else SHAPE + 1)
        if rows.ndim != 2 or rows.shape[1] <= SHAPE:
            raise InputError(f"rows have shape {rows.shape}; needs (N, {SHAPE + 1}) or wider")
        count = len(rows)
        ids = np.arange(count) if self.ids is None else self._whole_numbers("ids", self.ids, count)
        kinds = np.full(count, CIRCLE.code) if self.kinds is None else self._whole_numbers("kinds", self.kinds, count)
        if len(np.unique(ids)) != count or (count and ids.min() < 0):
            raise InputError("ids repeat or are negative; every row needs an id of its own")
        past_last = int(ids.max()) + 1 if count else 0
        if past_last > ID_MAX:
            raise InputError(f"ids reach {past_last - 1}; needs less than {ID_MAX}")
        given = whole_number("next_id", self.next_id, -1, ID_MAX)
        next_id = past_last if given < 0 else given
        if next_id < past_last:
            raise InputError(f"next_id is {next_id}; needs at least {past_last}, past every id in use")
        check_rows(rows, kinds)
        object.__setattr__(self, "rows", _immutable(rows))
        object.__setattr__(self, "ids", _immutable(ids.astype(np.int64)))
        object.__setattr__(self, "kinds", _immutable(kinds.astype(np.uint8)))
        object.__setattr__(self, "next_id", next_id)

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies and unpickled scenes are checked and immutable like any other.
        return type(self), (self.rows, self.canvas, self.ids, self.kinds, self.next_id)

    @staticmethod
    def _whole_numbers(name: str, values: Any, count: int) -> Array:
        """One whole number a row."""
        array = real_array(name, values, "whole numbers")
        if array.shape != (count,):
            raise InputError(f"{name} have shape {array.shape}; needs one a row, ({count},)")
        if count and array.dtype.kind not in "iu":
            raise InputError(f"{name} are {array.dtype}; needs whole numbers")
        return array

    @classmethod
    def circles(
        cls,
        canvas: Canvas,
        *,
        x: Sequence[float] | Array,
        y: Sequence[float] | Array,
        radius: Sequence[float] | Array,
        colour: Sequence[Sequence[float]] | Array,
        opacity: Sequence[float] | Array | float = 1.0,
        softness: Sequence[float] | Array | float = 0.5,
    ) -> Self:
        """A scene of circles from their columns, in painting order.

        Args:
            canvas: what they are painted on.
            x: (N,) centres, pixels.
            y: (N,) centres, pixels; like all that follow, or one value for all circles.
            radius: (N,) pixels.
            colour: (N, 3) sRGB in 0..1.
            opacity: (N,) 0..1.
            softness: (N,) pixels for the linear edge, px² for the logistic one.

        Raises:
            InputError: a column has another shape, or a value is out of range.

        Example:
            >>> Scene.circles(Canvas(8, 8), x=[4], y=[4], radius=[3], colour=[[1, 0, 0]]).count
            1
        """
        columns = {"x": x, "y": y, "radius": radius, "colour": colour, "opacity": opacity, "softness": softness}
        values = {name: _float32(name, column, "numbers") for name, column in columns.items()}
        if values["x"].ndim != 1:
            raise InputError(f"x has shape {values['x'].shape}; needs one value for each circle, (N,)")
        count = len(values["x"])
        rows = np.zeros((count, SHAPE + 1), np.float32)
        for column, name in ((X, "x"), (Y, "y"), (RADIUS, "radius"), (OPACITY, "opacity"), (SOFTNESS, "softness")):
            rows[:, column] = _for_each(name, values[name], (count,))
        if count or values["colour"].size:
            rows[:, RED : BLUE + 1] = _for_each("colour", values["colour"], (count, 3))
        return cls(rows, canvas)

    @classmethod
    def empty(cls, canvas: Canvas) -> Self:
        """The bare canvas."""
        return cls(np.zeros((0, SHAPE + 1), np.float32), canvas)

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    def append(self, rows: Array) -> Self:
        """This scene with circles painted on top; they get ids that no row ever had."""
        rows = _float32("new rows", rows, f"numbers, (n, {self.rows.shape[1]})")
        if rows.ndim != 2 or rows.shape[1] != self.rows.shape[1]:
            raise InputError(f"new rows have shape {rows.shape}; needs (n, {self.rows.shape[1]})")
        if self.next_id + len(rows) > ID_MAX:
            raise InputError(f"next_id is {self.next_id}; there are no ids left for {len(rows)} new rows")
        fresh = np.arange(self.next_id, self.next_id + len(rows), dtype=np.int64)
        return replace(
            self,
            rows=np.concatenate([self.rows, rows]),
            ids=np.concatenate([self.ids, fresh]),
            kinds=np.concatenate([self.kinds, np.full(len(rows), CIRCLE.code, np.uint8)]),
            next_id=self.next_id + len(rows),
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
        except Exception:  # an array of another library raises its own
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
        rows[:, [X, Y]] *= factor
        rows[:, SHAPE:] *= factor
        rows[:, SOFTNESS] *= factor if self.canvas.edge == "linear" else factor**2  # px, or px²
        # What leaves the limits of a scene by it is too small or too far to be seen.
        rows[:, [X, Y]] = np.clip(rows[:, [X, Y]], -FARTHEST, FARTHEST)
        rows[:, RADIUS] = np.minimum(rows[:, RADIUS], FARTHEST)
        rows[:, SOFTNESS] = np.clip(rows[:, SOFTNESS], SOFTNESS_MIN, FARTHEST)
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


def check_rows(rows: Array, kinds: Array | None = None) -> None:
    """Refuses rows that no renderer can draw.

    Args:
        rows: (N, P) numbers.
        kinds: (N,) codes; all circles if not given.

    Raises:
        InputError: naming the first bad row and column, and what it needs.
    """
    if kinds is not None and not np.isin(kinds, [p.code for p in DRAWN_PRIMITIVES]).all():
        raise InputError(f"kinds has codes {shown(sorted(set(kinds.tolist())))}; known are {_kind_names()}")
    check_finite(rows)
    for column, low, high in ROW_LIMITS:
        values = rows[:, column]
        bad = (values < low) | (values > high)
        if bad.any():
            row = int(np.argmax(bad))
            raise InputError(f"row {row} has {_column_name(column)} {values[row]:.9g}; needs {low:.9g} to {high:.9g}")


def row_limits(width: int) -> tuple[Array, Array]:
    """The least and the most of every column in rows so wide, (P,) float64 each, for `clamped`."""
    low, high = np.full(width, -np.inf), np.full(width, np.inf)
    for column, least, most in ROW_LIMITS:
        low[column], high[column] = least, most
    return low, high


def clamped(where: Callable[..., Any], values: Any, low: Any, high: Any) -> Any:
    """Values outside the limits moved to them; those that are not finite stay. What every drawing function starts with.

    A limit is inside: there the derivative is 1, as for a colour of exactly 0 or 1. Outside it is 0.

    Args:
        where: the framework's `where`.
        values: an array of the framework.
        low: the least, a number or an array that broadcasts against it.
        high: the most.
    """
    below, above = (values < low) & (values > -np.inf), (values > high) & (values < np.inf)
    return where(below, low, where(above, high, values))


def check_finite(rows: Array) -> None:
    """Refuses rows with NaN or infinity.

    Raises:
        NotFinite: an InputError that names the first such row and column.
    """
    if not np.isfinite(rows).all():
        row, column = np.argwhere(~np.isfinite(rows))[0]
        raise NotFinite(f"row {row} has {rows[row, column]} in column {_column_name(column)}; needs a finite number")


def check_drawable(rows: Array, background: Array) -> None:
    """Refuses what drawing functions cannot make a picture of.

    Raises:
        InputError: a value of the rows, (N, P), or of the background, (3,), is not finite.
    """
    check_finite(rows)
    if not np.isfinite(background).all():
        raise InputError(f"background is {shown(background.tolist())}; needs three finite sRGB values")


def _column_name(column: int) -> str:
    columns = CIRCLE.columns
    return columns[column].name if column < len(columns) else f"number {column}"


def _kind_names() -> str:
    return ", ".join(f"{p.code} ({p.name})" for p in DRAWN_PRIMITIVES)


def _float32(name: str, value: Any, needs: str) -> Array:
    with np.errstate(over="ignore"):  # becomes infinite, which is refused
        return np.array(real_array(name, value, needs), np.float32, order="C")


def _for_each(name: str, values: Array, shape: tuple[int, ...]) -> Array:
    """The values, or the one value, for each circle."""
    try:
        if values.shape[values.ndim - len(shape) + 1 :] == shape[1:]:  # a colour has three channels, not one for all
            return np.broadcast_to(values, shape)
    except ValueError:
        pass
    raise InputError(f"{name} has shape {values.shape}; needs one value for each of {shape[0]} circles, {shape}")


def _immutable(array: Array) -> Array:
    """A copy that nothing can make writeable again, since its memory belongs to bytes."""
    return np.ndarray(array.shape, array.dtype, buffer=array.tobytes())
