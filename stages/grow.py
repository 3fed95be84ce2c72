"""Growing: seed a batch where the error is, refine all shapes, repeat."""

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
        lead: steps before the first batch, if the stage continues a growth within a batch.
        begin: share of the growth done before these steps, 0..1.
        reduction: as of `Stage`.
    """

    count: int = option(2048, "Shapes at the end of the stage.", low=1, high=POOL_COUNT_MAX, flags=("-n", "--max"))
    growth: int = option(256, "Shapes per batch.", low=1, high=POOL_COUNT_MAX, tunable=(32, 1024))
    steps: int = option(200, "Optimiser steps, divided evenly among the batches.", low=0, high=STEPS_MAX)
    newcomers: Newcomers = nested(Newcomers, "Look and placement of new shapes.")
    lead: int = 0
    begin: float = 0.0
    reduction: int = 1

    def __post_init__(self) -> None:
        check_options(self)

    def batches(self, shapes: int) -> int:
        """The number of batches still to be seeded."""
        return max(0, -(-(self.count - shapes) // self.growth))

    def lead_left(self, taken: int, began: int, shapes: int) -> float:
        """Share of the remaining steps that precede the next batch.

        Args:
            taken: steps so far.
            began: shapes when the stage began.
            shapes: shapes now.
        """
        left = self.steps - taken
        to_come = (self.steps - self.lead) * self.batches(shapes) / max(1, self.batches(began))
        return max(0.0, 1 - to_come / left) if left > 0 else 0.0

    def leaves(self, shapes: int) -> int:
        """The larger of `count` and the number of shapes before."""
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
