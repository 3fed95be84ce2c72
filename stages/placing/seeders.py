"""The table of seeders, which propose positions and sizes for a batch of new shapes.

`place` chooses among the candidates by their exact gain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .blur import blurred

Array = np.ndarray[Any, Any]

# (energy, count, radius, rng) -> x, y, radius of at least `count` candidates.
Seeder = Callable[[Array, int, float, "np.random.Generator"], tuple[Array, Array, Array]]

# Standard deviation of the log radius of new shapes: of small ones (trials: 0.1 to 0.4 are equal), and of those that
# have more candidates.
RADIUS_SPREAD = 0.25
RADIUS_SPREAD_CHOICE = 0.5
# Candidates per shape. Few shapes are large, and each has to suit a larger part of the picture: about `CHOICE`
# candidates for a canvas full of shapes, within these limits. (Trials: at 2048 shapes, 3, 8 and 20 gave equal losses;
# at 64, 24 with more spread gave 1.5 % less than 3, and 48 2.8 % less.)
CANDIDATES = 3
CANDIDATES_MOST = 48
CHOICE = 1000


def candidates_for(energy: Array, radius: float) -> int:
    """Candidates per new shape of this typical radius on the canvas of (H, W) energies."""
    tiling = energy.size / (np.pi * radius * radius)
    return int(np.clip(CHOICE / tiling, CANDIDATES, CANDIDATES_MOST))


def seed_by_error(energy: Array, count: int, radius: float, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Draws positions with probability proportional to the square of the blurred squared error.

    Args:
        energy: (H, W), weighted squared error of each pixel.
        count: number of shapes to place.
        radius: their typical size, pixels.
        rng: the random generator.
    """
    # float32 rounding of a 65,536-term sum biases the draw; use float64.
    candidates = candidates_for(energy, radius)
    spread = RADIUS_SPREAD if candidates == CANDIDATES else RADIUS_SPREAD_CHOICE
    cumulative = np.cumsum(np.square(blurred(energy, radius / 2), dtype=np.float64))
    if not cumulative[-1] > 0:
        return seed_at_random(energy, count * candidates, radius, rng)
    drawn = np.searchsorted(cumulative, rng.random(count * candidates) * cumulative[-1], side="right")
    drawn = np.minimum(drawn, energy.size - 1)
    width = energy.shape[1]
    x = drawn % width + rng.random(len(drawn))
    y = drawn // width + rng.random(len(drawn))
    return x, y, _radii(len(drawn), radius, spread, rng)


def seed_by_gain(energy: Array, count: int, radius: float, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """As `seed_by_error`, with four times the candidates and twice the spread of sizes."""
    x, y, _ = seed_by_error(energy, 4 * count, radius, rng)
    return x, y, _radii(len(x), radius, 2 * RADIUS_SPREAD, rng)


def seed_at_random(energy: Array, count: int, radius: float, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Draws positions uniformly over the canvas."""
    height, width = energy.shape
    x, y = rng.random(count) * width, rng.random(count) * height
    return x, y, _radii(count, radius, RADIUS_SPREAD, rng)


def seed_on_grid(energy: Array, count: int, radius: float, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Positions on the coarsest square grid with at least `count` points, shuffled; equal radii."""
    height, width = energy.shape
    longer, shorter = max(width, height), min(width, height)
    lines = max(1, int(np.ceil(np.sqrt(count * shorter / longer))))  # of the grid, along the longer side
    in_line = int(np.ceil(count / lines))
    points = rng.permutation(in_line * lines)[:count]
    along = (points % in_line + 0.5) * longer / in_line
    beside = (points // in_line + 0.5) * shorter / lines
    x, y = (along, beside) if width >= height else (beside, along)
    return x, y, np.full(count, radius)


def _radii(count: int, radius: float, spread: float, rng: np.random.Generator) -> Array:
    return radius * np.exp(spread * rng.standard_normal(count))


SEEDERS: dict[str, Seeder] = {
    "error": seed_by_error,
    "gain": seed_by_gain,
    "random": seed_at_random,
    "grid": seed_on_grid,
}
"""Name to seeder; the first is the default."""
