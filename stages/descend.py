"""Descending: one optimiser step of all shapes together, the piece that refining consists of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .base import Run
from .events import Event, Progress

# Optimiser steps between two Progress events: a few tens of milliseconds.
STEPS_PER_EVENT = 25


@dataclass(frozen=True)
class Descend:
    """Moves all shapes by one optimiser step.

    Attributes:
        stage: the name of the stage that it belongs to, for the event.
        scale: multiplies all learning rates.
        tells: whether it yields a `Progress`.
    """

    stage: str
    scale: float = 1.0
    tells: bool = True

    def work(self, run: Run) -> Iterator[Event]:
        """Takes the step."""
        loss = run.fit.step(1, self.scale)
        if self.tells:
            scene = run.scene
            # The loss of most runs is the mean squared error; only others have to draw for it.
            plain = run.settings.loss is None and run.settings.weights is None
            mse = loss if plain else run.mean_squared_error(scene, weighted=False)
            yield Progress(self.stage, run.step, scene.count, mse, loss)


def descent(stage: str, scales: Sequence[float]) -> Iterator[Descend]:
    """A step for each factor on the learning rates; the last and every `STEPS_PER_EVENT`-th tell of it."""
    for number, scale in enumerate(scales, 1):
        yield Descend(stage, scale, number % STEPS_PER_EVENT == 0 or number == len(scales))
