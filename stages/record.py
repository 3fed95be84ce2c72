"""What a run leaves to be shown: the scene, how it came about, and what it was made from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from artpipe.renderers import InputError, Scene
from artpipe.renderers.checks import instance

from .events import Event, Grew, Progress, Snapshot

Array = np.ndarray[Any, Any]

# Scenes that are kept of each kind (growths, snapshots); when more come, every second one goes.
MOMENTS_KEPT = 64


@dataclass(frozen=True)
class Moment:
    """A scene on the way.

    Attributes:
        step: optimiser steps before it.
        scene: what stood then.
    """

    step: int
    scene: Scene


@dataclass(frozen=True, eq=False)
class Record:
    """All that exporters draw from. A scene alone is a record too.

    Attributes:
        scene: the circles as they are now.
        moments: scenes on the way to it, in order of time, on the same canvas.
        history: rows of step, circles, seconds, mse, in order of time.
        target: what was painted: (H, W, 3), or (H, W, 4) with straight alpha; float32, sRGB in 0..1.
        title: the painting's name.

    Raises:
        InputError: a moment or the target is not of the scene's size.
    """

    scene: Scene
    moments: tuple[Moment, ...] = ()
    history: tuple[dict[str, float], ...] = ()
    target: Array | None = None
    title: str = "painting"

    def __post_init__(self) -> None:
        canvas = instance("scene", self.scene, Scene).canvas
        for moment in self.moments:
            if (moment.scene.canvas.width, moment.scene.canvas.height) != (canvas.width, canvas.height):
                raise InputError(f"the scene at step {moment.step} is not {canvas.width} x {canvas.height} pixels")
        if self.target is not None and np.shape(self.target) not in [(canvas.height, canvas.width, k) for k in (3, 4)]:
            raise InputError(
                f"target has shape {np.shape(self.target)}; needs ({canvas.height}, {canvas.width}, 3 or 4)"
            )


@dataclass
class Thinned:
    """Every 2^k-th of the moments that came, the smallest k that leaves no more than twice `MOMENTS_KEPT`.

    Attributes:
        kept: the moments, each with the number of its event.
        came: how many came.
        stride: 2^k.
    """

    kept: list[tuple[int, Moment]] = field(default_factory=list)
    came: int = 0
    stride: int = 1

    def add(self, order: int, moment: Moment) -> None:
        """Keeps the moment, if it is its turn."""
        if self.came % self.stride == 0:
            self.kept.append((order, moment))
            if len(self.kept) > 2 * MOMENTS_KEPT:
                self.kept = self.kept[::2]
                self.stride *= 2
        self.came += 1


@dataclass
class Chronicle:
    """Keeps, of the events of a run, what a `Record` holds; scenes in bounded memory, however long the run.

    Attributes:
        history: a row of step, circles, seconds and mse for each `Progress`.
        growths: scenes after a batch.
        snapshots: scenes that a stage thought worth keeping.
        seen: events so far.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    growths: Thinned = field(default_factory=Thinned)
    snapshots: Thinned = field(default_factory=Thinned)
    seen: int = 0

    def see(self, event: Event, seconds: float) -> None:
        """Takes note of an event; `seconds` of fitting had passed."""
        self.seen += 1
        if isinstance(event, Progress):
            self.history.append(
                {"step": event.step, "circles": event.circles, "seconds": round(seconds, 4), "mse": event.mse}
            )
        elif isinstance(event, Grew):
            self.growths.add(self.seen, Moment(event.step, event.scene))
        elif isinstance(event, Snapshot):
            self.snapshots.add(self.seen, Moment(event.step, event.scene))

    @property
    def moments(self) -> tuple[Moment, ...]:
        """The scenes that are kept, in order of time."""
        kept = sorted([*self.growths.kept, *self.snapshots.kept], key=lambda pair: pair[0])
        return tuple(moment for _, moment in kept)

    def copy(self) -> Chronicle:
        """One that goes its own way from here."""
        growths, snapshots = (replace(kind, kept=list(kind.kept)) for kind in (self.growths, self.snapshots))
        return Chronicle(list(self.history), growths, snapshots, self.seen)
