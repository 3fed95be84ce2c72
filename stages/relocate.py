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
    return option(None, help, low=0, high=POOL_COUNT_MAX, unset="unchanged", flags=("-n", "--max"))


@documented
@dataclass(frozen=True)
class Relocate(AtomicStage):
    """Removes a share of the shapes, those of least leave-one-out worth, and places new ones up to `count`.

    The leave-one-out worth is exact: the rise of the loss without the shape. Opacity or size are no substitutes: a
    covered opaque shape has no worth. Half are removed first and the rest are weighed again: of two shapes that cover
    the same area, each alone has little worth (trials: 0.5 % of the loss). More are removed if `count` requires it.
    """

    fraction: float = option(0.2, "Share of shapes to remove, those of least worth.", low=0, high=1)
    count: int | None = _count("Shapes afterwards.")
    newcomers: Newcomers = nested(Newcomers, "Look and placement of new shapes.")

    def __post_init__(self) -> None:
        check_options(self)

    def leaves(self, shapes: int) -> int:
        """`count`, or the number before if it is None."""
        return shapes if self.count is None else self.count

    def work(self, run: Run) -> Iterator[Event]:
        """Removes and places shapes."""
        before = scene = run.scene
        count = self.leaves(scene.count)
        kept = min(scene.count - round(self.fraction * scene.count), count)
        for left in (scene.count + kept) // 2, kept:
            scene = keep_worthiest(scene, run.fit.worth(scene), left)
        if kept < count:
            scene = place(run, scene, count - kept, count, self.newcomers)
            if run.palette is not None:
                scene = run.palette.recoloured(run, scene, before)
        run.fit.put(scene)
        yield Relocated(run.step, kept, scene.count - kept)


@dataclass(frozen=True)
class Remember:
    """Yields a snapshot of the current scene."""

    def work(self, run: Run) -> Iterator[Event]:
        """Yields the snapshot."""
        yield Snapshot(run.step, run.showable())


@documented
@dataclass(frozen=True)
class Search(ScheduledStage):
    """Alternates relocation and refinement, with ever fewer relocated shapes: the discrete search.

    Trials: the discrete search decides the loss more than the descent does; relocating 40 % at a time beats careful
    choices; a pool larger than the final count helps if it shrinks in time.

    After the last relocation, at least half of `every` steps follow, if the stage has as many.

    Attributes:
        shrink: shares of this stage at which the pool begins and ends to shrink to `count`.
        cooling: factors on the learning rates at the start and at the end, linear between. High rates move new shapes
            far while there are many; low rates let the last of them converge before they are weighed.
        warming: factors on the learning rates just after a relocation and just before the next, linear between. New
            shapes have no moments yet, so Adam's first steps are long whatever the gradient.
        begin: share of this stage done before these steps, 0..1. `parts` takes the number of shapes at share 0.
        reduction: as of `Stage`.
    """

    steps: int = option(1000, "Optimiser steps.", low=0, high=STEPS_MAX)
    count: int | None = _count("Shapes at the end of the stage.")
    every: int = option(30, "Steps between relocations.", low=1, high=STEPS_MAX)
    fraction: float = option(0.4, "Share of shapes relocated at first; falls linearly to 0.", low=0, high=1)
    shrink: tuple[float, float] = (0.51, 0.97)
    cooling: tuple[float, float] = (1.4, 0.7)
    warming: tuple[float, float] = (0.5, 1.5)
    newcomers: Newcomers = nested(Newcomers, "Look and placement of new shapes.")
    begin: float = 0.0
    reduction: int = 1

    def __post_init__(self) -> None:
        check_options(self)

    def leaves(self, shapes: int) -> int:
        """`count`, or the number before if it is None."""
        return shapes if self.count is None else self.count

    def parts(self, shapes: int) -> Iterator[Part]:
        """Relocations, refinements and snapshots in turn."""
        final = self.leaves(shapes)
        first, last = self.shrink
        hot, cool = self.cooling
        starts = range(0, self.steps, self.every)
        if len(starts) > 1 and 2 * (self.steps - starts[-1]) < self.every:
            starts = starts[:-1]  # too few steps for new shapes to find their places
        for done in starts:
            is_last = done == starts[-1]
            share = self.progress(done)
            shrunk = min(1.0, max(0.0, (share - first) / (last - first)))
            count = round(shapes - (shapes - final) * shrunk)
            if is_last:
                count = final
            yield Relocate(self.fraction * (1 - share), count, self.newcomers)
            rate, steps = hot + (cool - hot) * share, self.steps - done if is_last else self.every
            yield from descent("search", (rate * np.linspace(*self.warming, steps)).tolist(), None, self.reduction)
            yield Remember()
        if self.steps == 0 and shapes != final:
            yield Relocate(0.0, final, self.newcomers)
