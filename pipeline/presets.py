"""Presets: the length of a run and how it spends its steps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """The number of steps of a run and how they are spent.

    Attributes:
        steps: total optimiser steps.
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


PRESETS = {
    "draft": Preset(370, 0.2, 0.16, 25, 0.3),
    "balanced": Preset(1700, 0.1, 0.1, 30, 0.45),
    "best": Preset(30000, 0.05, 0.08, 30, 0.5),
}
DEFAULT_PRESET = "balanced"


def by_preset(field: str) -> str:
    """The value of a field in each preset, as text for the default of an option."""
    return ", ".join(f"{getattr(preset, field)} in {name}" for name, preset in PRESETS.items())
