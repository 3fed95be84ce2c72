"""The state of an optimisation of rows by the CPU kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...canvas import Canvas
from .shapes.dispatch import pack_rows, packed
from .shapes.layout import NARROW, WIDE

Array = np.ndarray[Any, Any]


class Optimiser:
    """Rows under optimisation by Adam, and what their picture is compared with. Float32 arrays unless said otherwise.

    A row has W columns: 8 in scenes of circles alone, otherwise 16, of which the last are not used.

    Args:
        canvas: of the scene.
        kinds: (N,) uint8.
        tables: (primitives, `descent.TABLE_ROWS`, P): rates, limits and transforms of the columns.
        numbers: (5,): beta1, beta2 and epsilon, which is positive; the least and most size of a shape, pixels, or two
            zeros if only the canvas limits it.
        problem: the background of each backdrop, (B, 3); the targets, (B, 3, H, W); the pixels' shares, (H, W).
        slates: raw parameters, (N, P), then Adam's state, zeros if not given; see `slates`.
    """

    def __init__(
        self, canvas: Canvas, kinds: Array, tables: Array, numbers: Array, problem: tuple[Array, Array, Array],
        slates: Sequence[Array],
    ) -> None:  # fmt: skip
        count, self._width = slates[0].shape
        columns = NARROW if self._width == NARROW else WIDE
        self.canvas, self.numbers = canvas, numbers
        self.backgrounds, self.targets, self.shares = problem
        self.tables = _padded(tables.reshape(-1, self._width), columns)
        self._raw, *kept = (_padded(slate, columns if slate.shape[1] > 2 else 2) for slate in slates)
        if not kept:
            kept = [np.zeros((count, 2), np.float32), np.zeros_like(self._raw), np.zeros_like(self._raw)]
        self._weights, self._mean, self._square = kept
        self._decoded = np.zeros_like(self._raw)
        self.rows, self.kinds = packed(self._decoded, kinds)
        # What a step changes besides the kernel's rows, which follow from the decoded ones, and the copies of `save`.
        self._changing = self._raw, self._weights, self._mean, self._square, self._decoded
        self._kept = [np.empty_like(array) for array in self._changing]
        # Scratch of the kernel.
        self.totals, self.gradient = np.zeros(self._raw.shape), np.zeros_like(self._raw)

    @property
    def slates(self) -> list[Array]:
        """Raw parameters, (N, P); running means of the number 1, (N, 2), of gradients and their squares, (N, P)."""
        raw, mean, square = (array[:, : self._width] for array in (self._raw, self._mean, self._square))
        return [raw, self._weights, mean, square]

    @property
    def scene_rows(self) -> Array:
        """The decoded rows, (N, P)."""
        return self._decoded[:, : self._width]

    def save(self) -> None:
        """Keeps the state for `restore`."""
        for kept, array in zip(self._kept, self._changing, strict=True):
            np.copyto(kept, array)

    def restore(self) -> None:
        """Goes back to the state of the last `save`."""
        for kept, array in zip(self._kept, self._changing, strict=True):
            np.copyto(array, kept)
        self.pack()

    @property
    def moved(self) -> tuple[Array, ...]:
        """The arrays that `descent.move_rows` takes, from the gradient on, without the scale."""
        return (
            self.gradient, self.numbers, self.tables, self._raw, self._mean, self._square, self._weights, self._decoded
        )  # fmt: skip

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The arrays that `work.work` takes, from `numbers` on."""
        return (
            self.numbers, self.tables, self._raw, self._mean, self._square, self._weights, self._decoded, self.totals,
            self.gradient,
        )  # fmt: skip

    def pack(self) -> None:
        """Computes the kernel's rows from the decoded ones."""
        if self.rows is not self._decoded:
            pack_rows(self._decoded, self.kinds, self.rows)

    def set_rows(self, rows: Array) -> None:
        """Sets the decoded rows, (N, P)."""
        self._decoded[:, : rows.shape[1]] = rows
        self.pack()


def _padded(rows: Array, columns: int) -> Array:
    """A copy of the rows with as many columns, float32."""
    padded = np.zeros((len(rows), columns), np.float32)
    padded[:, : rows.shape[1]] = rows
    return padded
