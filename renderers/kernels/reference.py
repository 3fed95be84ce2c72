"""The judge: numpy, float64, one row at a time over the whole canvas, no tricks. Slow on purpose."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..checks import instance, real_array
from ..errors import InputError
from ..losses.metrics import check_colours, mean_squared_error, pixel_shares
from ..primitives.base import BLUE, OPACITY, RADIUS, RED, SOFTNESS, X, Y
from ..primitives.falloff import EDGES
from ..scene import Scene

Array = np.ndarray[Any, Any]


def render(scene: Scene) -> Array:
    """The picture, (H, W, 3) float64.

    Back to front, `C = (1 - a) C + a c` with `a = opacity * coverage`: the over operator (Porter and
    Duff, Compositing Digital Images, 1984) on sRGB values as they are, which is what SVG does.
    """
    image = _background(instance("scene", scene, Scene))
    for row in scene.rows.astype(np.float64):
        a = row[OPACITY] * _coverage(scene, row)[:, :, None]
        image = (1 - a) * image + a * row[RED : BLUE + 1]
    return image


def gradient(scene: Scene, image_gradient: Array) -> tuple[Array, Array]:
    """Pulls a gradient on the picture back to the scene.

    Args:
        scene: what was drawn.
        image_gradient: (H, W, 3), the derivative of a loss by every value of the picture.

    Returns:
        (N, P) float64, the derivative by every value of `scene.rows` (for the linear edge: one-sided, 0,
        where a pixel lies on a kink), and (3,), the derivative by the background.
    """
    instance("scene", scene, Scene)
    shape = (scene.canvas.height, scene.canvas.width, 3)
    # dL/d(composite up to and with row i)
    through = real_array("image_gradient", image_gradient, f"numbers, {shape}").astype(np.float64)
    if through.shape != shape:
        raise InputError(f"image_gradient has shape {through.shape}; needs {shape}")
    rows = scene.rows.astype(np.float64)
    beneath = [_background(scene)]  # beneath[i]: all that lies under row i
    for row in rows:
        a = row[OPACITY] * _coverage(scene, row)[:, :, None]
        beneath.append((1 - a) * beneath[-1] + a * row[RED : BLUE + 1])
    result = np.zeros(scene.rows.shape)
    across, down = _pixel_centres(scene)
    for i in reversed(range(scene.count)):
        row = rows[i]
        dx, dy = across - row[X], down - row[Y]
        distance = np.hypot(dx, dy)
        m = _coverage(scene, row)
        a = row[OPACITY] * m
        d_a = np.sum(through * (row[RED : BLUE + 1] - beneath[i]), axis=2)
        d_m = row[OPACITY] * d_a
        by_distance, by_radius, by_softness = EDGES[scene.canvas.edge].slopes(distance, row[RADIUS], row[SOFTNESS])
        safe = np.where(distance > 0, distance, 1.0)  # at the very centre the direction is 0
        result[i, X] = np.sum(d_m * by_distance * -dx / safe)
        result[i, Y] = np.sum(d_m * by_distance * -dy / safe)
        result[i, RED : BLUE + 1] = np.sum(through * a[:, :, None], axis=(0, 1))
        result[i, OPACITY] = np.sum(d_a * m)
        result[i, SOFTNESS] = np.sum(d_m * by_softness)
        result[i, RADIUS] = np.sum(d_m * by_radius)
        through = through * (1 - a[:, :, None])
    return result, through.sum(axis=(0, 1))


def loss_and_gradient(scene: Scene, target: Array, weights: Array | None = None) -> tuple[float, Array, Array]:
    """The weighted mean squared error and its gradient by rows, (N, P), and by background, (3,)."""
    image = render(scene)
    target = check_colours(target, scene.canvas.width, scene.canvas.height, np.float64)
    shares = pixel_shares(weights, scene.canvas.height, scene.canvas.width)
    by_rows, by_background = gradient(scene, 2 * shares[:, :, None] * (image - target))
    return mean_squared_error(image, target, weights), by_rows, by_background


def worth(scene: Scene, target: Array, weights: Array | None = None) -> Array:
    """(N,): how much the loss rises when each row alone is taken out. Renders the scene N + 1 times."""
    image = render(scene)
    target = check_colours(target, scene.canvas.width, scene.canvas.height, np.float64)
    whole = mean_squared_error(image, target, weights)
    positions = np.arange(scene.count)
    return np.array(
        [mean_squared_error(render(scene.select(positions != i)), target, weights) - whole for i in positions]
    )


def _coverage(scene: Scene, row: Array) -> Array:
    across, down = _pixel_centres(scene)
    distance = np.hypot(across - row[X], down - row[Y])
    return EDGES[scene.canvas.edge].coverage(distance, row[RADIUS], row[SOFTNESS])


def _pixel_centres(scene: Scene) -> tuple[Array, Array]:
    return np.arange(scene.canvas.width)[None, :] + 0.5, np.arange(scene.canvas.height)[:, None] + 0.5


def _background(scene: Scene) -> Array:
    canvas = scene.canvas
    return np.broadcast_to(np.array(canvas.background), (canvas.height, canvas.width, 3)).copy()


class ReferenceRenderer:
    """The functions of this module as a renderer; see `base.Renderer`."""

    name = "reference"
    render = staticmethod(render)
    loss_and_gradient = staticmethod(loss_and_gradient)
    worth = staticmethod(worth)
