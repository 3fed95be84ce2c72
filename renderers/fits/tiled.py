"""Fits whose steps are taken by the tiled CPU kernel, whatever the framework."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..base import FitSettings
from ..canvas import Canvas
from ..kernels.numba.descent import TABLE_ROWS
from ..kernels.numba.kernel import CpuKernel
from ..kernels.numba.optimiser import Optimiser
from ..losses.objective import Objective
from ..primitives.table import PRIMITIVES
from .base import BaseFit, Losses, mean
from .rows import Parameters

Array = np.ndarray[Any, Any]

# The least epsilon: a row without a gradient does not move, rather than by 0 / 0.
EPSILON_MIN = 1e-30
# In place of the limit of a value that is not rounded by its transform.
OPEN = np.float32(1e38)


class TiledFit(BaseFit):
    """See `base.Fit`. The framework only computes losses other than the mean squared error, and is else not imported.

    A compiled update of 2048 circles in JAX or PyTorch took as long as a quarter of drawing and differentiating them.

    Args:
        target: as for `BaseFit`; also canvas and settings.
        kernel: draws, and takes the steps.
        losses: opens the losses of the framework.
    """

    kernel: CpuKernel

    def __init__(
        self, target: Array, canvas: Canvas, settings: FitSettings, kernel: CpuKernel,
        losses: Callable[[Array | None], Losses],
    ) -> None:  # fmt: skip
        super().__init__(target, canvas, settings, kernel, losses, "cpu")
        planes = [backdrop.planes for backdrop in self.backdrops]
        self._targets = planes[0][None] if len(planes) == 1 else np.stack(planes)
        self._write([np.zeros((0, self.parameters.width), np.float32)], canvas)

    def _write(self, slates: list[Array], canvas: Canvas) -> None:
        s, backgrounds = self.settings, [backdrop.under(canvas).background for backdrop in self.backdrops]
        problem = np.array(backgrounds, np.float32), self._targets, self.shares
        radius = [0, 0] if self.parameters.radius is None else self.parameters.radius
        numbers = np.array([s.beta1, s.beta2, max(s.epsilon, EPSILON_MIN), *radius], np.float32)
        self._optimiser = Optimiser(canvas, self.parameters.kinds, tables_of(self.parameters), numbers, problem, slates)
        self.kernel.decode(self._optimiser)

    def _read(self) -> list[Array]:
        return self._optimiser.slates

    def _set_rows(self, rows: Array) -> None:
        self._optimiser.set_rows(rows)

    def _rows(self) -> Array:
        return self._optimiser.scene_rows

    def _steps(self, scales: Sequence[float], objective: Objective) -> float:
        if objective.is_mse:
            taken, loss = self.kernel.descend(self._optimiser, scales)
            self.step_count += taken
            if taken < len(scales):
                raise FloatingPointError
            return loss
        return super()._steps(scales, objective)

    def _step(self, scale: float, objective: Objective) -> float:
        losses, gradients, rows, kinds = [], [], self._rows(), self.parameters.kinds
        for backdrop in self.backdrops:
            canvas = backdrop.under(self.canvas)
            loss, by_image = self._by_image(objective, self.kernel.render(rows, kinds, canvas), backdrop)
            losses.append(loss)
            gradients.append(self.kernel.vjp(rows, kinds, canvas, by_image)[0])
        loss, gradient = mean(losses), mean(gradients)
        if not (np.isfinite(loss) and np.isfinite(gradient).all()):
            raise FloatingPointError
        self.kernel.move(self._optimiser, gradient, scale)
        return float(loss)


def tables_of(parameters: Parameters) -> Array:
    """Rates, limits and transforms of the columns, (primitives, TABLE_ROWS, P) float32; see `descent`."""
    tables = np.zeros((len(PRIMITIVES), TABLE_ROWS, parameters.width), np.float32)
    signs = [np.where(mask, 1, -1) for mask in (parameters.is_log, parameters.is_logit)]
    limits = [
        np.where(parameters.is_log | parameters.is_logit, parameters.decode(limit.T).T, open_end)
        for limit, open_end in ((parameters.low, -OPEN), (parameters.high, OPEN))
    ]
    for primitive in parameters.primitives:
        row = 0
        if parameters.low.shape[1] > 1:
            row = int(np.argmax(parameters.kinds == primitive.code))
        columns = (parameters.rates, parameters.low, parameters.high, *parameters.slope, *signs, *limits)
        tables[primitive.code] = [column[:, row] for column in columns]
    return tables
