"""All options of a run in one place: what a user may set, the presets, and the plan of stages they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from artpipe.renderers import DEVICES, FITTING_RENDERERS, FitSettings, InputError, Rates
from artpipe.renderers.checks import choice, instance, real_number, unknown, whole_number
from artpipe.stages.base import Stage
from artpipe.stages.formats.scene_arrays import ROWS_MAX
from artpipe.stages.grow import Grow
from artpipe.stages.pictures.colour_words import parse_colour
from artpipe.stages.pictures.picture import parse_size
from artpipe.stages.pictures.weights import DEFAULT_FLOOR, Region, check_focus, load_mask, weights_for
from artpipe.stages.placing.place import Newcomers
from artpipe.stages.placing.seeders import SEEDERS
from artpipe.stages.refine import Settle
from artpipe.stages.relocate import Search

Array = np.ndarray[Any, Any]

COUNT_MAX = ROWS_MAX  # what a scene file holds
STEPS_MAX = 10_000_000
SECONDS_MAX = 1e7  # four months
PSNR_MAX = 200.0  # dB; float32 ends at about 140


@dataclass(frozen=True)
class Preset:
    """How long a run takes its time, and on what.

    Attributes:
        steps: optimiser steps in all.
        grow_share: share of them while growing.
        settle_share: share of them at the end, with falling rates.
        relocate_every: steps between two relocations.
        relocate_fraction: share of circles relocated at first; falls to 0.
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
_FILLED_BY_PRESET = ("steps", "relocate_every", "relocate_fraction")
STOP_RULES = ("seconds", "target_psnr", "patience")


