"""The functions of `import artpipe`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..renderers import InputError, RendererOptions, Scene, load_renderer
from ..renderers.cpu_renderer import CpuRenderer
from ..renderers.losses import pixel_shares
from ..renderers.threads import limited
from ..stages.events import Event
from ..stages.exporters.options import ExportOptions
from ..stages.exporters.table import export_files
from ..stages.record import Record
from .config import RunConfig
from .observers import Forward
from .rundir import load_record
from .runner import carry_out, course_of, load_target, open_run

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Result:
    """What `fit` gives back.

    Attributes:
        scene: the circles.
        image: their picture, (H, W, 3) float32, sRGB in 0..1.
        metrics: what `metrics.json` holds: circles, steps, mse, psnr, fit_seconds, history, …
        record: the scene, its growth and its target, as `export` takes them.
    """

    scene: Scene
    image: Array
    metrics: dict[str, Any]
    record: Record


def fit(
    picture: str | Path | Array,
    circles: int = 2048,
    renderer: str = "jax",
    on_event: Callable[[Event], object] | None = None,
    weights: Array | None = None,
    threads: int | None = None,
    **options: Any,
) -> Result:
    """Grows circles until they look like a picture.

    Args:
        picture: a file, or (H, W, 3) values, sRGB in 0..1.
        circles: how many stand at the end.
        renderer: "jax" or "torch".
        on_event: called with each event of `artpipe.stages.events` as it comes.
        weights: (H, W) of the canvas, not negative: what each pixel counts, times mask, focus and edges if those are
            given too. Only their proportions matter.
        threads: how many draw; the result does not depend on it. None for ARTPIPE_THREADS of the environment, or else
            all cores that the process may use.
        **options: any other field of `artpipe.pipeline.config.RunConfig`, such as steps, seed, size, preset,
            mask, focus, edges.

    Raises:
        InputError: the picture cannot be read, or an option is out of range.
        BackendUnavailable: the renderer's library is missing.

    Example:
        >>> result = artpipe.fit("painting.jpg", circles=512, steps=300)
        >>> result.metrics["psnr"]
    """
    if threads is not None:
        with limited(threads):
            return fit(picture, circles, renderer, on_event, weights, **options)
    started = time.perf_counter()
    config = replace(RunConfig.from_json(options), most=circles, renderer=renderer)
    if isinstance(picture, (str, Path)):
        target = load_target(picture, config)
    else:
        if config.size is not None:
            raise InputError("size is for files; resize the array itself")
        target = np.asarray(picture, np.float32)
    file = Path(picture) if isinstance(picture, (str, Path)) else None
    own = config.weights(target, file)
    if weights is not None and own is not None:
        own = own * pixel_shares(weights, *own.shape)
    run = open_run(target, config, weights=weights if own is None else own)
    if file is not None:
        run.title = file.stem
    outcome = carry_out(run, course_of(config), config, [Forward(on_event)] if on_event else [], started)
    image = CpuRenderer().render(outcome.record.scene)
    return Result(outcome.record.scene, image, outcome.metrics, outcome.record)


def render(scene: Scene, renderer: str = "cpu", options: RendererOptions | None = None) -> Array:
    """Draws a scene.

    Args:
        scene: what to draw.
        renderer: "cpu", "jax", "torch" or "reference"; the pictures agree to float32 rounding.
        options: device, path and memory, for "jax" and "torch".

    Returns:
        (H, W, 3) float32 (the reference: float64), sRGB in 0..1.

    Raises:
        InputError: there is no such renderer.
        BackendUnavailable: its library is missing; the message says how to install it.
    """
    return load_renderer(renderer, options).render(scene)


def export(source: Result | Record | Scene | str | Path, *files: str | Path, **options: Any) -> list[Path]:
    """Writes files in the formats that their endings name: .svg, .gif, .webp, .png, .html and others.

    Args:
        source: what `fit` gave back, a scene, a run folder, or a scene file.
        files: where to write; the folders have to be there.
        **options: fields of `artpipe.stages.exporters.options.ExportOptions`, such as width, fps, flat, layers.

    Raises:
        InputError: the source, an ending or an option cannot be used, or a file cannot be written.
        BackendUnavailable: an ending needs an extra that is not installed.

    Example:
        >>> artpipe.export(artpipe.fit("painting.jpg"), "painting.svg", "timelapse.gif", width=512)
    """
    if isinstance(source, Result):
        record = source.record
    elif isinstance(source, Record):
        record = source
    elif isinstance(source, Scene):
        record = Record(source)
    else:
        record = load_record(Path(source))
    try:
        wanted = ExportOptions(**options)
    except TypeError:
        known = ", ".join(field.name for field in fields(ExportOptions))
        raise InputError(f"options are {', '.join(options)}; known are {known}") from None
    return list(export_files(record, [Path(file) for file in files], wanted))
