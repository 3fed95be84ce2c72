"""Placing a batch of shapes: candidates from a seeder, chosen greedily by their exact gain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from artpipe.renderers import InputError, Scene
from artpipe.renderers.checks import choice, shown
from artpipe.renderers.options import check_options, documented, option
from artpipe.renderers.primitives.base import Look, radius_limits
from artpipe.renderers.primitives.circle import CIRCLE
from artpipe.renderers.primitives.table import PRIMITIVES

from ..base import Run
from ..palette import OPACITY_MIN
from .seeders import SEEDERS

Array = np.ndarray[Any, Any]

RADIUS_MIN = 0.8  # pixels; smaller newcomers rarely outlive their first relocation


def _check_shape(name: str, value: Any) -> str:
    """Comma-separated names of primitives, checked."""
    words = [word.strip() for word in value.split(",")] if isinstance(value, str) else [value]
    for word in words:
        choice(name, word, PRIMITIVES)
    if len(set(words)) < len(words):
        raise InputError(f"{name} is {shown(value)}; needs each shape at most once")
    return ",".join(words)


@documented
@dataclass(frozen=True)
class Newcomers:
    """Appearance of new shapes.

    Attributes:
        softness_share: softness relative to the radius, or to half the thickness.
        opacity: upper limit of the initial opacity, 0..1. Each shape gets the opacity of its largest gain.
        opacity_min: lower limit of the initial opacity; fainter shapes have too little gradient to grow.
        opacity_plain: opacity of candidates whose best gain is not positive. At full opacity they damage the picture
            more than the optimiser can repair (trials: 3 % of the loss).
    """

    seeder: str = option(
        "error", "How positions of new shapes are proposed.", choices=SEEDERS, advanced=True, tunable=True
    )
    radius_scale: float = option(
        1.2, "Typical radius of new shapes, relative to equal discs that tile the canvas.", low=0.05, high=20,
        advanced=True, tunable=(0.6, 2.4),
    )  # fmt: skip
    softness_share: float = 0.3
    opacity: float = 0.95
    opacity_min: float = 0.3
    opacity_plain: float = 0.5
    shape: str = option(
        CIRCLE.name, f"Shapes: {', '.join(PRIMITIVES)}. Of a comma-separated list, each newcomer takes the best.",
        check=_check_shape, metavar="SHAPE[,SHAPE]",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_options(self)


def place(run: Run, scene: Scene, count: int, total_count: int, newcomers: Newcomers) -> Scene:
    """The scene with `count` new shapes on top, where the error is large.

    Args:
        run: the fit, the target and the random generator.
        scene: the scene to add to.
        count: number of new shapes.
        total_count: number of shapes after the batch is complete; determines the size of the new ones.
        newcomers: their appearance.
    """
    canvas = scene.canvas
    radius = newcomers.radius_scale * np.sqrt(canvas.width * canvas.height / (np.pi * max(1, total_count)))
    look = run.settings.look
    radius_min, radius_max = radius_limits(canvas.width, canvas.height, look)
    radius = min(max(radius, look.radius[0]), look.radius[1])
    model = run.fit.model(scene)
    x, y, radii = SEEDERS[newcomers.seeder](model.energy, count, radius, run.rng)
    radii = np.clip(radii, max(RADIUS_MIN, radius_min), radius_max)
    column = np.clip(x.astype(int), 0, canvas.width - 1)
    line = np.clip(y.astype(int), 0, canvas.height - 1)
    primitives = [PRIMITIVES[name] for name in newcomers.shape.split(",")]
    coherence = angle = np.zeros(len(x))
    if any(primitive.is_directed for primitive in primitives):
        coherence, angle = run.level.directions.at(x, y, radius)
    colour = run.level.flat_target[line, column]  # kept where all pixel weights are 0
    candidates = Scene.empty(canvas)
    for primitive in primitives:
        seeded = primitive.seed(x, y, radii, coherence, angle, run.rng)
        shape = {
            own.name: np.asarray(values, np.float32) for own, values in zip(primitive.columns, seeded, strict=True)
        }
        softness = newcomers.softness_share * primitive.thickness(list(shape.values()))
        opacity = np.clip(newcomers.opacity, *look.opacity)
        seeds = Scene.of(primitive, canvas, shape, colour, opacity, np.clip(softness, *look.softness))
        candidates = candidates.append(seeds.rows, seeds.kinds)
    if (look.radius, look.opacity) != (Look.radius, Look.opacity):
        candidates = candidates.with_rows(run.fit.within(candidates.rows, candidates.kinds))
    least = newcomers.opacity_min if run.palette is None else min(OPACITY_MIN, newcomers.opacity_min)
    opacity_min, opacity_plain = (float(np.clip(value, *look.opacity)) for value in (least, newcomers.opacity_plain))
    costs = np.repeat(np.array([primitive.width for primitive in primitives], np.float32), len(x))
    chosen, rows = run.fit.place(model, candidates.rows, candidates.kinds, costs, count, opacity_min)
    scene = scene.append(rows, candidates.kinds[chosen])
    if len(chosen) < count:  # no other candidate lowers the loss: add the first unchosen ones
        rest = np.delete(np.arange(candidates.count), chosen)[: count - len(chosen)]
        plain = candidates.select(rest).with_columns(opacity=opacity_plain)
        scene = scene.append(run.fit.coloured(model, plain.rows, plain.kinds), plain.kinds)
    return scene
