"""Growing: seed a batch where the error is, refine all, repeat until enough stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from artpipe.renderers.options import check_options, documented, nested, option

from .base import Part, ScheduledStage
from .descend import descent
from .limits import POOL_COUNT_MAX, STEPS_MAX
from .placing.place import Newcomers
from .seed import Seed


@documented
@dataclass(frozen=True)
class Grow(ScheduledStage):
    """Grows the scene to `count` shapes, batch by batch.

    Attributes:
        lead: how many of the steps come before the first batch, where it continues a growth amid a batch.
        begin: share of the growth that was done before these steps, 0..1.
    """

    count: int = option(2048, "Shapes at its end.", low=1, high=POOL_COUNT_MAX, flags=("-n", "--max"))
    growth: int = option(256, "Shapes of a batch.", low=1, high=POOL_COUNT_MAX, tunable=(32, 1024))
    steps: int = option(200, "Optimiser steps, shared evenly by the batches.", low=0, high=STEPS_MAX)
    newcomers: Newcomers = nested(Newcomers, "How new shapes look, and where they are sought.")
    lead: int = 0
    begin: float = 0.0

    def __post_init__(self) -> None:
        check_options(self)

    def batches(self, shapes: int) -> int:
        """Batches that are still to be seeded where so many shapes stand."""
        return max(0, -(-(self.count - shapes) // self.growth))

    def lead_left(self, taken: int, began: int, shapes: int) -> float:
        """Share of the steps left that come before the next batch.

        Args:
            taken: steps that were taken.
            began: shapes that stood when the stage began.
            shapes: how many stand now.
        """
        left = self.steps - taken
        to_come = (self.steps - self.lead) * self.batches(shapes) / max(1, self.batches(began))
        return max(0.0, 1 - to_come / left) if left > 0 else 0.0

    def leaves(self, shapes: int) -> int:
        """`count`, or as many as before if those are more."""
        return max(shapes, self.count)

    def parts(self, shapes: int) -> Iterator[Part]:
        """Seeds, refines, and repeats."""
        yield from descent("grow", [1.0] * self.lead)
        batch_count, steps = max(1, self.batches(shapes)), self.steps - self.lead
        for batch in range(batch_count):
            added = min(self.growth, self.count - shapes)
            if added > 0:
                yield Seed(added, self.newcomers)
                shapes += added
            share = steps * (batch + 1) // batch_count - steps * batch // batch_count
            yield from descent("grow", [1.0] * share)
