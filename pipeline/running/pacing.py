"""Pacing: adjusts the number of steps so that the schedules of a plan end with the seconds of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from artpipe.stages.base import Part
from artpipe.stages.descend import Descend
from artpipe.stages.grow import Grow
from artpipe.stages.refine import Settle
from artpipe.stages.relocate import Relocate, Remember, Search
from artpipe.stages.seed import Seed

# Steps to measure before the first change of the plan.
FIRST_STEPS = 5
# Steps between comparisons of plan and time while growing and settling; the search compares at each relocation.
LOOK_STEPS = 5
# The plan is kept while the steps that fit differ from those planned by at most this share, the noise of the pace.
TOLERANCE = 0.02
# The rest of the search is skipped when less than this share of the time for settling is left, as when the machine
# suddenly becomes busy.
LATE_SHARE = 0.6
# Seeding takes at most this share of the remaining time; larger batches are used where it would take more. (Trials:
# a single batch costs up to 0.2 dB; the number of steps between batches does not matter.)
SEEDING_SHARE = 0.2
# Settling under a costlier loss or on a larger canvas takes at most this share of the time.
SETTLING_SHARE = 0.5
# The time of a step grows by about this power of the side of the canvas; used until a step at full size was timed.
ENLARGING = 1.4
# The pace of a step is a mean over about the last third of the steps, since it changes with the number of shapes: over
# at most as many steps as remain, and at least RECENT_STEPS. Means of other parts: at least RECENT_OTHERS.
RECENT = 1 / 3
RECENT_STEPS = 25
RECENT_OTHERS = 4
# A part that takes more than STILL times its mean was delayed by other programs. The lost time is tracked separately,
# as a share of the elapsed time plus STILL_SHARE of all seconds, which damps it at first.
STILL = 4
STILL_SHARE = 0.1

Paced = Grow | Search | Settle


@dataclass
class _Mean:
    """Running mean that favours recent values; 0 before the first."""

    value: float = 0.0
    count: int = 0

    def add(self, value: float, memory: float) -> None:
        """Adds a value; the mean covers about the last `memory` values."""
        self.count += 1
        self.value += (value - self.value) / min(self.count, memory)


@dataclass(frozen=True)
class Place:
    """The progress of a run.

    Attributes:
        began: shapes when the current stage began.
        taken: steps of the current stage so far.
        shapes: shapes now.
        step: optimiser steps of the run so far.
        seconds: of fitting so far.
    """

    began: int
    taken: int
    shapes: int
    step: int
    seconds: float


class Pacing:
    """Scales a plan to the remaining seconds at the measured pace.

    The rest of the current stage keeps its proportion to later stages, and schedules continue from where they are: the
    shares of time of growth, search and settling are about their shares of the steps.

    Args:
        plan: the stages, with the largest number of steps that the run may take.
        seconds: total seconds of fitting.
    """

    def __init__(self, plan: Sequence[Paced], seconds: float) -> None:
        self.plan = plan
        self.seconds = seconds
        self.steps_max = sum(stage.steps for stage in plan)
        self._ahead = self.steps_max  # steps still to come
        self._still = 0.0  # seconds lost to other programs
        self._means: dict[type, _Mean] = {kind: _Mean() for kind in (Descend, Seed, Relocate, Remember)}
        self._settling = _Mean()  # of a step of settling, if it minimises another loss or draws a larger canvas
        self._enlargement = max((stage.reduction for stage in plan), default=1)  # a settling is at full size
        losses = [stage.loss for stage in plan if isinstance(stage, Settle)]
        self._settles_apart = self._enlargement > 1 or any(loss is not None for loss in losses)

    def expect(self, seconds: float) -> None:
        """Records what a step of settling under another loss takes, measured before the run began."""
        if seconds > 0 and self._settling.count == 0:
            self._settling.add(seconds, 1)

    def measure(self, part: Part, seconds: float) -> None:
        """Records the seconds of a part; for joined steps of descent, of one step."""
        mean = self._means.get(type(part))
        if isinstance(part, Descend) and part.stage == "settle" and self._settles_apart:
            mean = self._settling
        if mean is None:
            return
        memory = max(RECENT_OTHERS, RECENT * mean.count)
        if isinstance(part, Descend):
            self._ahead -= 1
            memory = max(RECENT_STEPS, min(RECENT * mean.count, self._ahead))
        at_work = min(seconds, STILL * mean.value) if mean.count else seconds
        self._still += seconds - at_work
        mean.add(at_work, memory)

    def fitting(self, steps: int, seconds: float) -> int:
        """How many of `steps` fit into the time left after `seconds`: at least one; all if the pace is unknown."""
        pace = self._settling.value or self._means[Descend].value * self._enlargement**ENLARGING
        return min(steps, max(1, int((self.seconds - seconds) / pace))) if pace > 0 else steps

    def steps_to_look(self, done: int) -> int:
        """How many steps may follow `done` parts before the next comparison of plan and time."""
        return LOOK_STEPS - done % LOOK_STEPS

    def is_due(self, rest: Sequence[Paced], done: int, part: Part, seconds: float) -> bool:
        """Whether to compare plan and time after `done` parts of the current stage, before this part."""
        return (
            isinstance(part, (Seed, Relocate))
            or (isinstance(rest[0], (Grow, Settle)) and done % LOOK_STEPS == 0)
            or self._is_late(rest, seconds)
        )

    def _is_late(self, rest: Sequence[Paced], seconds: float) -> bool:
        """Whether the time left is so short that all stages before the settling are skipped."""
        settling = self.seconds * self.plan[-1].steps / max(1, self.steps_max)
        return len(rest) > 1 and self.seconds - seconds < LATE_SHARE * settling

    def replanned(self, rest: Sequence[Paced], place: Place) -> list[Paced] | None:
        """The rest of a plan with the number of steps that fits; None if it needs no change or the pace is unknown.

        Args:
            rest: the current stage and those after it, as planned so far.
            place: the progress of the run.
        """
        work, *later = rest
        weights = [float(stage.steps) for stage in self.plan[-len(rest) :]]
        weights[0] *= 1 - work.progress(place.taken)
        if self._is_late(rest, place.seconds):
            weights[:-1] = [0.0] * len(later)
        costs = [weight * self._seconds_a_step(stage) for weight, stage in zip(weights, rest, strict=True)]
        if self._means[Descend].count + self._settling.count < FIRST_STEPS or not sum(costs) > 0:
            return None
        weights[-1] *= (kept := self._settling_kept())
        costs[-1] *= kept
        still = self._still / (place.seconds + STILL_SHARE * self.seconds)
        left = max(0.0, self.seconds - place.seconds) * (1 - still)
        growth = None
        if isinstance(work, Grow):
            growth = self._growth(work, place.shapes, left)
            left -= replace(work, growth=growth).batches(place.shapes) * self._means[Seed].value
        total = min(self.steps_max - place.step, int(sum(weights) * max(0.0, left) / sum(costs)))
        planned = sum(stage.steps for stage in rest) - place.taken
        self._ahead = total
        if abs(total - planned) <= max(1.0, TOLERANCE * planned) and growth == getattr(work, "growth", None):
            return None
        counts = [int(total * weight / sum(weights)) for weight in weights]
        counts[-1] += total - sum(counts)
        changes: dict[str, Any] = {"begin": work.progress(place.taken)}
        if isinstance(work, Grow):
            lead = round(counts[0] * work.lead_left(place.taken, place.began, place.shapes))
            changes |= {"growth": growth, "lead": lead}
        stages = [replace(work, **changes), *later]
        return [replace(stage, steps=count) for stage, count in zip(stages, counts, strict=True)]

    def _settling_kept(self) -> float:
        """Share of its steps that a costly settling keeps, so that it takes `SETTLING_SHARE` of the whole at most."""
        *before, settling = (stage.steps * self._seconds_a_step(stage) for stage in self.plan)
        most = sum(before) * SETTLING_SHARE / (1 - SETTLING_SHARE)
        return most / settling if settling > most > 0 else 1.0

    def _seconds_a_step(self, stage: Paced) -> float:
        """Seconds of a step of a stage, including its share of relocations and snapshots."""
        step, batch, relocation, snapshot = (mean.value for mean in self._means.values())
        if isinstance(stage, Settle) and self._settles_apart:
            return self._settling.value or step * self._enlargement**ENLARGING
        if not isinstance(stage, Search):
            return step
        # Before the first relocation, the time of a batch is the estimate: both place about as many shapes.
        return step + ((relocation or batch) + snapshot) / stage.every

    def _growth(self, stage: Grow, shapes: int, seconds: float) -> int:
        """Shapes of a batch: more than planned if seeding would take too much of the remaining seconds."""
        most = max(1, int(SEEDING_SHARE * seconds / max(self._means[Seed].value, 1e-9)))
        return stage.growth if stage.batches(shapes) <= most else -(-(stage.count - shapes) // most)
