"""Stop rules: conditions that end a run before its plan ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

from artpipe.renderers import psnr
from artpipe.stages.base import Run
from artpipe.stages.events import Event, Progress

# Relative decrease of the loss that counts as better; descent always gains a little.
BETTER = 1e-3


@dataclass
class Stopping:
    """The stop rules of a run and their state. The first rule that is met ends the run.

    A run that is out of patience settles before it ends. The plan of a run with a limit of seconds settles within them
    (see `pacing`).

    Attributes:
        seconds: limit of fitting.
        target_psnr: PSNR at which to stop (dB).
        patience: optimiser steps without a better loss, once the scene has grown. A shrinking pool restarts the count.
        best: the lowest loss at the current number of shapes.
        best_step: the step of `best`.
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
        self._reported: float | None = None  # mean squared error of the last part, until `met` has used it

    def see(self, event: Event) -> None:
        """Records the loss and the mean squared error."""
        if not isinstance(event, Progress):
            return
        assert event.loss is not None
        better = self.best * (1 - math.copysign(BETTER, self.best))  # a custom loss may be negative
        if event.stage == "grow" or event.shapes != self.shapes or event.loss < better:
            self.best, self.best_step, self.shapes = event.loss, event.step, event.shapes
        self._reported = event.mse

    def restart(self, step: int) -> None:
        """Forgets the lowest loss: from this step of the run another one is minimised."""
        self.best, self.best_step = math.inf, step

    def met(self, run: Run, seconds: float, settles: bool) -> bool:
        """Whether the run must end now; sets `reason`.

        Args:
            run: between two parts.
            seconds: of fitting so far.
            settles: whether the run is in its last stage.
        """
        reported, self._reported = self._reported, None
        if self.seconds is not None and seconds >= self.seconds:
            self.reason = "seconds"
        elif reported is not None and self._reaches_psnr(run, reported):
            self.reason = "target-psnr"
        elif settles and self._impatient(run.step):
            self.reason = "patience"
        else:
            return False
        return True

    def _reaches_psnr(self, run: Run, reported: float) -> bool:
        """Whether the scene to be saved has the target PSNR, with equal pixel weights, as in the metrics."""
        if self.target_psnr is None:
            return False
        if psnr(reported) < self.target_psnr:  # of the whole pool: the scene to be saved is hardly better
            return False
        return psnr(run.mean_squared_error(run.showable(), weighted=False)) >= self.target_psnr

    def impatient(self, step: int) -> bool:
        """Whether patience ends at this step, so that the run must settle now; sets `reason`."""
        if not self._impatient(step):
            return False
        self.reason, self.best_step = "patience", step
        return True

    def steps_left(self, step: int) -> float:
        """How many steps patience allows from this step of the run without a better loss."""
        return math.inf if self.patience is None or self.shapes < 0 else self.best_step + self.patience - step

    def _impatient(self, step: int) -> bool:
        return self.steps_left(step) <= 0
