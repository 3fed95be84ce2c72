"""The seed project's own method, reproduced exactly except for the renderer, which is the kernel of all contestants.

All circles at once, from logits drawn evenly from [-2, 2]; every value is a logistic function of its logit; the
logistic edge with a softness of 10 px²; a white canvas; Adam at 0.05 for all parameters. Its loss is the mean squared
error of values in [-1, 1], 4 x ours, which matters because Adam's epsilon is not scaled with it.

Source: the public repository conflictednerd/differentiable-renderer, 2025, whose README publishes the losses.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from artpipe.renderers import Canvas, Scene
from artpipe.renderers.primitives.circle import CIRCLE
from artpipe.renderers.row_layout import columns_of

from .descent import Descent, Optimiser, Problem, open_descent

Array = np.ndarray[Any, Any]

SPREAD = 2.0
SOFTNESS = 10.0  # px²
RATE = 0.05
_PARAMETERS = ("x", "y", "radius", "red", "green", "blue", "opacity")
_ADAM = Optimiser(("adam", {}), ("Adam", {}))


def open_baseline(renderer: str, target: Array, count: int, seed: int) -> Descent:
    """The method on a target, compiled.

    Args:
        renderer: "jax" or "torch".
        target: (H, W, 3) float32, sRGB in 0..1.
        count: circles.
        seed: of the first logits, which are those of `jax.random.PRNGKey(seed)` in both frameworks.
    """
    height, width = target.shape[:2]
    canvas = Canvas(width, height, (1.0, 1.0, 1.0), "logistic")
    nowhere = np.zeros(count)
    blank = Scene.circles(canvas, x=nowhere, y=nowhere, radius=1.0, colour=np.zeros((count, 3)), softness=SOFTNESS)

    def rows(raw: Any, xp: Any, sigmoid: Any) -> Any:
        columns = {name: sigmoid(raw[:, k]) for k, name in enumerate(_PARAMETERS)}
        # The seed project has pixel centres at whole numbers, ours are half a pixel further.
        columns["x"] = columns["x"] * width + 0.5
        columns["y"] = columns["y"] * height + 0.5
        columns["radius"] = columns["radius"] * (min(width, height) / 2) + 1.0
        columns["softness"] = xp.full_like(columns["x"], SOFTNESS)
        return xp.stack([columns[column.name] for column in columns_of(CIRCLE)], 1)

    raw = np.ascontiguousarray(first_logits(count, seed)[::-1])  # its row 0 is in front
    rate, infinity = (np.full((1, 1), value, np.float32) for value in (RATE, np.inf))
    return open_descent(renderer, Problem(target, blank, raw, rows, rate, (-infinity, infinity), 4.0), _ADAM)


def first_logits(count: int, seed: int) -> Array:
    """(count, 7) float32: x, y, radius, red, green, blue, opacity; front to back."""
    import jax

    key = jax.random.PRNGKey(seed)
    return np.asarray(jax.random.uniform(key, (count, len(_PARAMETERS)), minval=-SPREAD, maxval=SPREAD))
