"""Shapes grouped into layers by palette colour, for plotting, cutting or printing in spot colours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from artpipe.renderers import Scene, load_renderer
from artpipe.renderers.alpha import backdrops, comparable, picture_of

from ..pictures.picture import as_bytes

Array = np.ndarray[Any, Any]

# Longest side at which orders of layers are compared, pixels.
_COMPARED = 64
# Most pixels of the picture by which shapes are judged; a larger one takes gigabytes and changes nothing.
_JUDGED = 4096**2
# Share of the harmful shapes that is removed before the rest are judged again.
_PRUNED = 0.25


@dataclass(frozen=True, eq=False)
class Layer:
    """The shapes of one colour.

    Attributes:
        colour: sRGB in 0..1.
        scene: the shapes, all in this colour, in painting order.
    """

    colour: tuple[float, float, float]
    scene: Scene


def colour_layers(scene: Scene, count: int) -> list[Layer]:
    """Return at most `count` layers in painting order.

    The palette is that of the picture, so that colours count by their visible area. Each shape takes the nearest
    palette colour. Grouping shapes by colour changes their painting order and with it the picture. To stay near it,
    single layers are moved until no move improves the order, and shapes of negative leave-one-out worth there (often
    large ones that others used to cover) are removed.
    """
    if scene.count == 0:
        return []
    share = (_JUDGED / (scene.canvas.width * scene.canvas.height)) ** 0.5
    if share < 1:
        return [_in_full_size(layer, scene) for layer in colour_layers(_reduced(scene, share), count)]
    picture = picture_of(scene)
    palette = _palette(picture, count)
    colours = scene.colour.astype(np.float64)
    nearest = np.argmin(((colours[:, None, :] - palette[None]) ** 2).sum(2), axis=1)
    members = [np.flatnonzero(nearest == k) for k in range(len(palette))]
    layers = []
    for k in sorted((k for k in range(len(palette)) if len(members[k])), key=lambda k: float(members[k].mean())):
        part = scene.select(members[k])
        layers.append(Layer((palette[k][0], palette[k][1], palette[k][2]), part.with_columns(colour=palette[k])))
    for _ in range(2):
        layers = _in_best_order(_without_harm(layers, picture), scene)
    return _without_harm(layers, picture)


def _reduced(scene: Scene, share: float) -> Scene:
    return scene.scaled(max(1, int(scene.canvas.width * share)))


def _in_full_size(layer: Layer, scene: Scene) -> Layer:
    """Return the layer with the shapes of the scene at full size."""
    part = scene.select(np.isin(scene.ids, layer.scene.ids))
    return replace(layer, scene=part.with_columns(colour=layer.colour))


def _palette(picture: Array, count: int) -> Array:
    """Return at most `count` colours of the opaque pixels, (K, 3), sRGB in 0..1."""
    from PIL import Image

    pixels = as_bytes(picture)
    if picture.shape[2] == 4:
        shown = pixels[:, :, 3] >= min(128, pixels[:, :, 3].max())
        pixels = pixels[shown][None, :, :3]
    image = Image.fromarray(pixels).quantize(count, method=Image.Quantize.MAXCOVERAGE, kmeans=4)
    return np.unique(np.array(image.getpalette(), np.float64).reshape(-1, 3) / 255, axis=0)


def _without_harm(layers: list[Layer], picture: Array) -> list[Layer]:
    """Remove shapes of negative leave-one-out worth until none is left."""
    while layers:
        scene = Scene.stacked([layer.scene for layer in layers])
        worth = _worth(scene, picture)
        harmful = np.flatnonzero(worth < 0)
        if len(harmful) == 0:
            return layers
        worst = harmful[np.argsort(worth[harmful], kind="stable")][: max(1, round(_PRUNED * len(harmful)))]
        is_removed = np.isin(np.arange(scene.count), worst)
        ends = np.cumsum([layer.scene.count for layer in layers])
        layers = [
            replace(layer, scene=layer.scene.select(~is_removed[end - layer.scene.count : end]))
            for layer, end in zip(layers, ends, strict=True)
        ]
        layers = [layer for layer in layers if layer.scene.count]
    return layers


def _worth(scene: Scene, picture: Array) -> Array:
    """Return the leave-one-out worth of each row, (N,); the mean over both backdrops on a transparent canvas."""
    worths = [
        load_renderer("cpu").worth(replace(scene, canvas=backdrop.under(scene.canvas)), backdrop.target)
        for backdrop in backdrops(picture, scene.canvas)
    ]
    return np.mean(worths, axis=0)


def _in_best_order(layers: list[Layer], scene: Scene) -> list[Layer]:
    """Return the layers in an order that no move of a single layer improves, judged on a small picture."""
    if not layers:
        return []
    width = max(1, round(scene.canvas.width * min(1.0, _COMPARED / max(scene.canvas.width, scene.canvas.height))))
    wanted = comparable(scene.scaled(width))

    def difference(order: list[Layer]) -> float:
        picture = comparable(Scene.stacked([layer.scene for layer in order]).scaled(width))
        return float(np.mean(np.square(picture - wanted, dtype=np.float64)))

    order, least, improved = layers, difference(layers), True
    while improved:
        improved = False
        for layer in layers:
            rest = [other for other in order if other is not layer]
            for place in range(len(layers)):
                moved = [*rest[:place], layer, *rest[place:]]
                reached = difference(moved)
                if reached < least:
                    order, least, improved = moved, reached, True
    return order
