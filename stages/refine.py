"""Refining: gradient descent on all shapes together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from artpipe.renderers.losses.objective import Objective, check_loss, objective_of
from artpipe.renderers.losses.table import LOSS_NAMES
from artpipe.renderers.options import check_options, documented, option

from .base import Part, ScheduledStage, Stage
from .descend import descent
from .limits import STEPS_MAX


@documented
@dataclass(frozen=True)
class Refine(Stage):
    """Takes optimiser steps at constant learning rates."""

    steps: int = option(100, "Optimiser steps.", low=0, high=STEPS_MAX)

    def __post_init__(self) -> None:
        check_options(self)

    def parts(self, shapes: int) -> Iterator[Part]:
        """The steps."""
        del shapes
        yield from descent("refine", [1.0] * self.steps)


@documented
@dataclass(frozen=True)
class Settle(ScheduledStage):
    """Takes optimiser steps at learning rates that fall almost to 0, so that Adam's noise dies out.

    Attributes:
        floor: learning rates of the last step relative to the first.
        start: factor on the learning rates at the first step.
        begin: share of the settling done before these steps, 0..1.
    """

    steps: int = option(100, "Optimiser steps.", low=0, high=STEPS_MAX)
    loss: str | None = option(
        None, f"What the settling minimises: a sum of {LOSS_NAMES}, such as mse+0.2*ssim.",
        unset="the loss of the run", check=check_loss, metavar="LOSS",
    )  # fmt: skip
    floor: float = 0.02
    start: float = 0.7
    begin: float = 0.0

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def objective(self) -> Objective | None:
        """What these steps minimise; None for the loss of the run."""
        return None if self.loss is None else objective_of(self.loss)

    @property
    def scales(self) -> list[float]:
        """The factor on the learning rates at each step."""
        start = self.start if self.objective is None else self.start * self.objective.rate_factor
        done = (self.progress(k + 1) for k in range(self.steps))
        return [start * (self.floor + (1 - self.floor) * math.sqrt(1 - share)) for share in done]

    def parts(self, shapes: int) -> Iterator[Part]:
        """The steps."""
        del shapes
        yield from descent("settle", self.scales, self.objective)
