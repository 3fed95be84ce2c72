"""Levels: the canvas of a run at full size, and smaller ones on which a large scene grows and searches faster."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from artpipe.renderers import Canvas, Fit, FitSettings, FittingRenderer, Scene
from artpipe.renderers.alpha import GREY, check_picture, flattened
from artpipe.renderers.losses.metrics import pixel_shares

from .placing.direction import Directions

Array = np.ndarray[Any, Any]


class Level:
    """A target at one size, and the fit to it.

    Args:
        target: (H, W, 3), or (H, W, 4) with straight alpha, at full size; sRGB in 0..1.
        canvas: at full size.
        renderer: opens the fit.
        settings: of the fit, with pixel weights at full size.
        reduction: pixels of the full canvas along a side of a pixel of this level.

    Attributes:
        canvas: of this level; a pixel at its right or lower rim may reach beyond the full canvas.
        target: of this level.
        flat_target: (h, w, 3), the target; a transparent one over grey. For placing.
        shares: (h, w), of the pixels in the weighted loss.
        directions: the local orientation of the target, for placing.
        fit: holds the scene of this level.
    """

    def __init__(
        self, target: Array, canvas: Canvas, renderer: FittingRenderer, settings: FitSettings, reduction: int = 1
    ) -> None:
        if reduction > 1:
            target = reduced(target, reduction)
            canvas = replace(canvas, width=target.shape[1], height=target.shape[0])
            if settings.weights is not None:
                weights = _block_means(np.asarray(settings.weights)[:, :, None], reduction)[:, :, 0]
                settings = replace(settings, weights=weights)
            least, most = settings.radius
            settings = replace(settings, radius=(least / reduction, most / reduction))
        self.reduction = reduction
        self.canvas = canvas
        self.target = check_picture(target, canvas)
        self.flat_target = flattened(self.target, GREY)
        self.shares = pixel_shares(settings.weights, canvas.height, canvas.width)
        self.directions = Directions(self.flat_target)
        self.settings = settings
        self.fit: Fit = renderer.fit(self.target, canvas, settings)

    def adapted(self, scene: Scene, reduction: int) -> Scene:
        """A scene of another level on this one, with the same ids.

        Args:
            scene: on the canvas of the other level.
            reduction: of the other level.
        """
        if reduction == self.reduction:
            return scene
        # The factor is exactly that of the reductions; the sides of the canvases are rounded.
        square = replace(scene.canvas, width=self.reduction, height=self.reduction)
        scaled = replace(scene, canvas=square).scaled(reduction, reduction)
        softness = np.minimum(scaled.softness, np.float32(self.settings.look.softness[1]))  # fixed for hard edges
        canvas = replace(self.canvas, background=scene.canvas.background)  # a palette may have changed it
        return replace(scaled.with_columns(softness=softness), canvas=canvas)


def reduced(target: Array, factor: int) -> Array:
    """A picture with one pixel for each `factor` x `factor` pixels, or for those left at the right and lower rim.

    Args:
        target: (H, W, 3), or (H, W, 4) with straight alpha.
        factor: pixels.
    """
    if target.shape[2] == 3:
        return _block_means(target, factor)
    alpha = target[:, :, 3:]
    means = _block_means(np.concatenate([target[:, :, :3] * alpha, alpha], axis=2), factor)
    np.divide(means[:, :, :3], means[:, :, 3:], out=means[:, :, :3], where=means[:, :, 3:] > 0)
    return np.clip(means, 0, 1, out=means)


def _block_means(planes: Array, factor: int) -> Array:
    """(h, w, C) float32 means of blocks of (H, W, C)."""
    height, width = planes.shape[:2]
    rows, columns = np.arange(0, height, factor), np.arange(0, width, factor)
    sums = np.add.reduceat(np.add.reduceat(planes, rows, axis=0, dtype=np.float64), columns, axis=1)
    counts = np.diff(rows, append=height)[:, None] * np.diff(columns, append=width)
    return np.asarray(sums / counts[:, :, None], np.float32)
