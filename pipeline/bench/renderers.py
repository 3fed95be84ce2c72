"""`artpipe bench renderers`: what a step costs, by renderer, circle count and canvas. Medians of one run."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from artpipe.renderers import Canvas, FitSettings, RendererOptions, Scene, load_fitting_renderer, load_renderer
from artpipe.renderers.losses.metrics import pixel_shares

from .machine import installed_renderers

Array = np.ndarray[Any, Any]

# The scene that all rows compare on: circles as large as growth leaves them, 2048 on 256 x 256 pixels.
COUNT, SIDE = 2048, 256


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        group: what it belongs to.
        what: what was measured.
        value: the median.
        unit: its unit.
        note: what else to know, such as a ratio in the same run.
    """

    group: str
    what: str
    value: float
    unit: str
    note: str = ""


def grown_scene(count: int, side: int, seed: int = 0) -> Scene:
    """Circles with the sizes that growth leaves: log-normal, of an area that shrinks with their number.

    2048 of them on 256 x 256 pixels fill about 6700 tiles of 16 x 16, 1.7 million pixel-circle pairs.
    """
    rng = np.random.default_rng(seed)
    radius = 4.6 * (side / SIDE) * np.sqrt(COUNT / count) * np.exp(0.55 * rng.standard_normal(count))
    return Scene.circles(
        Canvas(side, side, (0.5, 0.5, 0.5)),
        x=rng.uniform(0, side, count),
        y=rng.uniform(0, side, count),
        radius=radius,
        colour=rng.uniform(0, 1, (count, 3)),
        opacity=rng.uniform(0.4, 0.98, count),
        softness=np.maximum(0.3 * radius, 0.15),
    )


