"""The local direction of a picture, along edges and lines, from its structure tensor."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from .blur import blurred

Array = np.ndarray[Any, Any]

# Standard deviations of the blurs before and after the gradient, relative to the radius of newcomers.
BEFORE, AFTER = 0.25, 0.6
# Radii are rounded to a power of this, so that a shrinking pool rarely needs another tensor.
_STEP = 2**0.25


class Directions:
    """The structure tensors of one picture.

    Args:
        picture: (H, W, 3).
    """

    def __init__(self, picture: Array) -> None:
        self._picture = np.asarray(picture, np.float32)
        self._of_size = lru_cache(maxsize=4)(self._tensor)

    def at(self, x: Array, y: Array, radius: float) -> tuple[Array, Array]:
        """Coherence and direction at the given positions.

        Args:
            x: (N,) pixels.
            y: (N,) pixels.
            radius: size of the shapes to be placed there, pixels.

        Returns:
            (N,) coherence in 0..1, and (N,) angles along edges, radians from x towards y.
        """
        coherence, angle = self._of_size(round(np.log(max(radius, 0.5)) / np.log(_STEP)))
        height, width = coherence.shape
        column, line = np.clip(x.astype(int), 0, width - 1), np.clip(y.astype(int), 0, height - 1)
        return coherence[line, column], angle[line, column]

    def _tensor(self, size: int) -> tuple[Array, Array]:
        """Coherence and angle, (H, W) each, for radii around `_STEP ** size`.

        The tensor sums over channels (Di Zenzo, A note on the gradient of a multi-image, 1986).
        """
        radius = _STEP**size
        xx = xy = yy = np.zeros(self._picture.shape[:2], np.float32)
        for channel in np.moveaxis(self._picture, 2, 0):
            across, down = _gradient(blurred(channel, BEFORE * radius))
            xx, xy, yy = xx + across * across, xy + across * down, yy + down * down
        # `blurred` takes non-negative planes, so xy is blurred as the difference of two.
        xx, yy = blurred(xx, AFTER * radius), blurred(yy, AFTER * radius)
        xy = blurred(np.maximum(xy, 0), AFTER * radius) - blurred(np.maximum(-xy, 0), AFTER * radius)
        strength = np.hypot(xx - yy, 2 * xy)
        coherence = np.where(xx + yy > 1e-12, strength / np.maximum(xx + yy, 1e-12), 0.0)
        return np.minimum(coherence, 1.0), np.arctan2(2 * xy, xx - yy) / 2 + np.pi / 2


def _gradient(plane: Array) -> tuple[Array, Array]:
    """Derivatives across and down; 0 along an axis of a single pixel."""
    down, across = (np.gradient(plane, axis=axis) if plane.shape[axis] > 1 else np.zeros_like(plane) for axis in (0, 1))
    return across, down
