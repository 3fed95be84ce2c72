"""Transparency from opaque pictures: colours and alpha of a scene from its pictures over black and over white.

Painting a row, `C = (1 - a) C + a c`, is linear in what lies beneath. Over a background b, all rows together therefore
give, in each channel,

    D(b) = P + (1 - A) b        with 1 - A = Π (1 - a_i), the same in all channels,

where A is their alpha and P their colour times it. So D(black) = P and D(white) = P + 1 - A, and

    alpha = 1 - mean over channels of (D(white) - D(black))        colour = D(black) / alpha.

The difference to a target, e(b) = D(b) - T(b), is linear in b too, so that its square is convex: over any b in 0..1 it
is at most (1 - b) e(0)² + b e(1)². A picture that is right over black and over white is right over any background, and
a fit of a transparent picture minimises the mean of both losses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .bands import bands
from .base import Renderer
from .canvas import Canvas
from .losses.metrics import check_colours, mean_squared_error
from .registry import load_renderer
from .scene import Scene

Array = np.ndarray[Any, Any]
Colour = tuple[float, float, float]

BLACK: Colour = (0.0, 0.0, 0.0)
WHITE: Colour = (1.0, 1.0, 1.0)
# The mean of both, over which rows of a transparent picture are placed.
GREY: Colour = (0.5, 0.5, 0.5)
# Half an 8-bit level; below it, the colour cannot be recovered.
ALPHA_MIN = 1 / 512


@dataclass(frozen=True, eq=False)
class Backdrop:
    """A background over which a picture is compared with its target.

    Attributes:
        background: sRGB in 0..1; None for the canvas's own.
        target: (H, W, 3) float32, the target over it.
        planes: (3, H, W) float32, the same in the kernel's layout.
    """

    background: Colour | None
    target: Array
    planes: Array

    def under(self, canvas: Canvas) -> Canvas:
        """The canvas with this background."""
        return canvas if self.background is None else replace(canvas, background=self.background)


def backdrops(target: Array, canvas: Canvas) -> tuple[Backdrop, ...]:
    """Backgrounds over which a picture is compared with its target: black and white if the target has alpha.

    Args:
        target: (H, W, 3), or (H, W, 4) with straight alpha; sRGB and alpha in 0..1.
        canvas: what it is painted on.

    Raises:
        InputError: the target's shape is not the canvas's, a value is not finite, or alpha is not in 0..1.
    """
    target = check_picture(target, canvas)
    if target.shape[2] == 3:
        return (Backdrop(None, target, as_planes(target)),)
    over = [(background, flattened(target, background)) for background in (BLACK, WHITE)]
    return tuple(Backdrop(background, flat, as_planes(flat)) for background, flat in over)


def check_picture(target: Array, canvas: Canvas) -> Array:
    """The target as (H, W, 3) or (H, W, 4) float32, contiguous.

    Raises:
        InputError: its shape is not the canvas's, a value is not finite, or alpha is not in 0..1.
    """
    return check_colours(target, canvas.width, canvas.height, channels=(3, 4))


def flattened(picture: Array, background: Colour) -> Array:
    """The picture, (H, W, 3) or (H, W, 4), laid over a colour, (H, W, 3); itself if it has no alpha."""
    if picture.shape[2] == 3:
        return picture
    alpha = picture[:, :, 3:]
    return alpha * picture[:, :, :3] + (1 - alpha) * np.asarray(background, picture.dtype)


def render_with_alpha(renderer: Renderer, scene: Scene) -> Array:
    """The rows without a background, (H, W, 4): straight sRGB and alpha, 0..1, in the renderer's precision.

    Exact up to rounding, for any renderer; see the head of this module. Where alpha is below `ALPHA_MIN` the colour
    is 0.

    Example:
        >>> spot = Scene.circles(Canvas(3, 1), x=[1], y=[0.5], radius=[1], colour=[[1, 0, 0]], opacity=0.5)
        >>> render_with_alpha(load_renderer("cpu"), spot)[0, :, 3].round(2).tolist()
        [0.5, 0.25, 0.0]
    """
    return _with_alpha(*(renderer.render(scene.with_background(background)) for background in (BLACK, WHITE)))


def picture_of(scene: Scene) -> Array:
    """The picture by the CPU renderer: (H, W, 4) on a transparent canvas, else (H, W, 3), float32."""
    return (
        render_with_alpha(load_renderer("cpu"), scene)
        if scene.canvas.transparent
        else load_renderer("cpu").render(scene)
    )


def picture_bands(scene: Scene, rows_each: int) -> Iterator[Array]:
    """`picture_of` from top to bottom, (rows_each or, at the end, fewer, W, 3 or 4) at a time; see `bands.bands`."""
    if not scene.canvas.transparent:
        yield from bands(scene, rows_each)
        return
    over_black, over_white = (bands(scene.with_background(background), rows_each) for background in (BLACK, WHITE))
    for black, white in zip(over_black, over_white, strict=True):
        yield _with_alpha(black, white)


def comparable(scene: Scene) -> Array:
    """A picture for comparing scenes: on a transparent canvas, the picture over black beside that over white.

    Returns:
        (H, W, 3), or (H, 2 W, 3) on a transparent canvas, float32.
    """
    if not scene.canvas.transparent:
        return load_renderer("cpu").render(scene)
    over = [load_renderer("cpu").render(scene.with_background(background)) for background in (BLACK, WHITE)]
    return np.concatenate(over, axis=1)


def picture_error(scene: Scene, target: Array, weights: Array | None = None) -> float:
    """The weighted mean squared error of a scene against its target; over both backdrops if the target has alpha.

    Args:
        scene: what is drawn.
        target: (H, W, 3) or (H, W, 4), sRGB and straight alpha in 0..1.
        weights: (H, W), not negative.
    """
    errors = [
        mean_squared_error(
            load_renderer("cpu").render(replace(scene, canvas=backdrop.under(scene.canvas))), backdrop.target, weights
        )
        for backdrop in backdrops(target, scene.canvas)
    ]
    return sum(errors) / len(errors)


def _with_alpha(over_black: Array, over_white: Array) -> Array:
    red, green, blue = np.moveaxis(over_white - over_black, 2, 0)
    alpha = np.clip(1 - (red + green + blue) / 3, 0, 1)
    by_alpha = np.where(alpha >= ALPHA_MIN, 1 / np.maximum(alpha, ALPHA_MIN), 0)
    picture = np.empty((*alpha.shape, 4), alpha.dtype)
    np.clip(over_black * by_alpha[:, :, None], 0, 1, out=picture[:, :, :3])
    picture[:, :, 3] = alpha
    return picture


def as_planes(target: Array) -> Array:
    """(3, H, W), contiguous: the planes of a picture, (H, W, 3), the layout of kernels."""
    return np.ascontiguousarray(np.moveaxis(target, 2, 0))
