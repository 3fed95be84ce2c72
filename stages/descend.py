"""Descending: optimiser steps of all shapes, the parts of refining stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from artpipe.renderers.losses.objective import Objective

from .base import Part, Run
from .events import Event, Progress

# Optimiser steps between two Progress events: a few tens of milliseconds.
STEPS_PER_EVENT = 25


@dataclass(frozen=True)
class Descend:
    """Moves all shapes by optimiser steps.

    Attributes:
        stage: the name of its stage, for the event.
        scales: one step for each; a scale multiplies all learning rates.
        tells: whether it yields a `Progress` after the last step.
        objective: what the steps minimise; that of the run's settings if None.
    """

    stage: str
    scales: tuple[float, ...] = (1.0,)
    tells: bool = True
    objective: Objective | None = None

    def work(self, run: Run) -> Iterator[Event]:
        """Takes the steps."""
        loss = run.fit.step(self.scales, self.objective)
        if self.tells:
            scene = run.scene
            # The loss of most runs is the mean squared error; for others it takes a drawing.
            plain = (self.objective or run.settings.objective).is_mse and run.settings.weights is None
            plain = plain and run.reduction == 1
            mse = loss if plain else run.mean_squared_error(run.enlarged(scene), weighted=False)
            yield Progress(self.stage, run.step, scene.count, mse, loss)


def descent(
    stage: str, scales: Sequence[float], objective: Objective | None = None, reduction: int = 1
) -> Iterator[Descend]:
    """One step for each scale; the last and every `STEPS_PER_EVENT * reduction`-th yield a `Progress`.

    On a reduced canvas it takes a drawing at full size, which costs as much as many steps.
    """
    for number, scale in enumerate(scales, 1):
        tells = number % (STEPS_PER_EVENT * reduction) == 0 or number == len(scales)
        yield Descend(stage, (scale,), tells, objective)


def joined(parts: Iterable[Part], most: Callable[[], float]) -> Iterator[Part]:
    """The parts of a stage, with consecutive optimiser steps joined. A step that yields `Progress` ends its part.

    Args:
        parts: the parts of a stage.
        most: returns the largest number of steps of a part; called after each step.
    """
    held: Descend | None = None
    for part in parts:
        if isinstance(part, Descend):
            held = part if held is None else replace(part, scales=held.scales + part.scales)
            if not held.tells and len(held.scales) < most():
                continue
            yield held
        else:
            if held is not None:
                yield held
            yield part
        held = None
    if held is not None:
        yield held
