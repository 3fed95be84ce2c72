"""Relocating: remove the shapes of least leave-one-out worth, place new ones where the error is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from artpipe.renderers.options import check_options, documented, nested, option

from .base import AtomicStage, Part, Run, ScheduledStage, keep_worthiest
from .descend import descent
from .events import Event, Relocated, Snapshot
from .limits import POOL_COUNT_MAX, STEPS_MAX
from .placing.place import Newcomers, place


def _count(help: str) -> Any:
    return option(None, help, low=0, high=POOL_COUNT_MAX, unset="as many as before", flags=("-n", "--max"))


@documented
@dataclass(frozen=True)
class Relocate(AtomicStage):
    """Removes a share of the shapes, the least worth first, and fills up to `count` with new ones.

    Worth is exact: how much the loss rises when a circle alone is taken out. Opacity or size would not do:
    a covered opaque circle is worth nothing. Half of them go first and the others are weighed again: of two that
    do the same work, each alone is worth little (trials: 0.5 % of the loss).
    More are removed where fewer than the rest are to stand.
    """

    fraction: float = option(0.2, "Share of shapes that is removed, the least worth first.", low=0, high=1)
    count: int | None = _count("Shapes afterwards.")
    newcomers: Newcomers = nested(Newcomers, "How new shapes look, and where they are sought.")

    def __post_init__(self) -> None:
        check_options(self)

    def leaves(self, shapes: int) -> int:
        """`count`, or as many as before if that is not given."""
        return shapes if self.count is None else self.count

    def work(self, run: Run) -> Iterator[Event]:
        """Removes, and places anew."""
        scene = run.scene
        count = self.leaves(scene.count)
        kept = min(scene.count - round(self.fraction * scene.count), count)
        for left in (scene.count + kept) // 2, kept:
            scene = keep_worthiest(scene, run.fit.worth(scene), left)
        if kept < count:
            scene = place(run, scene, count - kept, count, self.newcomers)
        run.fit.put(scene)
        yield Relocated(run.step, kept, scene.count - kept)


@dataclass(frozen=True)
class Remember:
    """Tells of the scene as it stands, as one worth keeping."""

    def work(self, run: Run) -> Iterator[Event]:
        """Tells of it."""
        yield Snapshot(run.step, run.showable())


@documented
@dataclass(frozen=True)
class Search(ScheduledStage):
    """Relocates again and again between refinements, ever fewer shapes: the discrete search.

    Trials say that the discrete search, not the descent, decides the loss; that tearing out 40 % at a time
    beats any careful choice; and that a pool larger than the final count helps, if it shrinks in time.

    Attributes:
        shrink: where the pool begins and ends to shrink to `count`, as shares of this stage.
        cooling: factors on the learning rates at the start and at the end, a straight line between. Hot
            rates carry newcomers far while many come; cool ones let the last of them be judged fairly.
        warming: factors on the learning rates just after a relocation and just before the next, a straight line
            between. Newcomers have no moments yet, so that Adam's first strides are long and blind.
        begin: share of this stage that was done before these steps, 0..1. `parts` takes the number of shapes at its
            start, when the share was 0.
    """

    steps: int = option(1000, "Optimiser steps.", low=0, high=STEPS_MAX)
    count: int | None = _count("Shapes at its end.")
    every: int = option(30, "Steps between relocations.", low=1, high=STEPS_MAX)
    fraction: float = option(0.4, "Share of shapes relocated at first; falls to 0 in a straight line.", low=0, high=1)
    shrink: tuple[float, float] = (0.51, 0.97)
    cooling: tuple[float, float] = (1.4, 0.7)
    warming: tuple[float, float] = (0.5, 1.5)
    newcomers: Newcomers = nested(Newcomers, "How new shapes look, and where they are sought.")
    begin: float = 0.0

    def __post_init__(self) -> None:
        check_options(self)

    def leaves(self, shapes: int) -> int:
        """`count`, or as many as before if that is not given."""
        return shapes if self.count is None else self.count

    def parts(self, shapes: int) -> Iterator[Part]:
        """Relocates and refines by turns."""
        final = self.leaves(shapes)
        first, last = self.shrink
        hot, cool = self.cooling
        for done in range(0, self.steps, self.every):
            share = self.progress(done)
            shrunk = min(1.0, max(0.0, (share - first) / (last - first)))
            count = round(shapes - (shapes - final) * shrunk)
            if done + self.every >= self.steps:
                count = final
            yield Relocate(self.fraction * (1 - share), count, self.newcomers)
            rate, steps = hot + (cool - hot) * share, min(self.every, self.steps - done)
            yield from descent("search", (rate * np.linspace(*self.warming, steps)).tolist())
            yield Remember()
        if self.steps == 0 and shapes != final:
            yield Relocate(0.0, final, self.newcomers)
