"""Timings of the CPU kernel with pytest-benchmark; not collected by default. Run: pytest tests/bench_kernels.py"""

import numpy as np
import pytest

from artpipe import RendererOptions, load_renderer
from artpipe.pipeline.bench.renderers import COUNT, SIDE, grown_scene, kernel_step
from artpipe.renderers.losses.metrics import pixel_shares
from artpipe.renderers.primitives.table import PRIMITIVES


def target(side):
    return np.random.default_rng(1).uniform(0, 1, (side, side, 3)).astype(np.float32)


@pytest.mark.parametrize("shape", PRIMITIVES)
@pytest.mark.parametrize("work", ["step", "render", "worth"])
def test_the_kernel_by_shape(benchmark, shape, work):
    scene = grown_scene(COUNT, SIDE, shape)
    kernel = load_renderer("cpu", RendererOptions()).kernel
    planes = np.ascontiguousarray(np.moveaxis(target(SIDE), 2, 0))
    shares = pixel_shares(None, SIDE, SIDE).astype(np.float32)
    call = {
        "step": kernel_step(scene, target(SIDE)),
        "render": lambda: kernel.render(scene.rows, scene.kinds, scene.canvas),
        "worth": lambda: kernel.worth(scene.rows, scene.kinds, scene.canvas, planes, shares),
    }[work]
    benchmark.group = work
    benchmark(call)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_kernel_by_threads(benchmark, threads):
    benchmark.group = "threads"
    benchmark(kernel_step(grown_scene(COUNT, SIDE), target(SIDE), threads))


@pytest.mark.parametrize("count", [256, 1024, 4096, 16384])
def test_the_kernel_by_count(benchmark, count):
    benchmark.group = "count on 256 x 256, equal total area"
    benchmark(kernel_step(grown_scene(count, SIDE), target(SIDE)))


@pytest.mark.parametrize("side", [128, 256, 512, 1024])
def test_the_kernel_by_canvas(benchmark, side):
    benchmark.group = "canvas, equal shapes a pixel"
    benchmark(kernel_step(grown_scene(COUNT * side * side // SIDE**2, side), target(side)))
