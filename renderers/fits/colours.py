"""How a picture depends on the colours of its rows, with everything else fixed: linearly.

With T_i the light that reaches row i from the front, and a_i what it covers, the picture is C = B b + Σ T_i a_i c_i.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..kernels.base import Kernel
from ..losses.model import LocalModel
from ..primitives.base import BLUE, RED
from ..scene import Scene

Array = np.ndarray[Any, Any]

_COLOUR = slice(RED, BLUE + 1)
# Pictures of random signs by which `curvature` is estimated, three channels each: a standard deviation of 60 %.
PROBES = 2


def slope(kernel: Kernel, scene: Scene, model: LocalModel) -> Array:
    """Half the derivative of the model's loss in each row's colour, (N, 3): Σ w T_i a_i e, with the error e."""
    error = (model.image - model.target) * model.shares[:, :, None]
    return _pulled(kernel, scene, error).astype(np.float64)


def curvature(kernel: Kernel, scene: Scene, model: LocalModel, rng: np.random.Generator) -> Array:
    """An estimate of Σ w (T_i a_i)² for each row, (N,): half the second derivative in one channel of its colour.

    The square of Σ r sqrt(w) T_i a_i, with random signs r, has this mean.

    Source: Hutchinson, "A stochastic estimator of the trace of the influence matrix", 1989.
    """
    root = np.sqrt(model.shares)[:, :, None]
    total = np.zeros(scene.count)
    for _ in range(PROBES):
        signs = rng.integers(0, 2, (*model.shares.shape, 3), np.int8) * 2 - 1
        total += np.square(_pulled(kernel, scene, signs * root).astype(np.float64)).mean(axis=1)
    return total / PROBES


def paint_shares(kernel: Kernel, scene: Scene, labels: Array, count: int, background: int | None) -> Array:
    """How much of each pixel shows rows of each label, (K, H, W) float32.

    Args:
        kernel: draws, three labels at a time as red, green and blue.
        scene: the rows.
        labels: (N,) the label of each row, 0 to K - 1.
        count: K.
        background: the label of the background; None if it has none.
    """
    planes = []
    for first in range(0, count, 3):
        three = np.arange(first, first + 3)
        rows = scene.rows.copy()
        rows[:, _COLOUR] = labels[:, None] == three
        red, green, blue = (float(background == k) for k in three.tolist())
        image = kernel.render(rows, scene.kinds, replace(scene.canvas, background=(red, green, blue)))
        planes.append(np.moveaxis(image, 2, 0))
    return np.concatenate(planes)[:count]


def _pulled(kernel: Kernel, scene: Scene, image_gradient: Array) -> Array:
    return kernel.vjp(scene.rows, scene.kinds, scene.canvas, image_gradient.astype(np.float32))[0][:, _COLOUR]
