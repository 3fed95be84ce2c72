"""Plans: the stages of a run and the progress through them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple

from artpipe.renderers.losses.objective import Objective
from artpipe.stages.base import Part, Rescale, Run, Stage
from artpipe.stages.descend import Descend, joined
from artpipe.stages.events import Event
from artpipe.stages.grow import Grow
from artpipe.stages.refine import Settle
from artpipe.stages.relocate import Relocate

from ..options import RunConfig
from .pacing import Paced, Pacing, Place
from .stopping import Stopping

# Target seconds of a part of joined optimiser steps. Stop rules, signals and checkpoints act between parts.
TOGETHER_SECONDS = 0.1


class Cut(NamedTuple):
    """How a plan was cut short: its last stages are replaced by a relocation and a settling.

    Attributes:
        stage: index of the first stage that is replaced.
        shapes: shapes to keep.
        steps: of settling.
    """

    stage: int
    shapes: int
    steps: int


@dataclass
class Plan:
    """The stages of a run and the progress through them, which a checkpoint saves with the state of the run.

    Attributes:
        stages: the current plan, adjusted to the run's seconds if it has a limit.
        stopping: the stop rules.
        first: the stages as first planned; defaults to `stages`.
        cut: where the plan was cut short; None if it was not.
        stage: index of the current stage.
        done: finished parts of the current stage; each optimiser step counts as one.
        shapes: shapes when the current stage began; None if it has not begun.
        begun: optimiser steps of the run when the current stage began or was last replanned.
        seconds: of fitting so far.
        elapsed: total seconds that earlier processes spent on the run.
        pacing: fits the stages into the run's seconds; None without a limit.
    """

    stages: Sequence[Stage]
    stopping: Stopping = field(default_factory=Stopping)
    first: Sequence[Stage] = ()
    cut: Cut | None = None
    stage: int = 0
    done: int = 0
    shapes: int | None = None
    begun: int = 0
    seconds: float = 0.0
    elapsed: float = 0.0
    pacing: Pacing | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.first = self.first or self.stages
        if self.cut is not None:
            self.stages = _shortened(self.stages, self.cut)
        paced = [stage for stage in self.first if isinstance(stage, Paced)]
        if self.stopping.seconds is not None and len(paced) == len(self.first):
            self.pacing = Pacing(paced, self.stopping.seconds)
        self._looked = -1.0  # seconds at the last comparison of plan and time
        self._pace = TOGETHER_SECONDS  # seconds of the last step

    @property
    def settles(self) -> bool:
        """Whether the current stage is the last."""
        return self.stage >= len(self.stages) - 1

    @property
    def objective(self) -> Objective | None:
        """What the current or last stage minimises, if that is not the run's loss."""
        stage = self.stages[min(self.stage, len(self.stages) - 1)] if self.stages else None
        return stage.objective if isinstance(stage, Settle) else None

    def parts(self, run: Run) -> Iterator[Part]:
        """The remaining parts; pass each to `work` before taking the next."""
        if self.pacing is not None:
            self.pacing.expect(max(run.step_seconds, default=0.0))
        while self.stage < len(self.stages):
            if self.shapes is None:
                self.shapes, self.begun = run.scene.count, run.step
                if self.objective is not None:
                    self.stopping.restart(run.step)
            at_work, stage = self.stage, self.stages[self.stage]
            if run.reduction != stage.reduction:
                yield Rescale(stage.reduction)
                if self.stage != at_work:
                    continue
            single = islice(stage.parts(self.shapes), self.done, None)
            for part in joined(single, lambda: self._most_together(run.step)):
                if self._is_replanned(run, part):
                    break
                yield part
                if self.stage != at_work:  # the plan was cut short
                    break
            else:
                self._go_to(at_work + 1)

    def work(self, part: Part, run: Run) -> Iterator[Event]:
        """Runs a part: yields its events, adds up its time, then counts it as done."""
        began, events = self.seconds, part.work(run)
        while True:
            before = time.perf_counter()
            event = next(events, None)
            self.seconds += time.perf_counter() - before
            if event is None:
                break
            yield event
        if isinstance(part, Rescale):  # not a part of its stage: a run that resumes on the right canvas has none
            self.stopping.restart(run.step)
            return
        pieces = len(part.scales) if isinstance(part, Descend) else 1
        self.done += pieces
        each = (self.seconds - began) / pieces
        if isinstance(part, Descend):
            self._pace = each
        if self.pacing is not None:
            for _ in range(pieces):
                self.pacing.measure(part, each)

    def cut_short(self, shapes: int) -> None:
        """Replaces the rest of the plan by a relocation to `shapes` shapes and a settling.

        The settling keeps its planned steps, as far as they fit into the run's seconds.
        """
        last = self.stages[-1]
        steps = last.steps if isinstance(last, Settle) else 0
        if self.pacing is not None:
            steps = self.pacing.fitting(steps, self.seconds)
        self.cut = Cut(self.stage + 1, shapes, steps)
        self.stages = _shortened(self.stages, self.cut)
        self._go_to(self.stage + 1)

    def _most_together(self, step: int) -> float:
        """The largest number of steps of the next part, at step `step` of the run. The scene does not depend on it."""
        most = min(TOGETHER_SECONDS / max(self._pace, 1e-9), self.stopping.steps_left(step))
        return most if self.pacing is None else min(most, self.pacing.steps_to_look(self.done))

    def _is_replanned(self, run: Run, part: Part) -> bool:
        """Adjusts the steps of the remaining stages to the time left; returns whether they changed."""
        at, pacing = self.stage, self.pacing
        if pacing is None or self.cut is not None or self.seconds == self._looked or self.shapes is None:
            return False
        rest = [stage for stage in self.stages[at:] if isinstance(stage, Paced)]
        if not pacing.is_due(rest, self.done, part, self.seconds):
            return False
        self._looked = self.seconds
        place = Place(self.shapes, run.step - self.begun, run.scene.count, run.step, self.seconds)
        planned = pacing.replanned(rest, place)
        if planned is None:
            return False
        self.stages = [*self.stages[:at], *planned]
        self.done, self.begun = 0, run.step
        if isinstance(planned[0], Grow):
            self.shapes = place.shapes  # a search keeps the pool size that it began with
        return True

    def _go_to(self, stage: int) -> None:
        self.stage, self.done, self.shapes, self._pace = stage, 0, None, TOGETHER_SECONDS


def _shortened(stages: Sequence[Stage], cut: Cut) -> list[Stage]:
    """The stages of a plan that is cut short."""
    last = stages[-1]
    settle = replace(last, steps=cut.steps, begin=0.0) if isinstance(last, Settle) else Settle(cut.steps)
    return [*stages[: cut.stage], Relocate(0.0, cut.shapes), settle]


def plan_of(config: RunConfig) -> Plan:
    """The plan and the stop rules of a configuration."""
    return Plan(config.plan(), Stopping(config.seconds, config.target_psnr, config.patience))
