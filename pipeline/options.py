"""The options of a run, and the plan of stages that they make."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from artpipe.renderers import DEVICES, FITTING_RENDERERS, FitSettings, InputError, Rates, RendererOptions
from artpipe.renderers.base import RATE_MAX
from artpipe.renderers.checks import shown
from artpipe.renderers.losses.mse import MSE
from artpipe.renderers.losses.objective import check_guide, check_loss, objective_of
from artpipe.renderers.losses.table import LOSS_NAMES
from artpipe.renderers.options import (
    changed,
    check_options,
    documented,
    from_json,
    nested,
    option,
    option_of,
    settings_of,
    to_json,
)
from artpipe.renderers.primitives.base import THINNEST
from artpipe.stages.base import Stage
from artpipe.stages.grow import Grow
from artpipe.stages.limits import COUNT_MAX, POOL_MAX, PSNR_MAX, REDUCTION_MAX, SECONDS_MAX, STEPS_MAX
from artpipe.stages.palette import Palette
from artpipe.stages.pictures.colour_words import parse_colour
from artpipe.stages.pictures.palettes import check_palette, parse_palette, resolved_palette
from artpipe.stages.pictures.regions import DEFAULT_FLOOR, Region, check_focus, parse_focus
from artpipe.stages.pictures.sizes import parse_size
from artpipe.stages.placing.place import Newcomers
from artpipe.stages.refine import Settle
from artpipe.stages.relocate import Search

from .presets import DEFAULT_PRESET, FULL_COUNT, PRESETS, by_preset
from .ranges import parse_range
from .styles import STYLES, check_style, styled

Array = np.ndarray[Any, Any]

# Least shapes of a batch, and shapes of the pool over those of a batch. A batch costs about three steps: batches of 256
# took a third of the time of a draft with 20,000 shapes.
GROWTH_LEAST, BATCHES = 256, 10
# Canvases whose longer side is above LARGE (pixels) are reduced for growth and search, to at least so many pixels per
# shape and along the longer side. (Trials: with a quarter of these pixels per shape, the loss rises by 8 %.)
LARGE, PIXELS_PER_SHAPE, REDUCED_LEAST = 512, 100, 256

# Softness of hard edges (pixels): an anti-aliased rim.
HARD = 0.5
# The word for it, and the largest number that a range of lengths may hold, pixels.
HARD_WORD, LENGTH_MAX = "hard", 10_000.0

# Side of the canvas (pixels) and number of shapes for which the learning rate of positions was chosen. Larger shapes
# have farther to move: it grows with their typical size, by at most `FEW_SHAPES` on the same canvas.
RATED_SIDE, RATED_COUNT = 256, 2048
FEW_SHAPES = 5.0


def parse_background(text: str) -> tuple[float, float, float] | None:
    """The colour of a background option; None for "auto".

    Raises:
        InputError: it is not a colour.
    """
    return None if isinstance(text, str) and text == "auto" else parse_colour("background", text, "auto, ")


def _background(name: str, value: Any) -> str:
    del name
    parse_background(value)
    return str(value)


def _size(name: str, value: Any) -> str:
    """A size as text, as JSON stores it."""
    del name
    size = parse_size(value)
    if isinstance(value, str):
        return value
    return "x".join(map(str, size if isinstance(size, tuple) else (size,)))


def _mask(name: str, value: Any) -> str:
    if not isinstance(value, (str, Path)) or not str(value):
        raise InputError(f"{name} is {shown(value)}; needs the path of an image")
    return str(value)


def _focus(name: str, value: Any) -> tuple[Region, ...]:
    del name
    return check_focus(value)


def _radius(name: str, value: Any) -> str:
    return parse_range(name, value, THINNEST, LENGTH_MAX, share=True)[1]


def _softness(name: str, value: Any) -> str:
    return HARD_WORD if value == HARD_WORD else parse_range(name, value, 0.05, LENGTH_MAX, share=True)[1]


def _opacity(name: str, value: Any) -> str:
    return parse_range(name, value, 0.01, 1)[1]


# Groups of options in help and documentation.
GROWTH, STOP, PICTURE, LOOK, FOCUS = "growth", "stop", "picture", "look", "focus"
STYLE, SEARCH, RATES = "style", "search", "rates"


@documented
@dataclass(frozen=True)
class RunConfig:
    """The options of a run: with the picture, all that is needed to repeat it.

    Where `steps`, `relocate_every` or `relocate_fraction` is None, the preset decides.
    """

    # fmt: off
    growth: int | None = option_of(
        Grow, "growth", default=None, high=COUNT_MAX, group=GROWTH,
        unset=f"{GROWTH_LEAST}, or a tenth of the shapes during the search if that is more")
    count: int = option(2048, "Shapes at the end.", low=1, high=COUNT_MAX, flags=("-n", "--max"), group=GROWTH)
    shape: str = option_of(Newcomers, "shape", group=GROWTH)
    preset: str = option(
        DEFAULT_PRESET, "How long to take: about half a second, 2 or 25 seconds at 2048 circles.",
        choices=PRESETS, tunable=True, group=GROWTH)
    steps: int | None = option(
        None, "Optimiser steps.",
        unset=f"{by_preset('steps')}, fewer below {FULL_COUNT} shapes; with --seconds, those that fit",
        low=0, high=STEPS_MAX, tunable=(200, 5000), group=GROWTH)

    seconds: float | None = option(
        None, "Fit for this long; --steps may end it earlier.", unset="none",
        unit="seconds", low=0.001, high=SECONDS_MAX, group=STOP)
    target_psnr: float | None = option(
        None, "Stop once the PSNR reaches this value.", unset="none", unit="dB", low=0, high=PSNR_MAX, group=STOP)
    patience: int | None = option(
        None, "Settle and stop after this many steps without a lower loss.", unset="none",
        low=1, high=STEPS_MAX, group=STOP)

    renderer: str = option(FITTING_RENDERERS[0], "Framework that fits.", choices=FITTING_RENDERERS, group=PICTURE)
    device: str = option(RendererOptions.device, "Where the fit runs.", choices=DEVICES, group=PICTURE)
    seed: int = option(0, "Random seed.", low=0, high=2**63 - 1, group=PICTURE)
    loss: str = option(
        MSE.name, f"What is minimised: {LOSS_NAMES}, or a sum such as mse+0.2*ssim.",
        check=check_loss, metavar="LOSS", group=PICTURE)
    guide: str | None = option(
        None, "Class of ImageNet that the settling draws towards, such as lighthouse (extra guide).", unset="none",
        check=check_guide, metavar="CLASS", group=PICTURE)
    guide_weight: float = option(
        0.002, "Weight of the guide in the sum with the loss.", above=0, high=1000, advanced=True, group=PICTURE)
    size: str | int | tuple[int, int] | None = option(
        None, "Canvas in pixels: longest side, or width x height exactly.", unset="256; pixel art to 511",
        check=_size, metavar="N|WxH", group=PICTURE)
    background: str = option(
        "auto", "Colour behind the shapes: a CSS name, #rgb or #rrggbb; auto is the picture's mean, or a "
        "colour of the palette near it.",
        check=_background, metavar="auto|COLOUR", group=PICTURE)

    style: str | None = option(
        None, f"Set of options; those given beside it override it: {', '.join(STYLES)}, or a file such as mine.toml.",
        unset="none", check=check_style, metavar="STYLE|FILE", group=STYLE)

    radius: str | float | tuple[float | None, float | None] | None = option(
        None, "Size of the shapes in pixels such as 4..40, 4.. or 6, or in per cent of the longest side such as "
        "1%..10%: radius of a circle, both semi-axes of an ellipse, half the width of a stroke, farthest corner from "
        "the centroid of a triangle.", unset="from half a pixel to half the canvas",
        check=_radius, metavar="LOW..HIGH", group=LOOK)
    softness: str | float | tuple[float | None, float | None] | None = option(
        None, "Half the width of the edges in pixels such as 0.5..3 or 1, or in per cent of the longest "
        "side; hard is 0.5.", unset="free",
        check=_softness, metavar="LOW..HIGH|hard", group=LOOK)
    hard: bool = option(
        False, "Short form of --softness hard: a gouache look and a small SVG.", group=LOOK)
    opacity: str | float | tuple[float | None, float | None] | None = option(
        None, "Opacity of the shapes such as 0.6..1; 1 is opaque.", unset="free",
        check=_opacity, metavar="LOW..HIGH", group=LOOK)
    palette: str | int | tuple[str, ...] | None = option(
        None, "Colours of the shapes: a number for the best ones, colours such as '#0b132b,#f4d35e' or black,gold, a "
        "GIMP palette colours.gpl, or like:other.jpg for 8 colours of another picture (like:16:other.jpg).",
        unset="any", check=check_palette, metavar="N|COLOURS|FILE|like:FILE", group=LOOK)

    mask: str | Path | None = option(
        None, "Image with the picture's proportions; the picture counts more where it is white.", unset="none",
        check=_mask, metavar="FILE", group=FOCUS)
    focus: tuple[Region, ...] = option(
        (), "Round region that counts more: centre and radius as shares of width, height and longer side, such as "
        "0.5,0.4,0.2 or 50%,40%,20%; repeatable.", unset="none",
        check=_focus, read=parse_focus, metavar="X,Y,R", group=FOCUS)
    edges: float = option(
        0.0, "How much less smooth parts count than edges; 0.75 if no amount follows.",
        low=0, high=1, alone=0.75, metavar="[AMOUNT]", tunable=(0, 1), group=FOCUS)
    weight_floor: float = option(
        DEFAULT_FLOOR, "Smallest weight of mask, focus and edges over the largest.",
        low=0, high=1, advanced=True, tunable=(0, 0.5), group=FOCUS)

    seeder: str = option_of(Newcomers, "seeder", group=SEARCH)
    pool: float = option(
        1.25, "Shapes during the search, as a multiple of --max.",
        low=1, high=POOL_MAX, advanced=True, tunable=(1, 2), group=SEARCH)
    radius_scale: float = option_of(Newcomers, "radius_scale", group=SEARCH)
    relocate_every: int | None = option(
        None, "Steps between relocations.", unset=by_preset("relocate_every"),
        low=1, high=STEPS_MAX, advanced=True, tunable=(10, 90), group=SEARCH)
    relocate_fraction: float | None = option(
        None, "Share of shapes relocated at first; 0 disables the search.", unset=by_preset("relocate_fraction"),
        low=0, high=1, advanced=True, tunable=(0.2, 0.7), group=SEARCH)

    reduction: int | None = option(
        None, "Grow and search on a canvas smaller by this factor, then settle at full size.",
        unset=f"1 up to {LARGE} pixels, then the largest that leaves {PIXELS_PER_SHAPE} pixels per shape",
        low=1, high=REDUCTION_MAX, advanced=True, group=SEARCH)

    softness_min: float = option(
        FitSettings.softness_min, "Sharpest edge.", unit="pixels",
        low=0.001, high=1000, advanced=True, tunable=(0.05, 0.45), group=RATES)
    rates: Rates = nested(Rates, "Learning rates.", prefix="rate", group=RATES)
    # fmt: on

    def __post_init__(self) -> None:
        check_options(self)
        if self.hard and self.softness not in (None, HARD_WORD):
            raise InputError(f"softness is {shown(self.softness)}; leave out --hard, which is --softness hard")
        if self.guide is not None and "guide:" in self.loss:
            raise InputError(f"loss is {shown(self.loss)}; it has a guide already. Leave out --guide {self.guide}")

    @classmethod
    def of_style(cls, values: Mapping[str, Any], base: RunConfig | None = None) -> RunConfig:
        """A configuration with these options, by the names of settings, and below them those of their style.

        Args:
            values: what the user gave.
            base: the other options; defaults if not given.

        Raises:
            InputError: the style cannot be read, an option is unknown, or a value is not accepted.
        """
        return changed(base or cls(), styled(values, [setting.name for setting in settings_of(cls)]))

    @classmethod
    def of_arguments(cls, values: Mapping[str, Any]) -> RunConfig:
        """As `of_style`, from arguments: fields of this class, nested ones as a whole.

        Raises:
            InputError: as `of_style` and `from_json`.
        """
        if values.get("style") is None:
            return cls.from_json(dict(values))
        every = styled(values, [setting.name for setting in settings_of(cls)])
        own = {name: value for name, value in every.items() if name not in values}
        return cls.from_json({**changed(cls(), own).to_json(), **values})

    @property
    def filled(self) -> RunConfig:
        """This configuration with unset values from the preset; `steps` is the most that the run may take."""
        preset = PRESETS[self.preset]
        steps = self.steps
        if steps is None:
            steps = preset.steps_for(self.count) if self.seconds is None else STEPS_MAX
        return replace(
            self,
            steps=steps,
            relocate_every=self.relocate_every or preset.relocate_every,
            relocate_fraction=preset.relocate_fraction if self.relocate_fraction is None else self.relocate_fraction,
        )

    def plan(self) -> list[Stage]:
        """The stages: grow a pool, search while it shrinks to `count`, settle."""
        filled, preset = self.filled, PRESETS[self.preset]
        assert filled.steps is not None and filled.relocate_every is not None
        assert filled.relocate_fraction is not None
        reduction = self.reduction or 1
        newcomers = Newcomers(self.seeder, self.radius_scale, shape=self.shape)
        grow_steps = round(filled.steps * preset.grow_share)
        settle_steps = round(filled.steps * preset.settle_share)
        search_steps = filled.steps - grow_steps - settle_steps
        middle: list[Stage] = []
        if self.searches:
            every, fraction = filled.relocate_every, filled.relocate_fraction
            search = Search(search_steps, self.count, every, fraction, newcomers=newcomers)
            middle = [replace(search, reduction=reduction)]
        else:
            grow_steps += search_steps
        settle = Settle(settle_steps, self.settle_loss)
        growth = self.growth or max(GROWTH_LEAST, self.pool_count // BATCHES)
        grow = Grow(self.pool_count, growth, grow_steps, newcomers, reduction=reduction)
        return [grow, *middle, settle]

    @property
    def search_loss(self) -> str:
        """What growth and search minimise: `loss` without the terms that act in the settling only."""
        return objective_of(self.loss).searching.name

    @property
    def settle_loss(self) -> str | None:
        """What the settling minimises, if that is something else."""
        whole = self.loss if self.guide is None else f"{self.loss}+{self.guide_weight!r}*guide:{self.guide}"
        return None if whole == self.search_loss else whole

    @property
    def extent(self) -> tuple[float, str]:
        """The maximal length of the run and its unit: "steps", or "s" if only `seconds` limits it."""
        if self.steps is None and self.seconds is not None:
            return self.seconds, "s"
        return self.filled.steps or 0, "steps"

    @property
    def searches(self) -> bool:
        """Whether the plan has a search, and therefore a pool."""
        return self.steps != 0 and self.filled.relocate_fraction != 0

    def fitted(self, width: int, height: int) -> RunConfig:
        """This configuration for a canvas: at most one shape per pixel, and the reduction if none is given.

        Args:
            width: pixels.
            height: pixels.
        """
        count = min(self.count, width * height)
        longer, reduction = max(width, height), self.reduction
        if reduction is None and longer > LARGE:
            most = math.isqrt(width * height // (count * PIXELS_PER_SHAPE))
            reduction = min(most, longer // REDUCED_LEAST, REDUCTION_MAX)
        return replace(self, count=count, reduction=None if reduction == 0 else reduction)

    @property
    def pool_share(self) -> float:
        """Shapes of the pool over those at the end; 1 without a search."""
        return self.pool if self.searches else 1.0

    @property
    def pool_count(self) -> int:
        """The largest number of shapes that the run holds at any time."""
        return round(self.count * self.pool_share)

    def fit_settings(self, width: int, height: int) -> FitSettings:
        """The settings of the fit on a canvas of this size, pixels."""
        longest = max(width, height)
        size = math.sqrt(width * height) / RATED_SIDE * min(FEW_SHAPES, math.sqrt(RATED_COUNT / self.count))
        position = min(RATE_MAX, self.rates.position * max(1.0, size))
        softness: tuple[float, float | None] = self.softness_min, None
        if self.hard or self.softness == HARD_WORD:
            softness = HARD, HARD
        elif self.softness is not None:
            softness = parse_range("softness", self.softness, 0.05, LENGTH_MAX, share=True)[0].on(
                longest, min(self.softness_min, 0.05), LENGTH_MAX
            )
        radius, opacity = FitSettings.radius, FitSettings.opacity
        if self.radius is not None:
            radius = parse_range("radius", self.radius, THINNEST, LENGTH_MAX, share=True)[0].on(longest, 0.0, math.inf)
            radius = radius[0], max(radius[1], THINNEST)
        if self.opacity is not None:
            opacity = parse_range("opacity", self.opacity, 0.01, 1)[0].on(longest, 0.0, 1.0)
        return FitSettings(
            rates=replace(self.rates, position=position, colour=0.0 if self.palette is not None else self.rates.colour),
            softness_min=softness[0],
            softness_max=softness[1],
            radius=radius,
            opacity=opacity,
            loss=self.search_loss,
            capacity=self.pool_count,
        )

    @property
    def resolved(self) -> RunConfig:
        """This configuration with the colours of files in place of their paths, so that it can be repeated without.

        Raises:
            InputError: a file cannot be read.
        """
        return self if self.palette is None else replace(self, palette=resolved_palette(str(self.palette)))

    @property
    def colours(self) -> Palette | None:
        """The colours that shapes may have; None if any. `palette` is resolved first."""
        palette = self.resolved.palette
        return None if palette is None else parse_palette(str(palette), self.background == "auto")

    @property
    def is_weighted(self) -> bool:
        """Whether pixels have different weights."""
        return self.mask is not None or bool(self.focus) or self.edges > 0

    def weights(self, target: Array, picture: Any = None, mask: Any = None) -> Array | None:
        """Pixel weights for a target, (H, W); None if all are equal.

        Args:
            target: (H, W, 3 or 4).
            picture: the source of the target, whose proportions the mask must have; by default those of the target.
            mask: an image to use instead of the file `self.mask`.

        Raises:
            InputError: the mask is invalid.
        """
        from artpipe.stages.pictures.weights import load_mask, weights_for

        mask = self.mask if mask is None else mask
        if mask is None and not self.is_weighted:
            return None
        height, width = target.shape[:2]
        shades = None if mask is None else load_mask(mask, width, height, picture)
        return weights_for(target, shades, self.focus, self.edges, self.weight_floor)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `run.json`."""
        return to_json(self)

    @classmethod
    def from_json(cls, values: Any) -> RunConfig:
        """The configuration from the output of `to_json`.

        Raises:
            InputError: a key is unknown, or a value has another type or is out of range.
        """
        return from_json(cls, values)


STOP_RULES = tuple(setting.name for setting in settings_of(RunConfig) if setting.option.group == STOP)
"""The options that end a run early."""
