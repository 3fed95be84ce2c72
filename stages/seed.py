"""Seeding: one batch of circles where the error is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .base import AtomicStage, Run
from .events import Event, Grew
from .placing.place import Newcomers, place


@dataclass(frozen=True)
class Seed(AtomicStage):
    """Adds a batch of circles on top of the scene.

    Attributes:
        count: how many.
        newcomers: how they look, and where they are sought.
    """

    count: int
    newcomers: Newcomers = field(default_factory=Newcomers)

    def leaves(self, circles: int) -> int:
        """The circles before it and the batch."""
        return circles + self.count

    def work(self, run: Run) -> Iterator[Event]:
        """Places the batch and hands it to the fit."""
        before = run.scene
        scene = place(run, before, self.count, before.count + self.count, self.newcomers)
        run.fit.put(scene)
        yield Grew(run.step, run.showable(), scene.count - before.count)
