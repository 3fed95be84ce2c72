"""Presets: the length of a run and how it spends its steps."""

from __future__ import annotations

from dataclasses import dataclass

# From this number of shapes on, a run takes all steps of its preset. Below, steps grow with the number of shapes, but
# less than in proportion, since the search for the place of each shape matters the more. (Trials: half the steps cost
# 3 % of the loss at any number; with 16 to 256 shapes, more candidates and longer steps make up for it.)
FULL_COUNT = 512
STEPS_POWER = 1 / 3


@dataclass(frozen=True)
class Preset:
    """The number of steps of a run and how they are spent.

    Attributes:
        steps: total optimiser steps at `FULL_COUNT` shapes or more; see `steps_for`.
        grow_share: share of the steps spent growing.
        settle_share: share of the steps at the end, with falling learning rates.
        relocate_every: steps between relocations.
        relocate_fraction: share of shapes relocated at first; falls to 0.
    """

    steps: int
    grow_share: float
    settle_share: float
    relocate_every: int
    relocate_fraction: float

    def steps_for(self, count: int) -> int:
        """Total optimiser steps for this number of shapes, at least one."""
        return max(1, round(self.steps * min(1.0, count / FULL_COUNT) ** STEPS_POWER))


PRESETS = {
    "draft": Preset(370, 0.1, 0.12, 25, 0.45),
    "balanced": Preset(1550, 0.05, 0.08, 30, 0.45),
    "best": Preset(20000, 0.015, 0.03, 30, 0.5),
}
DEFAULT_PRESET = "balanced"


def by_preset(field: str) -> str:
    """The value of a field in each preset, as text for the default of an option."""
    return ", ".join(f"{getattr(preset, field)} in {name}" for name, preset in PRESETS.items())
