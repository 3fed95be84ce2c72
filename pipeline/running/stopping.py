"""Stop rules: when a run ends before its plan does."""

from __future__ import annotations

import math
from dataclasses import dataclass

from artpipe.renderers import psnr
from artpipe.stages.base import Run
from artpipe.stages.events import Event, Progress

# A loss is better than the best so far if it is lower by this share of it: descent always finds a little.
BETTER = 1e-3


@dataclass
class Stopping:
    """The rules of a run, and what they have seen of it. Whichever comes first ends the run.

    A run that is out of patience goes on to settle: its picture is better for it than that of a search which is cut
    off. One with so many seconds has a plan that settles within them (see `pacing`).

    Attributes:
        seconds: of fitting.
        target_psnr: dB that are enough.
        patience: optimiser steps without a better loss, once the scene has grown. A pool that shrinks starts the count
            anew.
        best: the lowest loss with the current number of shapes.
        best_step: when that was.
        shapes: the current number of shapes; -1 before the first `Progress`.
        reason: the rule that ended the run, or "".
    """

    seconds: float | None = None
    target_psnr: float | None = None
    patience: int | None = None
    best: float = math.inf
    best_step: int = 0
    shapes: int = -1
    reason: str = ""

    def __post_init__(self) -> None:
        self._told: float | None = None  # the mean squared error, if a part told it that `met` was not asked about yet

    def see(self, event: Event) -> None:
        """Takes note of the loss and the mean squared error."""
        if not isinstance(event, Progress):
            return
        assert event.loss is not None
        better = self.best * (1 - math.copysign(BETTER, self.best))  # a loss of the caller's own may be negative
        if event.stage == "grow" or event.shapes != self.shapes or event.loss < better:
            self.best, self.best_step, self.shapes = event.loss, event.step, event.shapes
        self._told = event.mse

    def met(self, run: Run, seconds: float, settles: bool) -> bool:
        """Whether the run is to end now; `reason` then says why.

        Args:
            run: between two parts.
            seconds: of fitting so far.
            settles: whether it is settling already.
        """
        told, self._told = self._told, None
        if self.seconds is not None and seconds >= self.seconds:
            self.reason = "seconds"
        elif told is not None and self._is_like(run, told):
            self.reason = "target-psnr"
        elif settles and self._impatient(run.step):
            self.reason = "patience"
        else:
            return False
        return True

    def _is_like(self, run: Run, told: float) -> bool:
        """Whether what would be saved is as like the target as asked, all pixels counting the same, as metrics tell."""
        if self.target_psnr is None:
            return False
        if psnr(told) < self.target_psnr:  # of the whole pool: what would be saved is hardly better
            return False
        return psnr(run.mean_squared_error(run.showable(), weighted=False)) >= self.target_psnr

    def impatient(self, step: int) -> bool:
        """Whether the run is to settle now, after so many steps, instead of what the plan has before; says so."""
        if not self._impatient(step):
            return False
        self.reason, self.best_step = "patience", step
        return True

    def steps_left(self, step: int) -> float:
        """How many more steps patience allows at this step of the run, if no better loss is reported meanwhile."""
        return math.inf if self.patience is None or self.shapes < 0 else self.best_step + self.patience - step

    def _impatient(self, step: int) -> bool:
        return self.steps_left(step) <= 0
