"""Dense drawing: every row at every pixel, in a framework's own operations. Any device, any precision, any derivative.

The formulas are written once, on what numpy, JAX and PyTorch share: `xp` is `jax.numpy` or `torch`.
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
from ..scene import Scene, check_finite

Array = np.ndarray[Any, Any]

# Arrays of (pixels in a piece, N) that live at once, backward included.
LIVE_ARRAYS = 10


def opacities(
    xp: Any, rows: Any, kinds: Any, primitives: Sequence[Primitive], edge: str, across: Any, down: Any
) -> Any:
    """(K, N): opacity times coverage of each row at each pixel.

    Args:
        xp: `jax.numpy` or `torch`.
        rows: (N, P).
        kinds: (N,) codes; not read where there is one primitive.
        primitives: those that are among them.
        edge: the falloff.
        across: (K,) x of pixel centres.
        down: (K,) y of pixel centres.
    """
    falloff, covered = FALLOFFS[edge], None
    px, py, softness = across[:, None], down[:, None], rows[None, :, SOFTNESS]
    for primitive in primitives:
        shape = [rows[:, k] for k in range(SHAPE, primitive.width)]
        own = kinds == primitive.code
        if len(primitives) > 1:
            # Rows of other primitives become a plain shape, whose derivative is a number.
            shape = [xp.where(own, column, plain) for column, plain in zip(shape, primitive.example, strict=True)]
        distance = primitive.distance(xp, px, py, [column[None, :] for column in shape])
        # Only falloffs of circles read it.
        size = None if edge == LINEAR.name else primitive.thickness(shape)[None, :]
        found = falloff.coverage(xp, distance, softness, size)
        covered = found if covered is None else xp.where(own[None, :], found, covered)
    return rows[None, :, OPACITY] * covered


def composite(xp: Any, cumprod: Any, a: Any, rows: Any, background: Any) -> Any:
    """(K, 3): the colours of pixels, from what each row covers of them, (K, N), painted one over the other.

    Args:
        xp: `jax.numpy` or `torch`.
        cumprod: `(values, axis) -> products` of values with all before them along an axis.
        a: (K, N) from `opacities`.
        rows: (N, P).
        background: (3,).
    """
    front = xp.flip(a, (1,))
    light = cumprod(1 - front, 1)  # what is left after each row, front to back
    before = xp.concatenate([xp.ones_like(light[:, :1]), light[:, :-1]], 1)
    return (before * front) @ xp.flip(rows, (0,))[:, RED : BLUE + 1] + light[:, -1:] * background[None, :]


def pixels_in_a_piece(canvas: Canvas, row_count: int, memory_mb: float, bytes_each: int) -> int:
    """How many pixels are drawn at a time to stay within the memory."""
    budget = memory_mb * 2**20 / (max(1, row_count) * bytes_each * LIVE_ARRAYS)
    return int(min(canvas.width * canvas.height, max(1, budget)))


def worths(xp: Any, cumprod: Any, scan: Any, a: Any, rows: Any, background: Any, target: Any, shares: Any) -> Any:
    """(N,): what pixels, (K,), add to the rise of the loss if each row alone is taken out.

    Args:
        xp: `jax.numpy` or `torch`.
        cumprod: as of `composite`.
        scan: `(step, carry, xs) -> (carry, ys)`, as `jax.lax.scan`.
        a: (K, N) from `opacities`.
        rows: (N, P).
        background: (3,).
        target: (K, 3).
        shares: (K,).
    """
    error = composite(xp, cumprod, a, rows, background) - target
    light = cumprod(1 - xp.flip(a, (1,)), 1)
    above = xp.flip(xp.concatenate([xp.ones_like(light[:, :1]), light[:, :-1]], 1), (1,))

    def step(beneath: Any, row: Any) -> tuple[Any, Any]:
        own, transmittance, colour = row
        added = own[:, None] * (colour[None, :] - beneath)
        seen = transmittance[:, None] * added
        return beneath + added, (shares * (seen * seen - 2 * error * seen).sum(1)).sum()

    start = background[None, :] + 0 * error
    return scan(step, start, (a.T, above.T, rows[:, RED : BLUE + 1]))[1]


def gain_sums(xp: Any, m: Any, image: Any, target: Any, shares: Any) -> Any:
    """(9, M): the sums over pixels of which gains are made (see `kernels.numba.placing`).

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
    """What the dense kernels of all frameworks share: choosing among candidates by their sums; see `base.Kernel`."""

    name = "dense"

    @abstractmethod
    def _gain_sums(
        self, image: Array, canvas: Canvas, target: Array, shares: Array, rows: Array, kinds: Array
    ) -> Array:
        """`gain_sums` of rows, (9, M), at full opacity."""

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

        Greedy in rounds: all candidates are painted at once that gain more than any other that overlaps their boxes.
        """
        rows, image = np.array(candidates, np.float32), np.array(image, np.float32)
        check_finite(rows)
        apart = _apart(rows, kinds, canvas)
        waiting = np.ones(len(rows), bool)
        chosen: list[int] = []
        while waiting.any() and len(chosen) < count:
            sums = self._gain_sums(image, canvas, target, shares, rows, kinds)
            gains, painted = _best(sums, rows, opacity_min)
            gains = np.where(waiting & (gains > 0), gains / costs, 0.0)
            rivals = np.where(apart, 0.0, gains[None, :])
            np.fill_diagonal(rivals, 0.0)
            tied = (rivals == gains[:, None]) & (np.arange(len(rows))[None, :] < np.arange(len(rows))[:, None])
            winners = np.flatnonzero((gains > 0) & (rivals.max(1, initial=0.0) <= gains) & ~tied.any(1))
            winners = winners[np.argsort(-gains[winners], kind="stable")][: count - len(chosen)]
            if len(winners) == 0:
                break
            rows[winners] = painted[winners]
            image = self._over(image, canvas, rows[winners], kinds[winners])
            waiting[winners] = False
            chosen += winners.tolist()
        return np.array(chosen, np.int64), rows[chosen]

    def coloured(self, image: Array, canvas: Canvas, target: Array, shares: Array, rows: Array, kinds: Array) -> Array:
        """See `Kernel.coloured`."""
        rows = np.array(rows, np.float32)
        check_finite(rows)
        sums = self._gain_sums(np.asarray(image, np.float32), canvas, target, shares, rows, kinds)
        return _best(sums, rows, 1.0)[1]

    def _over(self, image: Array, canvas: Canvas, rows: Array, kinds: Array) -> Array:
        """The image with rows painted over it: what they paint over black, and what they let through."""
        black, white = (self.render(rows, kinds, replace(canvas, background=(v, v, v))) for v in (0.0, 1.0))
        return black + (white - black) * image


def _apart(rows: Array, kinds: Array, canvas: Canvas) -> Array:
    """(M, M): whether the boxes of two candidates have no pixel in common."""
    left, top, right, bottom = Scene(rows, canvas, kinds=kinds).bounds().T
    return (
        (left[:, None] >= right[None]) | (right[:, None] <= left[None])
        | (top[:, None] >= bottom[None]) | (bottom[:, None] <= top[None])
    )  # fmt: skip


def _best(sums: Array, rows: Array, opacity_min: float) -> tuple[Array, Array]:
    """The gains of rows, (M,), and the rows at their best colours and opacities; from `gain_sums`."""
    along, along_beneath = sums[:3], sums[3]
    beneath, beneath2, weight = sums[4:7], sums[7], sums[8]
    rows, most = rows.copy(), rows[:, OPACITY].astype(np.float64)
    seen = (weight > 0) & (most > 0)
    safe = np.where(seen, weight, 1.0)
    opacity, least = np.where(seen, most, 1.0), np.minimum(opacity_min, most)
    pull = push = np.zeros_like(opacity)
    for turn in range(3):
        if turn:
            best = np.where(push > 0, pull / np.where(push > 0, push, 1.0), most)
            opacity = np.where(seen, np.clip(best, least, most), 1.0)
        colour = np.clip((along / opacity + beneath) / safe, 0, 1)
        pull = (colour * along).sum(0) - along_beneath
        # A sum of squares, which rounding must not make a gain.
        push = np.maximum((colour * (colour * weight - 2 * beneath)).sum(0) + beneath2, 0.0)
    rows[seen, RED : BLUE + 1] = colour.T[seen]
    rows[seen, OPACITY] = opacity[seen]
    return np.where(seen, opacity * (2 * pull - opacity * push), 0.0), rows
