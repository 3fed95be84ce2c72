"""Seeding: one batch of shapes where the error is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from artpipe.renderers.options import check_options, documented, nested, option

from .base import AtomicStage, Run
from .events import Event, Grew
from .limits import POOL_COUNT_MAX
from .placing.place import Newcomers, place


@documented
@dataclass(frozen=True)
class Seed(AtomicStage):
    """Adds a batch of shapes on top of the scene."""

    count: int = option(256, "Shapes of the batch.", low=1, high=POOL_COUNT_MAX)
    newcomers: Newcomers = nested(Newcomers, "Look and placement of new shapes.")

    def __post_init__(self) -> None:
        check_options(self)

    def leaves(self, shapes: int) -> int:
        """The number before plus the batch."""
        return shapes + self.count

    def work(self, run: Run) -> Iterator[Event]:
        """Places the batch and passes it to the fit."""
        before = run.scene
        scene = place(run, before, self.count, before.count + self.count, self.newcomers)
        if run.palette is not None:
            scene = run.palette.recoloured(run, scene, before)
        run.fit.put(scene)
        yield Grew(run.step, run.showable(), scene.count - before.count)
