"""What a run leaves to be shown: the scene, how it came about, and what it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..renderers import InputError, Scene
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
        target: (H, W, 3) float32, sRGB in 0..1: what was painted.
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
        canvas = self.scene.canvas
        for moment in self.moments:
            if (moment.scene.canvas.width, moment.scene.canvas.height) != (canvas.width, canvas.height):
                raise InputError(f"the scene at step {moment.step} is not {canvas.width} x {canvas.height} pixels")
        if self.target is not None and self.target.shape != (canvas.height, canvas.width, 3):
            raise InputError(f"target has shape {self.target.shape}; needs ({canvas.height}, {canvas.width}, 3)")


class Chronicle:
    """Keeps, of the events of a run, what a `Record` holds; in bounded memory, however long the run."""

    def __init__(self) -> None:
        self.history: list[dict[str, float]] = []
        self._growths = _Thinned()
        self._snapshots = _Thinned()
        self._seen = 0

    def see(self, event: Event, seconds: float) -> None:
        """Takes note of an event; `seconds` of fitting had passed."""
        self._seen += 1
        if isinstance(event, Progress):
            self.history.append(
                {"step": event.step, "circles": event.circles, "seconds": round(seconds, 4), "mse": event.mse}
            )
        elif isinstance(event, Grew):
            self._growths.add(self._seen, Moment(event.step, event.scene))
        elif isinstance(event, Snapshot):
            self._snapshots.add(self._seen, Moment(event.step, event.scene))

    @property
    def moments(self) -> tuple[Moment, ...]:
        """The scenes that are kept, in order of time."""
        kept = sorted([*self._growths.kept, *self._snapshots.kept], key=lambda pair: pair[0])
        return tuple(moment for _, moment in kept)


class _Thinned:
    """Every 2^k-th of the moments that came, the smallest k that leaves no more than twice `MOMENTS_KEPT`."""

    def __init__(self) -> None:
        self.kept: list[tuple[int, Moment]] = []
        self._came = 0
        self._stride = 1

    def add(self, order: int, moment: Moment) -> None:
        if self._came % self._stride == 0:
            self.kept.append((order, moment))
            if len(self.kept) > 2 * MOMENTS_KEPT:
                self.kept = self.kept[::2]
                self._stride *= 2
        self._came += 1