@dataclass(frozen=True)
class RunConfig:
    """What a run does, given a picture. Everything that `run.json` needs to repeat it.

    Attributes:
        growth: circles of a batch.
        most: circles that stand at the end (`--max`).
        preset: a key of `PRESETS`; fills what is None below.
        steps: optimiser steps in all; the preset's, or with `seconds` as many as fit, if None.
        renderer: "jax" or "torch".
        device: "auto", "cpu" or "cuda".
        seed: of the random generator.
        size: of the canvas: "384" or 384 (longest side), or "256x256"; None: 256, arrays as they are. Kept as text.
        background: "auto" (mean colour), "white", "black" or "#rrggbb".
        seeder: where new circles are sought.
        pool: circles in the search over those at the end.
        radius_scale: size of new circles over that of discs that would tile the canvas.
        softness_min: the sharpest edge, pixels.
        relocate_every: steps between two relocations.
        relocate_fraction: share relocated at first, 0..1.
        rates: learning rates.
        seconds: of fitting, in which the run grows, searches and settles; None for as many as the steps take.
        target_psnr: dB at which the run ends; None for none.
        patience: optimiser steps without a better loss after which the run settles and ends; None for any number.
        mask: image file whose white parts count more; None for none.
        focus: round regions that count more: x, y, radius as shares of width, height and longer side, 0..1.
        edges: how much smooth parts lose against edges, 0..1.
        weight_floor: what counts least over what counts most, 0..1, where mask, focus or edges are given.
    """

    growth: int = 256
    most: int = 2048
    preset: str = DEFAULT_PRESET
    steps: int | None = None
    renderer: str = "jax"
    device: str = "auto"
    seed: int = 0
    size: str | int | tuple[int, int] | None = None
    background: str = "auto"
    seeder: str = "error"
    pool: float = 1.25
    radius_scale: float = 1.2
    softness_min: float = 0.15
    relocate_every: int | None = None
    relocate_fraction: float | None = None
    rates: Rates = field(default_factory=Rates)
    seconds: float | None = None
    target_psnr: float | None = None
    patience: int | None = None
    mask: str | Path | None = None
    focus: tuple[Region, ...] = ()
    edges: float = 0.0
    weight_floor: float = DEFAULT_FLOOR

    def __post_init__(self) -> None:
        for name, choices in (
            ("preset", PRESETS), ("renderer", FITTING_RENDERERS), ("device", DEVICES), ("seeder", SEEDERS),
        ):  # fmt: skip
            choice(name, getattr(self, name), choices)
        for name, kind, low, high in (
            ("growth", int, 1, COUNT_MAX), ("most", int, 1, COUNT_MAX), ("steps", int, 0, STEPS_MAX),
            ("seed", int, 0, 2**63 - 1), ("relocate_every", int, 1, STEPS_MAX), ("relocate_fraction", float, 0, 1),
            ("pool", float, 1, 4), ("radius_scale", float, 0.05, 20), ("softness_min", float, 0.001, 1000),
            ("seconds", float, 0.001, SECONDS_MAX), ("target_psnr", float, 0, PSNR_MAX),
            ("patience", int, 1, STEPS_MAX), ("edges", float, 0, 1), ("weight_floor", float, 0, 1),
        ):  # fmt: skip
            value = getattr(self, name)
            if value is None and name in (*_FILLED_BY_PRESET, *STOP_RULES):
                continue
            check: Any = whole_number if kind is int else real_number
            object.__setattr__(self, name, check(name, value, low, high))
        instance("rates", self.rates, Rates)
        if self.size is not None:
            size = parse_size(self.size)
            if not isinstance(self.size, str):
                object.__setattr__(self, "size", "x".join(map(str, size if isinstance(size, tuple) else (size,))))
        parse_background(self.background)
        if isinstance(self.mask, Path):
            object.__setattr__(self, "mask", str(self.mask))
        if self.mask is not None and (not isinstance(self.mask, str) or not self.mask):
            raise InputError(f"mask is {self.mask!r}; needs the path of an image")
        object.__setattr__(self, "focus", check_focus(self.focus))

    @property
    def filled(self) -> RunConfig:
        """This configuration with the preset's numbers where none were given; of steps the most that it may take."""
        preset = PRESETS[self.preset]
        return replace(
            self,
            steps=(preset.steps if self.seconds is None else STEPS_MAX) if self.steps is None else self.steps,
            relocate_every=self.relocate_every or preset.relocate_every,
            relocate_fraction=preset.relocate_fraction if self.relocate_fraction is None else self.relocate_fraction,
        )

    def plan(self) -> list[Stage]:
        """Grow a pool, search while it shrinks to `most`, settle."""
        filled, preset = self.filled, PRESETS[self.preset]
        assert filled.steps is not None and filled.relocate_every is not None
        assert filled.relocate_fraction is not None
        newcomers = Newcomers(self.seeder, self.radius_scale)
        grow_steps = round(filled.steps * preset.grow_share)
        settle_steps = round(filled.steps * preset.settle_share)
        search_steps = filled.steps - grow_steps - settle_steps
        middle: list[Stage] = []
        if self.searches:
            middle = [
                Search(search_steps, self.most, filled.relocate_every, filled.relocate_fraction, newcomers=newcomers)
            ]
        else:
            grow_steps += search_steps
        return [Grow(self.pool_count, self.growth, grow_steps, newcomers), *middle, Settle(settle_steps)]

    @property
    def extent(self) -> tuple[float, str]:
        """How long a run is at most, and in which unit: steps, or seconds (s) where they alone end it."""
        if self.steps is None and self.seconds is not None:
            return self.seconds, "s"
        return self.filled.steps or 0, "steps"

    @property
    def searches(self) -> bool:
        """Whether the plan has a search, and so a pool."""
        return self.steps != 0 and self.filled.relocate_fraction != 0

    @property
    def pool_share(self) -> float:
        """Circles of the pool over those at the end; 1 without a search."""
        return self.pool if self.searches else 1.0

    @property
    def pool_count(self) -> int:
        """Most circles that a run holds at any time."""
        return round(self.most * self.pool_share)

    def fit_settings(self) -> FitSettings:
        """What the fit needs to know."""
        return FitSettings(rates=self.rates, softness_min=self.softness_min, capacity=self.pool_count)

    @property
    def is_weighted(self) -> bool:
        """Whether some pixels count more than others."""
        return self.mask is not None or bool(self.focus) or self.edges > 0

    def weights(self, target: Array, picture: Any = None, mask: Any = None) -> Array | None:
        """What each pixel of a target counts, (H, W); None if all count the same.

        Args:
            target: (H, W, 3 or 4).
            picture: what it was made from, whose proportions the mask has to have; else those of the target.
            mask: an image in place of the one that `mask` names.

        Raises:
            InputError: the mask cannot be used.
        """
        mask = self.mask if mask is None else mask
        if mask is None and not self.is_weighted:
            return None
        height, width = target.shape[:2]
        shades = None if mask is None else load_mask(mask, width, height, picture)
        return weights_for(target, shades, self.focus, self.edges, self.weight_floor)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `run.json`."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "rates"}
        focus = [list(region) for region in self.focus]
        return {**values, "focus": focus, "rates": {f.name: getattr(self.rates, f.name) for f in fields(Rates)}}

    @classmethod
    def from_json(cls, values: Any) -> RunConfig:
        """The configuration from what `to_json` gave.

        Raises:
            InputError: a key is unknown, or a value has another type or is out of range.
        """
        if not isinstance(values, dict):
            raise InputError("options need to be a JSON object")
        known = {f.name for f in fields(cls)}
        strange = sorted(set(values) - known, key=str)
        if strange:
            raise unknown("option", map(str, strange), known)
        rates = values.get("rates", {})
        if isinstance(rates, Mapping):
            names = {f.name for f in fields(Rates)}
            if not names.issuperset(rates):
                raise unknown("rate", [str(name) for name in rates if name not in names], names)
            rates = Rates(**rates)
        return cls(**{**values, "rates": rates})


def parse_background(text: str) -> tuple[float, float, float] | None:
    """The colour that a background option names; None for "auto".

    Raises:
        InputError: it is none.
    """
    return None if isinstance(text, str) and text == "auto" else parse_colour("background", text, "auto, ")
