"""The table of seeders: where a new batch of shapes might stand, and how large.

A seeder only proposes. Which of its candidates are painted, and in what colour, `placing` decides by their
exact gain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .energy import blurred

Array = np.ndarray[Any, Any]

# (energy, count, radius, rng) -> x, y, radius of the candidates, at least `count` of them.
Seeder = Callable[[Array, int, float, "np.random.Generator"], tuple[Array, Array, Array]]

# Spread of log radius about the size that would tile the canvas (trials: 0.1 to 0.4 are equal).
RADIUS_SPREAD = 0.25
# Candidates for each circle that is wanted: 3, 8 and 20 were equal, so the cheapest.
CANDIDATES = 3


def seed_by_error(energy: Array, count: int, radius: float, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Draws positions with probability proportional to the square of the blurred squared error.

    Args:
        energy: (H, W), squared error of each pixel, weighted.
        count: shapes that are wanted.
        radius: their typical size, pixels.
        rng: the generator.
    """
    # float64: the sum of 65536 float32 probabilities is off by more than a draw can bear.
    chances = np.cumsum(np.square(blurred(energy, radius / 2), dtype=np.float64))
    if not chances[-1] > 0:
        return seed_at_random(energy, count * CANDIDATES, radius, rng)
    drawn = np.searchsorted(chances, rng.random(count * CANDIDATES) * chances[-1], side="right")
    drawn = np.minimum(drawn, energy.size - 1)
    width = energy.shape[1]
    x = drawn % width + rng.random(len(drawn))
    y = drawn // width + rng.random(len(drawn))
    return x, y, _radii(len(drawn), radius, RADIUS_SPREAD, rng)


def seed_by_gain(energy: Array, count: int, radius: float, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """As `seed_by_error`, with four times the candidates and twice the spread of sizes: greedier."""
    x, y, _ = seed_by_error(energy, 4 * count, radius, rng)
    return x, y, _radii(len(x), radius, 2 * RADIUS_SPREAD, rng)


def seed_at_random(energy: Array, count: int, radius: float, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Positions anywhere, alike."""
    height, width = energy.shape
    x, y = rng.random(count) * width, rng.random(count) * height
    return x, y, _radii(count, radius, RADIUS_SPREAD, rng)


def seed_on_grid(energy: Array, count: int, radius: float, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Positions on the coarsest square grid with enough places, shuffled; radii all the same."""
    height, width = energy.shape
    longer, shorter = max(width, height), min(width, height)
    lines = max(1, int(np.ceil(np.sqrt(count * shorter / longer))))  # of the grid, along the longer side
    in_line = int(np.ceil(count / lines))
    places = rng.permutation(in_line * lines)[:count]
    along = (places % in_line + 0.5) * longer / in_line
    beside = (places // in_line + 0.5) * shorter / lines
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
