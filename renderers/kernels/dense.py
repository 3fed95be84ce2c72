"""Dense drawing: every row at every pixel, in a framework's own operations, on any device and in any precision.

The formulas are written once for all frameworks: `xp` is `jax.numpy` or `torch`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..canvas import Canvas
from ..primitives.base import BLUE, OPACITY, RED, SHAPE, SOFTNESS, Primitive
from ..primitives.falloff import FALLOFFS, LINEAR
from ..row_layout import check_finite
from ..scene import Scene

Array = np.ndarray[Any, Any]

# Arrays of (pixels of a chunk, N) in memory at once, backward pass included.
LIVE_ARRAYS = 10


def opacities(
    xp: Any, rows: Any, kinds: Any, primitives: Sequence[Primitive], edge: str, across: Any, down: Any
) -> Any:
    """Opacity times coverage of each row at each pixel, (K, N).

    Args:
        xp: `jax.numpy` or `torch`.
        rows: (N, P).
        kinds: (N,) codes; not read if there is one primitive.
        primitives: the primitives present in `kinds`.
        edge: name of the falloff.
        across: (K,) x of pixel centres.
        down: (K,) y of pixel centres.
    """
    falloff, covered = FALLOFFS[edge], None
    px, py, softness = across[:, None], down[:, None], rows[None, :, SOFTNESS]
    for primitive in primitives:
        shape = [rows[:, k] for k in range(SHAPE, primitive.width)]
        own = kinds == primitive.code
        if len(primitives) > 1:
            # Rows of other primitives get an example shape, so that no NaN enters their derivatives.
            shape = [xp.where(own, column, plain) for column, plain in zip(shape, primitive.example, strict=True)]
        distance = primitive.distance(xp, px, py, [column[None, :] for column in shape])
        # Only the falloffs of circles read the thickness.
        size = None if edge == LINEAR.name else primitive.thickness(shape)[None, :]
        found = falloff.coverage(xp, distance, softness, size)
        covered = found if covered is None else xp.where(own[None, :], found, covered)
    return rows[None, :, OPACITY] * covered


def composite(xp: Any, cumprod: Any, a: Any, rows: Any, background: Any) -> Any:
    """The colours of pixels, (K, 3).

    Args:
        xp: `jax.numpy` or `torch`.
        cumprod: `(values, axis) -> cumulative products`, inclusive.
        a: (K, N) from `opacities`.
        rows: (N, P).
        background: (3,).
    """
    front = xp.flip(a, (1,))
    transmittance = cumprod(1 - front, 1)  # behind each row, front to back
    before = xp.concatenate([xp.ones_like(transmittance[:, :1]), transmittance[:, :-1]], 1)
    return (before * front) @ xp.flip(rows, (0,))[:, RED : BLUE + 1] + transmittance[:, -1:] * background[None, :]


def pixels_per_chunk(canvas: Canvas, row_count: int, memory_mb: float, bytes_each: int) -> int:
    """Number of pixels that are drawn at once to stay within the memory."""
    budget = memory_mb * 2**20 / (max(1, row_count) * bytes_each * LIVE_ARRAYS)
    return int(min(canvas.width * canvas.height, max(1, budget)))


def leave_one_out(
    xp: Any, cumprod: Any, scan: Any, a: Any, rows: Any, background: Any, target: Any, shares: Any
) -> Any:
    """The contribution of K pixels to the leave-one-out worth of each row, (N,).

    Args:
        xp: `jax.numpy` or `torch`.
        cumprod: as in `composite`.
        scan: `(step, carry, xs) -> (carry, ys)`, as `jax.lax.scan`.
        a: (K, N) from `opacities`.
        rows: (N, P).
        background: (3,).
        target: (K, 3).
        shares: (K,).
    """
    error = composite(xp, cumprod, a, rows, background) - target
    transmittance = cumprod(1 - xp.flip(a, (1,)), 1)
    above = xp.flip(xp.concatenate([xp.ones_like(transmittance[:, :1]), transmittance[:, :-1]], 1), (1,))

    def step(beneath: Any, row: Any) -> tuple[Any, Any]:
        own, transmittance, colour = row
        added = own[:, None] * (colour[None, :] - beneath)
        seen = transmittance[:, None] * added
        return beneath + added, (shares * (seen * seen - 2 * error * seen).sum(1)).sum()

    start = background[None, :] + 0 * error
    return scan(step, start, (a.T, above.T, rows[:, RED : BLUE + 1]))[1]


def gain_sums(xp: Any, m: Any, image: Any, target: Any, shares: Any) -> Any:
    """The sums over pixels that determine gains, (9, M); see `kernels.numba.placing`.

    Args:
        xp: `jax.numpy` or `torch`.
        m: (K, M) coverage of candidates.
        image: (K, 3).
        target: (K, 3).
        shares: (K,).

    Returns:
        Rows: w m d (red, green, blue), w m d C, w m² C (red, green, blue), w m² C², w m².
    """
    difference = shares[:, None] * (target - image)
    along = xp.concatenate([difference, (difference * image).sum(1)[:, None]], 1)
    weighted = shares[:, None] * image
    square = (weighted * image).sum(1)[:, None]
    beneath = xp.concatenate([weighted, square, shares[:, None]], 1)
    return xp.concatenate([along.T @ m, beneath.T @ (m * m)], 0)


class DenseKernel(ABC):
    """Base of the dense kernels: chooses among candidates by their `gain_sums`; see `base.Kernel`."""

    name = "dense"

    @abstractmethod
    def _gain_sums(
        self, image: Array, canvas: Canvas, target: Array, shares: Array, rows: Array, kinds: Array
    ) -> Array:
        """`gain_sums` of rows at full opacity, (9, M)."""

    @abstractmethod
    def render(self, rows: Array, kinds: Array, canvas: Canvas) -> Array:
        """See `Kernel.render`."""

    def place(
        self,
        image: Array,
        canvas: Canvas,
        target: Array,
        shares: Array,
        candidates: Array,
        kinds: Array,
        costs: Array,
        count: int,
        opacity_min: float,
    ) -> tuple[Array, Array]:
        """See `Kernel.place`.

        Greedy in rounds: each round paints all candidates whose gain exceeds that of every candidate with an
        overlapping bounding box.
        """
        rows, image = np.array(candidates, np.float32), np.array(image, np.float32)
        check_finite(rows)
        disjoint = _disjoint(rows, kinds, canvas)
        waiting = np.ones(len(rows), bool)
        chosen: list[int] = []
        while waiting.any() and len(chosen) < count:
            sums = self._gain_sums(image, canvas, target, shares, rows, kinds)
            gains, painted = _best_paint(sums, rows, opacity_min)
            gains = np.where(waiting & (gains > 0), gains / costs, 0.0)
            rivals = np.where(disjoint, 0.0, gains[None, :])
            np.fill_diagonal(rivals, 0.0)
            tied = (rivals == gains[:, None]) & (np.arange(len(rows))[None, :] < np.arange(len(rows))[:, None])
            winners = np.flatnonzero((gains > 0) & (rivals.max(1, initial=0.0) <= gains) & ~tied.any(1))
            winners = winners[np.argsort(-gains[winners], kind="stable")][: count - len(chosen)]
            if len(winners) == 0:
                break
            rows[winners] = painted[winners]
            image = self._composite_over(image, canvas, rows[winners], kinds[winners])
            waiting[winners] = False
            chosen += winners.tolist()
        return np.array(chosen, np.int64), rows[chosen]

    def coloured(self, image: Array, canvas: Canvas, target: Array, shares: Array, rows: Array, kinds: Array) -> Array:
        """See `Kernel.coloured`."""
        rows = np.array(rows, np.float32)
        check_finite(rows)
        sums = self._gain_sums(np.asarray(image, np.float32), canvas, target, shares, rows, kinds)
        return _best_paint(sums, rows, 1.0)[1]

    def _composite_over(self, image: Array, canvas: Canvas, rows: Array, kinds: Array) -> Array:
        """The image with rows painted over it; drawing them over black and over white gives their transmittance."""
        black, white = (self.render(rows, kinds, replace(canvas, background=(v, v, v))) for v in (0.0, 1.0))
        return black + (white - black) * image


def _disjoint(rows: Array, kinds: Array, canvas: Canvas) -> Array:
    """Whether the bounding boxes of two candidates are disjoint, (M, M)."""
    left, top, right, bottom = Scene(rows, canvas, kinds=kinds).bounds().T
    return (
        (left[:, None] >= right[None]) | (right[:, None] <= left[None])
        | (top[:, None] >= bottom[None]) | (bottom[:, None] <= top[None])
    )  # fmt: skip


def _best_paint(sums: Array, rows: Array, opacity_min: float) -> tuple[Array, Array]:
    """The gains of rows, (M,), and the rows with their best colours and opacities; from `gain_sums`."""
    md, mdc, mmc, mmcc, mm = sums[:3], sums[3], sums[4:7], sums[7], sums[8]
    rows, opacity_max = rows.copy(), rows[:, OPACITY].astype(np.float64)
    is_visible = (mm > 0) & (opacity_max > 0)
    divisor = np.where(is_visible, mm, 1.0)
    opacity, lowest = np.where(is_visible, opacity_max, 1.0), np.minimum(opacity_min, opacity_max)
    linear = quadratic = np.zeros_like(opacity)
    for iteration in range(3):
        if iteration:
            best = np.where(quadratic > 0, linear / np.where(quadratic > 0, quadratic, 1.0), opacity_max)
            opacity = np.where(is_visible, np.clip(best, lowest, opacity_max), 1.0)
        colour = np.clip((md / opacity + mmc) / divisor, 0, 1)
        linear = (colour * md).sum(0) - mdc
        # A sum of squares; rounding must not make it negative, which would be a gain.
        quadratic = np.maximum((colour * (colour * mm - 2 * mmc)).sum(0) + mmcc, 0.0)
    rows[is_visible, RED : BLUE + 1] = colour.T[is_visible]
    rows[is_visible, OPACITY] = opacity[is_visible]
    return np.where(is_visible, opacity * (2 * linear - opacity * quadratic), 0.0), rows
