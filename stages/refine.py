"""Refining: all circles together, by gradient descent."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from .base import STEPS_PER_EVENT, Run
from .events import Event, Progress


@dataclass(frozen=True)
class Refine:
    """Moves all circles by so many optimiser steps at constant rates."""

    steps: int

    def __call__(self, run: Run) -> Iterator[Event]:
        """Takes the steps."""
        yield from run.refine("refine", self.steps)


@dataclass(frozen=True)
class Settle:
    """Refines with rates that fall to almost nothing, so that Adam's noise dies out.

    Attributes:
        steps: how many.
        floor: the last step's rates over the first's.
        start: the factor on the learning rates at the first step.
    """

    steps: int
    floor: float = 0.02
    start: float = 0.7

    def __call__(self, run: Run) -> Iterator[Event]:
        """Takes the steps."""
        for i in range(self.steps):
            done = (i + 1) / self.steps
            mse = run.fit.step(1, self.start * (self.floor + (1 - self.floor) * math.sqrt(1 - done)))
            if (i + 1) % STEPS_PER_EVENT == 0 or i + 1 == self.steps:
                yield Progress("settle", run.step, run.scene.count, mse)
