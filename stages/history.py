"""The history of a run: the loss over time and snapshots."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from artpipe.renderers.checks import instance, real_number, whole_number

from .events import Event, Grew, Progress, Snapshot

# Snapshots kept of each kind (growths, others); at more than twice this number, every second one is dropped.
SNAPSHOTS_KEPT = 64
# The largest number in a history: float64 represents every integer up to it.
NUMBER_MAX = 2**53


class LossPoint(NamedTuple):
    """A point of the loss curve.

    Attributes:
        step: optimiser steps so far.
        shapes: rows in the scene.
        seconds: of fitting so far.
        mse: mean squared error, as of `Progress`.
    """

    step: int
    shapes: int
    seconds: float
    mse: float

    def to_json(self) -> dict[str, float]:
        """Plain values, as a row of the history in `metrics.json`."""
        return self._asdict()

    @classmethod
    def from_json(cls, values: Any) -> LossPoint:
        """The point from the output of `to_json`; older files have "circles" for "shapes".

        Raises:
            InputError: a value is missing, has another type or is out of range.
        """
        row = instance("a row of the history", values, dict)
        return cls(
            whole_number("step", row.get("step"), 0, NUMBER_MAX),
            whole_number("shapes", row.get("shapes", row.get("circles")), 0, NUMBER_MAX),
            real_number("seconds", row.get("seconds"), 0, NUMBER_MAX),
            real_number("mse", row.get("mse"), 0, NUMBER_MAX),
        )


@dataclass
class History:
    """Loss curve and snapshots of a run; the number of snapshots is bounded.

    Of growths and of other snapshots every 2^k-th is kept, with the smallest k that leaves at most twice
    `SNAPSHOTS_KEPT`.

    Attributes:
        curve: a point for each `Progress`, in order of time.
        snapshots: the scenes kept, in order of time.
        growth_count: growths so far, kept or not.
        other_count: other snapshots so far, kept or not.
    """

    curve: list[LossPoint] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    growth_count: int = 0
    other_count: int = 0

    def see(self, event: Event, seconds: float) -> None:
        """Records an event after `seconds` of fitting."""
        if isinstance(event, Progress):
            self.curve.append(LossPoint(event.step, event.shapes, round(seconds, 4), event.mse))
        elif isinstance(event, Grew):
            self._keep(event, self.growth_count)
            self.growth_count += 1
        elif isinstance(event, Snapshot):
            self._keep(event, self.other_count)
            self.other_count += 1

    def _keep(self, snapshot: Snapshot, number: int) -> None:
        """Keeps the `number`-th snapshot of its kind if it is due; thins its kind if there are too many."""
        stride = _stride(number)
        if number % stride == 0:
            self.snapshots.append(snapshot)
        if _stride(number + 1) > stride:
            kind = [k for k, one in enumerate(self.snapshots) if isinstance(one, Grew) == isinstance(snapshot, Grew)]
            for k in reversed(kind[1::2]):
                del self.snapshots[k]

    def copy(self) -> History:
        """An independent history with the same content."""
        return History(list(self.curve), list(self.snapshots), self.growth_count, self.other_count)


def _stride(count: int) -> int:
    """The smallest power of two of which `count` snapshots have at most `2 * SNAPSHOTS_KEPT` multiples."""
    stride = 1
    while -(-count // stride) > 2 * SNAPSHOTS_KEPT:
        stride *= 2
    return stride
