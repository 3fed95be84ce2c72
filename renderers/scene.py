"""The scene: rows of primitives in painting order on a canvas. The only thing that stages hand on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from .edges import EDGES
from .errors import InputError, NotFinite
from .primitives import BLUE, CIRCLE, OPACITY, PRIMITIVES, RADIUS, RED, SHAPE, SOFTNESS, X, Y

Array = np.ndarray[Any, Any]

# Lengths and coordinates beyond this many pixels leave float32 too few digits to place an edge.
FARTHEST = 1e6
# A ramp narrower than this (pixels) has slopes that overflow a float32 gradient.
SOFTNESS_MIN = 1e-3
# The widest canvas that is drawn in one piece, pixels a side.
SIDE_MAX = 65536


@dataclass(frozen=True)
class Canvas:
    """What rows are painted on, and how their rims fade.

    Attributes:
        width: columns of pixels. Pixel (column i, row j) has its centre at (i + 0.5, j + 0.5), as in SVG.
        height: rows of pixels.
        background: sRGB in 0..1, painted first.
        edge: a key of `EDGES`.
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
        for name, side in (("width", self.width), ("height", self.height)):
            if not (isinstance(side, (int, np.integer)) and 1 <= side <= SIDE_MAX):
                raise InputError(f"canvas {name} is {side!r}; needs a whole number of pixels, 1 to {SIDE_MAX}")
        try:
            colour = np.asarray(self.background, dtype=np.float64)
        except (TypeError, ValueError):
            colour = np.zeros(0)
        if colour.shape != (3,) or not np.all((colour >= 0) & (colour <= 1)):
            raise InputError(f"background is {self.background!r}; needs three sRGB values between 0 and 1")
        if self.edge not in EDGES:
            raise InputError(f"edge {self.edge!r} is unknown; choose one of {', '.join(EDGES)}")
        if not isinstance(self.transparent, (bool, np.bool_)):
            raise InputError(f"transparent is {self.transparent!r}; needs True or False")
        object.__setattr__(self, "width", int(self.width))
        object.__setattr__(self, "height", int(self.height))
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
        try:
            with np.errstate(over="ignore"):  # becomes infinite, and is refused below
                rows = np.array(self.rows, dtype=np.float32, order="C", copy=True)
        except (TypeError, ValueError):
            raise InputError(f"rows are no table of numbers; needs (N, {SHAPE + 1}) or wider") from None
        if rows.size == 0:
            rows = rows.reshape(0, rows.shape[1] if rows.ndim == 2 and rows.shape[1] > SHAPE else SHAPE + 1)
        if rows.ndim != 2 or rows.shape[1] <= SHAPE:
            raise InputError(f"rows have shape {rows.shape}; needs (N, {SHAPE + 1}) or wider")
        count = len(rows)
        ids = np.arange(count) if self.ids is None else np.array(self.ids)
        kinds = np.full(count, CIRCLE.code) if self.kinds is None else np.array(self.kinds)
        for name, array in (("ids", ids), ("kinds", kinds)):
            if array.shape != (count,):
                raise InputError(f"{name} have shape {array.shape}; needs one a row, ({count},)")
            if count and array.dtype.kind not in "iu":
                raise InputError(f"{name} are {array.dtype}; needs whole numbers")
        if len(np.unique(ids)) != count or (count and ids.min() < 0):
            raise InputError("ids repeat or are negative; every row needs an id of its own")
        past_last = int(ids.max()) + 1 if count else 0
        next_id = past_last if self.next_id < 0 else self.next_id
        if next_id < past_last:
            raise InputError(f"next_id is {next_id}; needs at least {past_last}, past every id in use")
        check_rows(rows, kinds)
        object.__setattr__(self, "rows", _frozen(rows))
        object.__setattr__(self, "ids", _frozen(ids.astype(np.int64)))
        object.__setattr__(self, "kinds", _frozen(kinds.astype(np.uint8)))
        object.__setattr__(self, "next_id", next_id)

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
            y: (N,) centres, pixels.
            radius: (N,) pixels.
            colour: (N, 3) sRGB in 0..1.
            opacity: (N,) or one value, 0..1.
            softness: (N,) or one value: pixels for the linear edge, px² for the logistic one.

        Example:
            >>> Scene.circles(Canvas(8, 8), x=[4], y=[4], radius=[3], colour=[[1, 0, 0]]).count
            1
        """
        count = len(x)
        rows = np.zeros((count, SHAPE + 1), np.float32)
        try:
            for column, values in ((X, x), (Y, y), (RADIUS, radius), (OPACITY, opacity), (SOFTNESS, softness)):
                rows[:, column] = values
            rows[:, RED : BLUE + 1] = colour if count else np.zeros((0, 3))
        except ValueError as error:
            raise InputError(f"the columns do not have one value for each of {count} circles: {error}") from None
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
        rows = np.asarray(rows, np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.rows.shape[1]:
            raise InputError(f"new rows have shape {rows.shape}; needs (n, {self.rows.shape[1]})")
        fresh = np.arange(self.next_id, self.next_id + len(rows))
        return replace(
            self,
            rows=np.concatenate([self.rows, rows]),
            ids=np.concatenate([self.ids, fresh]),
            kinds=np.concatenate([self.kinds, np.full(len(rows), CIRCLE.code, np.uint8)]),
            next_id=self.next_id + len(rows),
        )

    def select(self, index: Array) -> Self:
        """This scene with only the rows at `index` (a mask, or positions in their new painting order)."""
        return replace(self, rows=self.rows[index], ids=self.ids[index], kinds=self.kinds[index])

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
        factor = width / self.canvas.width
        height = max(1, round(self.canvas.height * factor)) if height is None else height
        rows = self.rows.copy()
        rows[:, [X, Y]] *= factor
        rows[:, SHAPE:] *= factor
        rows[:, SOFTNESS] *= factor if self.canvas.edge == "linear" else factor**2  # px, or px²
        # What leaves the limits of a scene by it is too small or too far to be seen.
        rows[:, [X, Y]] = np.clip(rows[:, [X, Y]], -FARTHEST, FARTHEST)
        rows[:, RADIUS] = np.minimum(rows[:, RADIUS], FARTHEST)
        rows[:, SOFTNESS] = np.clip(rows[:, SOFTNESS], SOFTNESS_MIN, FARTHEST)
        return replace(self, rows=rows, canvas=replace(self.canvas, width=width, height=height))

    def same_as(self, other: Scene) -> bool:
        """Whether both scenes are equal bit for bit, ids and canvas included."""
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
    if kinds is not None and not np.isin(kinds, [p.code for p in PRIMITIVES.values()]).all():
        raise InputError(f"kinds has codes {sorted(set(kinds.tolist()))}; known are {_kind_names()}")
    check_finite(rows)
    for column, low, high in (
        (X, -FARTHEST, FARTHEST),
        (Y, -FARTHEST, FARTHEST),
        (RED, 0.0, 1.0),
        (RED + 1, 0.0, 1.0),
        (BLUE, 0.0, 1.0),
        (OPACITY, 0.0, 1.0),
        (SOFTNESS, SOFTNESS_MIN * (1 - 1e-6), FARTHEST),
        (RADIUS, 0.0, FARTHEST),
    ):
        values = rows[:, column]
        bad = (values < low) | (values > high)
        if bad.any():
            row = int(np.argmax(bad))
            raise InputError(f"row {row} has {_column_name(column)} {values[row]:.9g}; needs {low:.9g} to {high:.9g}")


def check_finite(rows: Array) -> None:
    """Refuses rows with NaN or infinity.

    Raises:
        NotFinite: an InputError that names the first such row and column.
    """
    if not np.isfinite(rows).all():
        row, column = np.argwhere(~np.isfinite(rows))[0]
        raise NotFinite(f"row {row} has {rows[row, column]} in column {_column_name(column)}; needs a finite number")


def _column_name(column: int) -> str:
    columns = CIRCLE.columns
    return columns[column].name if column < len(columns) else f"number {column}"


def _kind_names() -> str:
    return ", ".join(f"{p.code} ({p.name})" for p in PRIMITIVES.values())


def _frozen(array: Array) -> Array:
    array.setflags(write=False)
    return array
