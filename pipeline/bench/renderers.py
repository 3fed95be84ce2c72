"""`artpipe bench renderers`: what a step costs, by renderer and shape."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import numpy as np

from artpipe.renderers import Canvas, FitSettings, RendererOptions, Scene, load_fitting_renderer, load_renderer
from artpipe.renderers.alpha import as_planes
from artpipe.renderers.losses.metrics import pixel_shares
from artpipe.renderers.primitives.table import PRIMITIVES

from .machine import installed_renderers

Array = np.ndarray[Any, Any]

COUNT, SIDE = 2048, 256
# Optimiser steps of a call.
TOGETHER = 16


def measure(repeats: int, dense: bool) -> Iterator[tuple[str, str, float]]:
    """Renderer, shape and milliseconds of a step of 2048 shapes on 256 x 256 pixels, median of `repeats`.

    "kernel" is the compiled CPU kernel alone (forward, loss, backward); "jax" and "torch" are whole optimiser steps,
    as many together as in a run; "jax dense" and "torch dense" are the gradient without tiles, two repeats, since it
    takes seconds.
    """
    target = np.random.default_rng(1).uniform(0, 1, (SIDE, SIDE, 3)).astype(np.float32)
    for shape in PRIMITIVES:
        scene = grown_scene(COUNT, SIDE, shape)
        yield "kernel", shape, _milliseconds(kernel_step(scene, target), repeats)
        for name in installed_renderers():
            fit = load_fitting_renderer(name).fit(target, scene.canvas, FitSettings(capacity=COUNT))
            fit.put(scene)
            steps = lambda: fit.step([0.0] * TOGETHER)  # noqa: B023, E731 - rates x 0 keep the scene
            yield name, shape, _milliseconds(steps, repeats) / TOGETHER
            if dense:
                renderer = load_renderer(name, RendererOptions(device="cpu", kernel="dense"))
                step = lambda: renderer.loss_and_gradient(scene, target)  # noqa: B023, E731
                yield f"{name} dense", shape, _milliseconds(step, 2)


def grown_scene(count: int, side: int, shape: str = "circle", seed: int = 0) -> Scene:
    """Shapes with the sizes that growth leaves: log-normal, of an area that shrinks with their number."""
    rng = np.random.default_rng(seed)
    radius = 4.6 * (side / SIDE) * np.sqrt(COUNT / count) * np.exp(0.55 * rng.standard_normal(count))
    x, y = rng.uniform(0, side, (2, count))
    seeded = PRIMITIVES[shape].seed(x, y, radius, rng.uniform(0, 1, count), rng.uniform(0, np.pi, count), rng)
    paint = [*rng.uniform(0, 1, (3, count)), rng.uniform(0.4, 0.98, count), np.maximum(0.3 * radius, 0.15)]
    return Scene.empty(Canvas(side, side, (0.5, 0.5, 0.5))).append(np.stack([*paint, *seeded], axis=1), shape)


def kernel_step(scene: Scene, target: Array, threads: int | None = None) -> Callable[[], object]:
    """A step of the CPU kernel on a scene: bins, forward, loss and backward."""
    renderer: Any = load_renderer("cpu", RendererOptions(threads=threads))
    planes = as_planes(target)
    shares = pixel_shares(None, *target.shape[:2]).astype(np.float32)
    return lambda: renderer.kernel.loss_and_gradient(scene.rows, scene.kinds, scene.canvas, planes, shares)


def _milliseconds(step: Callable[[], object], repeats: int) -> float:
    """The median of `repeats` timings, after one step that compiles."""
    step()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        times.append(1e3 * (time.perf_counter() - start))
    return median(times)
