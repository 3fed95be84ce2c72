"""Placing a batch: candidates from a seeder, painted in the order of their exact gain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from artpipe.renderers import InputError, Scene
from artpipe.renderers.checks import choice, shown
from artpipe.renderers.options import check_options, documented, option
from artpipe.renderers.primitives.base import radius_limits
from artpipe.renderers.primitives.circle import CIRCLE
from artpipe.renderers.primitives.table import PRIMITIVES

from ..base import Run
from .seeders import SEEDERS

Array = np.ndarray[Any, Any]

RADIUS_MIN = 0.8  # pixels; smaller newcomers rarely outlive their first relocation


def _shape(name: str, value: Any) -> str:
    """Names of primitives by comma, each once."""
    words = [word.strip() for word in value.split(",")] if isinstance(value, str) else [value]
    for word in words:
        choice(name, word, PRIMITIVES)
    if len(set(words)) < len(words):
        raise InputError(f"{name} is {shown(value)}; needs each shape once")
    return ",".join(words)


@documented
@dataclass(frozen=True)
class Newcomers:
    """How new shapes look.

    Attributes:
        softness_share: their softness over their radius, or half their thickness.
        opacity: the most that they start with, 0..1. Each gets the opacity of its largest gain.
        opacity_min: the least that they start with; fainter ones have no gradient to grow by.
        opacity_plain: what those start with that no opacity makes a gain. At the full opacity they tear
            the picture up, and it takes the descent longer to mend it (trials: 3 % of the loss).
    """

    seeder: str = option("error", "Where new shapes are sought.", choices=SEEDERS, advanced=True, tunable=True)
    radius_scale: float = option(
        1.2, "Typical radius of new shapes over that of equal discs that tile the canvas.", low=0.05, high=20,
        advanced=True, tunable=(0.6, 2.4),
    )  # fmt: skip
    softness_share: float = 0.3
    opacity: float = 0.95
    opacity_min: float = 0.3
    opacity_plain: float = 0.5
    shape: str = option(
        CIRCLE.name, f"What is painted: {', '.join(PRIMITIVES)}. Of several by comma, each newcomer takes the best.",
        check=_shape, metavar="SHAPE[,SHAPE]",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_options(self)


def place(run: Run, scene: Scene, count: int, crowd: int, newcomers: Newcomers) -> Scene:
    """The scene with `count` new shapes on top, where the picture is wrong.

    Args:
        run: target, shares and generator.
        scene: what they are painted on.
        count: how many.
        crowd: how many shapes will stand then; sets their size.
        newcomers: how they look.
    """
    canvas = scene.canvas
    radius = newcomers.radius_scale * np.sqrt(canvas.width * canvas.height / (np.pi * max(1, crowd)))
    model = run.fit.model(scene)
    x, y, radii = SEEDERS[newcomers.seeder](model.energy, count, radius, run.rng)
    _, radius_max = radius_limits(canvas.width, canvas.height, run.settings.softness_min)
    radii = np.clip(radii, RADIUS_MIN, radius_max)
    column = np.clip(x.astype(int), 0, canvas.width - 1)
    line = np.clip(y.astype(int), 0, canvas.height - 1)
    primitives = [PRIMITIVES[name] for name in newcomers.shape.split(",")]
    coherence = angle = np.zeros(len(x))
    if any(primitive.is_directed for primitive in primitives):
        coherence, angle = run.directions.at(x, y, radius)
    colour = run.flat_target[line, column]  # what they keep where no pixel counts
    candidates = Scene.empty(canvas)
    for primitive in primitives:
        seeded = primitive.seed(x, y, radii, coherence, angle, run.rng)
        shape = {
            own.name: np.asarray(values, np.float32) for own, values in zip(primitive.columns, seeded, strict=True)
        }
        softness = newcomers.softness_share * primitive.thickness(list(shape.values()))
        softness = np.clip(softness, run.settings.softness_min, run.settings.softness_most)
        seeds = Scene.of(primitive, canvas, shape, colour, newcomers.opacity, softness)
        candidates = candidates.append(seeds.rows, seeds.kinds)
    costs = np.repeat(np.array([primitive.width for primitive in primitives], np.float32), len(x))
    chosen, rows = run.fit.place(model, candidates.rows, candidates.kinds, costs, count, newcomers.opacity_min)
    scene = scene.append(rows, candidates.kinds[chosen])
    if len(chosen) < count:  # nothing left would lower the loss: the rest are plain draws
        rest = np.delete(np.arange(candidates.count), chosen)[: count - len(chosen)]
        plain = candidates.select(rest).with_columns(opacity=newcomers.opacity_plain)
        scene = scene.append(run.fit.coloured(model, plain.rows, plain.kinds), plain.kinds)
    return scene
