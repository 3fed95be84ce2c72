"""Pacing: how many steps a plan takes, so that its schedules end when the seconds of a run are over."""

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

# Steps that have to be measured before the plan changes.
FIRST_STEPS = 5
# Steps between two comparisons of plan and time while growing and settling; the search compares at each relocation.
LOOK_STEPS = 5
# The plan is kept while the steps that fit differ from those planned by at most this share: the pace varies as much.
TOLERANCE = 0.02
# The rest of the search is skipped when less than this share of the time for settling is left, as on a machine that
# is suddenly busy.
LATE_SHARE = 0.6
# Seeding takes at most this share of the time left; larger batches are seeded where it would take more. (Trials: all
# shapes in one batch cost up to 0.2 dB; the number of steps between batches does not matter.)
SEEDING_SHARE = 0.2
# The pace of a step is a mean in which the last third of the steps count most, since it changes with the number of
# shapes. They are at most as many as are to come, and at least RECENT_STEPS; for all else at least RECENT_OTHERS.
RECENT = 1 / 3
RECENT_STEPS = 25
RECENT_OTHERS = 4
# A part that takes more than STILL times its mean was held up by other programs. The time lost in this way is counted
# apart, as a share of the time so far; at the beginning, of this share of all seconds besides.
STILL = 4
STILL_SHARE = 0.1

Paced = Grow | Search | Settle


@dataclass
class _Mean:
    """Mean of values of which the last ones count most; 0 if there is none yet."""

    value: float = 0.0
    count: int = 0

    def add(self, value: float, memory: float) -> None:
        """Takes a value in; about as many of the last ones as `memory` says count."""
        self.count += 1
        self.value += (value - self.value) / min(self.count, memory)


@dataclass(frozen=True)
class Place:
    """How far a run has come.

    Attributes:
        began: shapes that stood when the stage at work began.
        taken: steps of the stage at work that were taken.
        shapes: how many stand.
        step: optimiser steps of the run so far.
        seconds: of fitting so far.
    """

    began: int
    taken: int
    shapes: int
    step: int
    seconds: float


class Pacing:
    """Scales a plan to the seconds that are left, at the pace measured so far.

    What the stage at work still has to do keeps its proportion to what later stages have to do, and schedules go on
    from where they are: growth, search and settling take about the shares of the time that they have of the steps.

    Args:
        plan: the stages, with the most steps that the run may take.
        seconds: of fitting, in all.
    """

    def __init__(self, plan: Sequence[Paced], seconds: float) -> None:
        self.plan = plan
        self.seconds = seconds
        self.steps_max = sum(stage.steps for stage in plan)
        self._ahead = self.steps_max  # steps still to come
        self._still = 0.0  # seconds lost to other programs
        self._means: dict[type, _Mean] = {kind: _Mean() for kind in (Descend, Seed, Relocate, Remember)}
        self._settling = _Mean()  # of a step of descent that minimises another loss

    def measure(self, part: Part, seconds: float) -> None:
        """Takes note of how long a part took; of several steps of descent, one of them."""
        mean = self._means.get(type(part))
        if isinstance(part, Descend) and part.objective is not None:
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
        """How many of these steps of descent fit after so many seconds: at least one; all if no pace is known."""
        pace = self._settling.value or self._means[Descend].value
        return min(steps, max(1, int((self.seconds - seconds) / pace))) if pace > 0 else steps

    def steps_to_look(self, done: int) -> int:
        """How many steps may be taken after `done` parts before plan and time are compared again."""
        return LOOK_STEPS - done % LOOK_STEPS

    def is_due(self, rest: Sequence[Paced], done: int, part: Part, seconds: float) -> bool:
        """Whether to compare plan and time after `done` parts of its first stage, before this part."""
        return (
            isinstance(part, (Seed, Relocate))
            or (isinstance(rest[0], (Grow, Settle)) and done % LOOK_STEPS == 0)
            or self._is_late(rest, seconds)
        )

    def _is_late(self, rest: Sequence[Paced], seconds: float) -> bool:
        """Whether so little time is left that all stages before the settling have to be skipped."""
        settling = self.seconds * self.plan[-1].steps / max(1, self.steps_max)
        return len(rest) > 1 and self.seconds - seconds < LATE_SHARE * settling

    def replanned(self, rest: Sequence[Paced], place: Place) -> list[Paced] | None:
        """The rest of a plan with as many steps as fit; None where it has about as many, or no pace is known.

        Args:
            rest: the stage at work and those after it, as planned so far.
            place: how far the run has come.
        """
        work, *later = rest
        weights = [float(stage.steps) for stage in self.plan[-len(rest) :]]
        weights[0] *= 1 - work.progress(place.taken)
        if self._is_late(rest, place.seconds):
            weights[:-1] = [0.0] * len(later)
        costs = [weight * self._seconds_a_step(stage) for weight, stage in zip(weights, rest, strict=True)]
        if self._means[Descend].count < FIRST_STEPS or not sum(costs) > 0:
            return None
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

    def _seconds_a_step(self, stage: Paced) -> float:
        """What a step of a stage takes, with what belongs to it."""
        step, batch, relocation, snapshot = (mean.value for mean in self._means.values())
        if isinstance(stage, Settle) and stage.loss is not None:
            return self._settling.value or step
        if not isinstance(stage, Search):
            return step
        # Before the first relocation: it places about as many shapes as a batch has.
        return step + ((relocation or batch) + snapshot) / stage.every

    def _growth(self, stage: Grow, shapes: int, seconds: float) -> int:
        """Circles of a batch: more than planned where seeding would take too much of the seconds that are left."""
        most = max(1, int(SEEDING_SHARE * seconds / max(self._means[Seed].value, 1e-9)))
        return stage.growth if stage.batches(shapes) <= most else -(-(stage.count - shapes) // most)
