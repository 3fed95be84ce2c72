"""The reference renderer: numpy, float64, one row at a time over the whole canvas. Deliberately simple and slow.

Derivatives of the coverage with respect to the columns of a shape are central differences of the primitive's distance:
a new primitive needs no code here, and an error in a kernel's gradient cannot be repeated here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..checks import instance, real_array
from ..errors import InputError
from ..losses.metrics import check_colours, mean_squared_error, pixel_shares
from ..primitives.base import BLUE, OPACITY, RED, SHAPE, SOFTNESS, Primitive
from ..primitives.falloff import FALLOFFS
from ..primitives.table import BY_CODE
from ..scene import Scene

Array = np.ndarray[Any, Any]

# Half the step of the central differences: in float64 the derivative of a distance is off by about 1e-9.
STEP = 1e-5


def render(scene: Scene) -> Array:
    """The picture, (H, W, 3) float64.

    Back to front, `C = (1 - a) C + a c` with `a = opacity * coverage`: the over operator (Porter and Duff, Compositing
    Digital Images, 1984) on sRGB values without linearisation, as in SVG.
    """
    image = _background(instance("scene", scene, Scene))
    for i, row in enumerate(scene.rows.astype(np.float64)):
        a = row[OPACITY] * _coverage(scene, i)[:, :, None]
        image = (1 - a) * image + a * row[RED : BLUE + 1]
    return image


def gradient(scene: Scene, image_gradient: Array) -> tuple[Array, Array]:
    """The vector-Jacobian product of the drawing.

    Args:
        scene: the scene that was drawn.
        image_gradient: (H, W, 3), dL/dimage.

    Returns:
        dL/drows, (N, P) float64, and dL/dbackground, (3,). Where a pixel lies on a kink of the linear falloff, the
        one-sided derivative that is 0.
    """
    instance("scene", scene, Scene)
    shape = (scene.canvas.height, scene.canvas.width, 3)
    # dL/d(composite up to and including row i)
    through = real_array("image_gradient", image_gradient, f"numbers, {shape}").astype(np.float64)
    if through.shape != shape:
        raise InputError(f"image_gradient has shape {through.shape}; needs {shape}")
    rows = scene.rows.astype(np.float64)
    beneath = [_background(scene)]  # beneath[i]: the composite under row i
    for i, row in enumerate(rows):
        a = row[OPACITY] * _coverage(scene, i)[:, :, None]
        beneath.append((1 - a) * beneath[-1] + a * row[RED : BLUE + 1])
    result = np.zeros(scene.rows.shape)
    for i in reversed(range(scene.count)):
        row = rows[i]
        m, by_softness, by_shape = _slopes(scene, i)
        a = row[OPACITY] * m
        d_a = np.sum(through * (row[RED : BLUE + 1] - beneath[i]), axis=2)
        d_m = row[OPACITY] * d_a
        result[i, RED : BLUE + 1] = np.sum(through * a[:, :, None], axis=(0, 1))
        result[i, OPACITY] = np.sum(d_a * m)
        result[i, SOFTNESS] = np.sum(d_m * by_softness)
        result[i, SHAPE : SHAPE + len(by_shape)] = [np.sum(d_m * slope) for slope in by_shape]
        through = through * (1 - a[:, :, None])
    return result, through.sum(axis=(0, 1))


def loss_and_gradient(scene: Scene, target: Array, weights: Array | None = None) -> tuple[float, Array, Array]:
    """The weighted mean squared error, dL/drows, (N, P), and dL/dbackground, (3,)."""
    image = render(scene)
    target = check_colours(target, scene.canvas.width, scene.canvas.height, np.float64)
    shares = pixel_shares(weights, scene.canvas.height, scene.canvas.width)
    by_rows, by_background = gradient(scene, 2 * shares[:, :, None] * (image - target))
    return mean_squared_error(image, target, weights), by_rows, by_background


def worth(scene: Scene, target: Array, weights: Array | None = None) -> Array:
    """The leave-one-out worth of each row, (N,): how much the loss rises without it. Renders the scene N + 1 times."""
    image = render(scene)
    target = check_colours(target, scene.canvas.width, scene.canvas.height, np.float64)
    whole = mean_squared_error(image, target, weights)
    positions = np.arange(scene.count)
    return np.array(
        [mean_squared_error(render(scene.select(positions != i)), target, weights) - whole for i in positions]
    )


def _shape(scene: Scene, i: int) -> tuple[Primitive, Any]:
    """The primitive of row i, and its shape columns in float64."""
    primitive = BY_CODE[int(scene.kinds[i])]
    return primitive, scene.rows[i, SHAPE : primitive.width].astype(np.float64)


def _coverage(scene: Scene, i: int) -> Array:
    """The coverage of row i, (H, W)."""
    primitive, shape = _shape(scene, i)
    distance = primitive.distance(np, *_pixel_centres(scene), shape)
    softness = np.float64(scene.rows[i, SOFTNESS])
    return FALLOFFS[scene.canvas.edge].coverage(np, distance, softness, primitive.thickness(shape))


def _slopes(scene: Scene, i: int) -> tuple[Array, Array, list[Array]]:
    """The coverage of row i, (H, W), and its derivatives with respect to softness and each shape column."""
    primitive, shape = _shape(scene, i)
    centres = _pixel_centres(scene)
    distance, size = primitive.distance(np, *centres, shape), primitive.thickness(shape)
    softness, falloff = np.array(scene.rows[i, SOFTNESS], np.float64), FALLOFFS[scene.canvas.edge]
    by_distance, by_softness, by_size = falloff.slopes(distance, softness, size)
    by_shape = []
    for step in STEP * np.eye(len(shape)):
        ahead, behind = shape + step, shape - step
        change = primitive.distance(np, *centres, ahead) - primitive.distance(np, *centres, behind)
        size_change = primitive.thickness(ahead) - primitive.thickness(behind)
        by_shape.append((by_distance * change + by_size * size_change) / (2 * STEP))
    return falloff.coverage(np, distance, softness, size), by_softness, by_shape


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
