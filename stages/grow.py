"""Growing: seed a batch where the error is, refine all, repeat until enough stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .base import Run
from .events import Event
from .place import Newcomers
from .seed import Seed


@dataclass(frozen=True)
class Grow:
    """Grows the scene to `count` circles, batch by batch.

    Attributes:
        count: circles that stand at the end.
        growth: circles of a batch.
        steps: optimiser steps in all, shared out evenly over the batches.
        newcomers: how new circles look.
    """

    count: int
    growth: int
    steps: int
    newcomers: Newcomers = field(default_factory=Newcomers)

    def __call__(self, run: Run) -> Iterator[Event]:
        """Seeds, refines, and repeats."""
        batch_count = max(1, -(-(self.count - run.scene.count) // self.growth))
        for batch in range(batch_count):
            missing = self.count - run.scene.count
            if missing > 0:
                yield from Seed(min(self.growth, missing), self.newcomers)(run)
            share = self.steps * (batch + 1) // batch_count - self.steps * batch // batch_count
            yield from run.refine("grow", share)