def measure(dense: bool, repeats: int) -> Iterator[Row]:
    """Measures row after row.

    Args:
        dense: whether to time the dense path too; a step of it takes many seconds on a CPU.
        repeats: timings to take the median of.
    """
    yield from _machine_rows()
    yield from _kernel_rows(repeats)
    yield from _fit_rows(repeats)
    yield from _scaling_rows(max(5, repeats // 10))
    if dense:
        yield from _dense_rows()
    yield from _process_rows()


def _seconds(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return median(times)


def _target(side: int) -> Array:
    return np.random.default_rng(1).uniform(0, 1, (side, side, 3)).astype(np.float32)


def _kernel_step(kernel: Any, scene: Scene) -> Callable[[], object]:
    """A step of the kernel on a scene: bins, forward, loss and backward; already compiled."""
    side = scene.canvas.width
    planes = np.ascontiguousarray(np.moveaxis(_target(side), 2, 0))
    shares = pixel_shares(None, side, side).astype(np.float32)

    def step() -> object:
        return kernel.loss_and_gradient(scene.rows, scene.kinds, scene.canvas, planes, shares)

    step()
    return step


def _cpu_kernel(threads: int | None = None) -> Any:
    """The kernel of the CPU renderer. Its `pair_count` tells the pixel-circle pairs of its last call."""
    renderer: Any = load_renderer("cpu", RendererOptions(threads=threads))
    return renderer.kernel


def _machine_rows() -> Iterator[Row]:
    cores = _cpu_kernel().threads
    load = f"load {os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "load unknown"
    yield Row("machine", f"{platform.machine()}, Python {platform.python_version()}", cores, "cores", load)


def _kernel_rows(repeats: int) -> Iterator[Row]:
    scene = grown_scene(COUNT, SIDE)
    for threads in sorted({1, _cpu_kernel().threads}):
        kernel = _cpu_kernel(threads)
        step = _kernel_step(kernel, scene)
        seconds = _seconds(step, repeats)
        speed = kernel.pair_count / seconds / 1e9
        note = f"{speed:.2f} G pairs/s, {kernel.pair_count / 1e6:.2f} M tile pairs"
        yield Row("kernel", f"step, {threads} thread{'s' * (threads > 1)}", seconds * 1e3, "ms", note)
    planes = np.ascontiguousarray(np.moveaxis(_target(SIDE), 2, 0))
    shares = pixel_shares(None, SIDE, SIDE).astype(np.float32)
    for what, work in (
        ("render", lambda: kernel.render(scene.rows, scene.kinds, scene.canvas)),
        ("worth", lambda: kernel.worth(scene.rows, scene.kinds, scene.canvas, planes, shares)),
    ):
        yield Row("kernel", what, _seconds(work, repeats) * 1e3, "ms")


def _fit_rows(repeats: int) -> Iterator[Row]:
    """Whole optimiser steps, taken in turns with kernel steps so that both see the same machine."""
    scene = grown_scene(COUNT, SIDE)
    kernel = _cpu_kernel()
    kernel_step = _kernel_step(kernel, scene)
    for name in installed_renderers():
        fit = load_fitting_renderer(name).fit(_target(SIDE), scene.canvas, FitSettings(capacity=COUNT))
        fit.put(scene)
        start = time.perf_counter()
        fit.step()
        first = time.perf_counter() - start
        alone, whole = [], []
        for _ in range(repeats):
            alone.append(_seconds(kernel_step, 1))
            whole.append(_seconds(lambda: fit.step([0.0]), 1))  # noqa: B023 - scale 0 keeps the scene
        ratio = median(whole) / median(alone)
        note = f"{ratio:.2f} x the kernel step in the same run; first step {first:.2f} s"
        yield Row("fit", f"step, {name}", median(whole) * 1e3, "ms", note)


def _scaling_rows(repeats: int) -> Iterator[Row]:
    """Cost per pair as circles get more (equal total area) and canvases larger (equal circles a pixel)."""
    cases = [(count, SIDE) for count in (256, 512, 1024, 2048, 4096, 8192, 16384)]
    larger = [(COUNT * side * side // SIDE**2, side) for side in (128, 256, 512, 1024, 2048)]
    for group, sizes in (("circles", cases), ("canvas", larger)):
        kernel = _cpu_kernel()
        costs = []
        for count, side in sizes:
            scene = grown_scene(count, side)
            if group == "canvas":  # the same sizes in pixels everywhere
                factor = SIDE / side * np.sqrt(count / COUNT)
                scene = scene.with_columns(radius=scene.column("radius") * factor, softness=scene.softness * factor)
            seconds = _seconds(_kernel_step(kernel, scene), repeats)
            costs.append((count, side, seconds, seconds / kernel.pair_count * 1e9))
        best = min(cost for *_, cost in costs)
        for count, side, seconds, cost in costs:
            note = f"{cost:.3f} ns a pair, {cost / best:.2f} x the best of these"
            yield Row(group, f"{count} on {side} x {side}", seconds * 1e3, "ms", note)


def _dense_rows() -> Iterator[Row]:
    """One step each: the same arithmetic without tiles, every pixel against every circle."""
    scene = grown_scene(COUNT, SIDE)
    kernel_seconds = _seconds(_kernel_step(_cpu_kernel(), scene), 20)
    for name in installed_renderers():
        renderer = load_renderer(name, RendererOptions(device="cpu", kernel="dense"))
        seconds = _seconds(lambda: renderer.loss_and_gradient(scene, _target(SIDE)), 2)  # noqa: B023
        note = f"{seconds / kernel_seconds:.0f} x the kernel step"
        yield Row("dense", f"step, {name}, eager" if name == "torch" else f"step, {name}", seconds * 1e3, "ms", note)
    if "torch" not in installed_renderers() or not any(map(shutil.which, ("c++", "g++", "clang++"))):
        return  # torch.compile makes C++ of a step, and needs a compiler
    renderer = load_renderer("torch", RendererOptions(device="cpu", kernel="dense", compile=True))
    before = time.perf_counter()
    renderer.loss_and_gradient(scene, _target(SIDE))
    first = time.perf_counter() - before
    seconds = _seconds(lambda: renderer.loss_and_gradient(scene, _target(SIDE)), 2)
    note = f"{seconds / kernel_seconds:.0f} x the kernel step; the first took {first:.0f} s, compiling included"
    yield Row("dense", "step, torch, compiled", seconds * 1e3, "ms", note)


_COMPILE = """
import time
from artpipe.pipeline.bench.renderers import grown_scene
start = time.perf_counter()
import artpipe
scene = grown_scene(64, 64)
artpipe.load_renderer("cpu").loss_and_gradient(scene, artpipe.render(scene))
print(time.perf_counter() - start)
"""

_MEMORY = """
import sys
from artpipe.pipeline.bench.renderers import fit_large, peak_megabytes
fit_large(int(sys.argv[1]), int(sys.argv[2]))
print(peak_megabytes())
"""


def _process_rows() -> Iterator[Row]:
    """What only a fresh process shows: compile time, start time, peak memory."""
    with tempfile.TemporaryDirectory() as cache:
        first = _run_python(_COMPILE, NUMBA_CACHE_DIR=cache)
        later = median(_run_python(_COMPILE, NUMBA_CACHE_DIR=cache) for _ in range(3))
    yield Row(
        "process", "first compile of the CPU kernel", first, "s", "in an empty cache; imports of artpipe included"
    )
    yield Row("process", "the same from the cache", later, "s")
    memory = _run_python(_MEMORY, "20000", "2048")
    yield Row("process", "peak memory, fit of 20000 circles on 2048 x 2048", memory, "MB", "5 steps in JAX")
    command = [sys.executable, "-m", "artpipe", "--help"]
    seconds = _seconds(lambda: subprocess.run(command, check=True, capture_output=True), 5)
    yield Row("process", "artpipe --help", seconds, "s")


def _run_python(code: str, *arguments: str, **environment: str) -> float:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | environment)
    return float(done.stdout)


def fit_large(count: int, side: int) -> None:
    """Takes five steps of a JAX fit of so many circles on a square canvas."""
    scene = grown_scene(count, side)
    fit = load_fitting_renderer("jax").fit(_target(side), scene.canvas)
    fit.put(scene)
    fit.step([1.0] * 5)


def peak_megabytes() -> float:
    """The largest memory that this process has held, MB."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        # Not ru_maxrss: on Linux a child starts with its parent's.
        return int(status.split("VmHWM:")[1].split()[0]) / 2**10
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
