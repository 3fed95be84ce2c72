"""Presets: how long a run takes, and how it spends its steps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """How many steps a run takes, and on what.

    Attributes:
        steps: optimiser steps in all.
        grow_share: share of them while growing.
        settle_share: share of them at the end, with falling rates.
        relocate_every: steps between two relocations.
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
    """The value of a field in each preset, in words: the default of an option that the preset sets."""
    return ", ".join(f"{getattr(preset, field)} in {name}" for name, preset in PRESETS.items())
