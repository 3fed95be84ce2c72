"""Growing: seed a batch where the error is, refine all, repeat until enough stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .base import Part, Stage
from .descend import descent
from .place import Newcomers
from .seed import Seed


@dataclass(frozen=True)
class Grow(Stage):
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

    def parts(self, circles: int) -> Iterator[Part]:
        """Seeds, refines, and repeats."""
        batch_count = max(1, -(-(self.count - circles) // self.growth))
        for batch in range(batch_count):
            added = min(self.growth, self.count - circles)
            if added > 0:
                yield Seed(added, self.newcomers)
                circles += added
            share = self.steps * (batch + 1) // batch_count - self.steps * batch // batch_count
            yield from descent("grow", [1.0] * share)
