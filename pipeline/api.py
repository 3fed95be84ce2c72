"""The functions of `import artpipe`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from artpipe.renderers import InputError, Interrupted, RendererOptions, Scene, load_renderer
from artpipe.renderers.checks import check_path, shown, unknown
from artpipe.renderers.losses.metrics import pixel_shares
from artpipe.renderers.losses.objective import LossLike
from artpipe.renderers.threads import thread_limit
from artpipe.stages.events import Event
from artpipe.stages.exporters.options import ExportOptions
from artpipe.stages.exporters.table import export_files
from artpipe.stages.formats.names import name_of_picture
from artpipe.stages.pictures.picture import readable
from artpipe.stages.pictures.pixel_arrays import array_of
from artpipe.stages.result import Result

from .folders.rundir import load_result
from .options import RunConfig
from .running.interruption import NotedInterrupt
from .running.observers import Forward
from .running.plan import plan_of
from .running.runner import carry_out, fitting_the_canvas, load_target, open_run

Array = np.ndarray[Any, Any]


def fit(
    picture: Any,
    count: int | None = None,
    renderer: str = RunConfig.renderer,
    on_event: Callable[[Event], object] | None = None,
    weights: Any = None,
    mask: Any = None,
    threads: int | None = None,
    loss: LossLike = RunConfig.loss,
    **options: Any,
) -> Result:
    """Grows shapes until they look like a picture.

    Args:
        picture: a file (its path, a binary file object, or its bytes), a Pillow image, or an array, such as (H, W, 3)
            floats, sRGB in 0..1, or uint8; see `artpipe.stages.pictures.picture.load_picture`. Without `size`, an array
            keeps its size.
        count: shapes at the end; None for 2048, or those of the style.
        renderer: "jax" or "torch".
        on_event: called with each event of `artpipe.stages.events`.
        weights: (H, W) of the canvas, not negative: pixel weights, multiplied with those of mask, focus and edges. Only
            their proportions matter.
        mask: an image like `picture`, with the same proportions: where it is white or True, the picture counts more.
        threads: number of drawing threads; the result does not depend on it. None: the environment variable
            ARTPIPE_THREADS, or all cores available to the process.
        loss: what is minimised: a sum such as "mse+0.2*ssim" (see `artpipe.renderers.losses.table`), or a
            differentiable function of the renderer's framework, `(image, target) -> scalar`, of (H, W, 3) arrays, sRGB
            in 0..1. With weights, mask, focus or edges it takes (H, W) weights with a mean of 1 as a third argument.
        **options: any other field of `artpipe.pipeline.options.RunConfig`, such as steps, seed, size, preset,
            focus, edges, style, palette.

    Raises:
        InputError: the picture cannot be read or has values out of range, or an option is out of range.
        BackendUnavailable: the renderer's library is missing, or it was used before this process was forked.
        Interrupted: by Ctrl-C; also a KeyboardInterrupt. The `result` of this error and of the two below is a `Result`
            with the best scene so far; None if it came before the first step.
        Diverged: a loss or gradient is not finite.
        OutOfMemory: also a MemoryError.

    Warns:
        PictureWarning: colour information of the picture is ignored, or it has fewer pixels than `count`.

    Example:
        >>> result = artpipe.fit("painting.jpg", count=512, steps=300)
        >>> result.metrics.psnr
    """
    if threads is not None:
        with thread_limit(threads):
            return fit(picture, count, renderer, on_event, weights, mask, loss=loss, **options)
    started = time.perf_counter()
    if on_event is not None and not callable(on_event):
        raise InputError(f"on_event is {shown(on_event)}; needs a function of an event")
    if isinstance(mask, (str, Path)):
        options, mask = {**options, "mask": mask}, None
    known = {field.name for field in fields(RunConfig)} | {"on_event", "weights", "threads"}
    if not known.issuperset(options):
        raise unknown("option", [name for name in options if name not in known], known)
    own_loss = loss if callable(loss) else None
    if own_loss is not None and options.get("guide") is not None:
        raise InputError('guide adds to a loss that has a name, but loss is a function. Try loss="mse"')
    named: dict[str, Any] = {} if own_loss or loss == RunConfig.loss else {"loss": loss}
    named |= {"count": count} if count is not None else {}
    named |= {"renderer": renderer} if renderer != RunConfig.renderer else {}
    config = RunConfig.of_arguments({**options, **named}).resolved
    image = readable(picture)
    target = load_target(image, config)
    config = fitting_the_canvas(config, target)
    if own_loss is not None and options.get("reduction") is None:
        config = replace(config, reduction=None)  # it may work at the size of the canvas only
    own = config.weights(target, image, mask)
    if weights is not None:
        weights = array_of(weights, "weights")
    if weights is not None and own is not None:
        own = own * pixel_shares(weights, *own.shape)
    title = name_of_picture(picture) if isinstance(picture, (str, Path)) else "painting"
    run = open_run(target, config, weights=weights if own is None else own, title=title, loss=own_loss)
    observers = [Forward(on_event)] if on_event else []
    with NotedInterrupt() as interrupt:
        result = carry_out(run, plan_of(config), config, observers, started, interrupt)
    failure = result.failure
    if failure is None and interrupt.signal is not None:  # Ctrl-C after the last step must not get lost
        failure = Interrupted("interrupted after the last step")
    if failure is not None:
        failure.result = result
        raise failure
    return result


def render(scene: Scene, renderer: str = "cpu", options: RendererOptions | None = None) -> Array:
    """Draws a scene.

    Args:
        scene: what to draw.
        renderer: "cpu", "jax", "torch" or "reference"; the pictures agree to float32 rounding.
        options: device, kernel and memory, for "jax" and "torch".

    Returns:
        (H, W, 3) float32 (the reference: float64), sRGB in 0..1.

    Raises:
        InputError: the renderer is unknown.
        BackendUnavailable: its library is missing; the message says how to install it.
    """
    return load_renderer(renderer, options).render(scene)


def export(source: Result | Scene | str | Path, *files: str | Path, **options: Any) -> list[Path]:
    """Writes files in the formats of their endings: .svg, .gif, .webp, .png, .html and others.

    Args:
        source: a result of `fit`, a scene, a run folder, or a scene file.
        files: paths to write, in existing folders.
        **options: fields of `artpipe.stages.exporters.options.ExportOptions`, such as width, fps, flat, layers.

    Raises:
        InputError: the source, an ending or an option is invalid, or a file cannot be written.
        BackendUnavailable: a format needs an extra that is not installed.

    Example:
        >>> artpipe.export(artpipe.fit("painting.jpg"), "painting.svg", "timelapse.gif", width=512)
    """
    if isinstance(source, Result):
        result = source
    elif isinstance(source, Scene):
        result = Result(source)
    elif isinstance(source, (str, os.PathLike)):
        result = load_result(Path(source))
    else:
        raise InputError(f"source is {shown(source)}; needs a Result, a Scene, a run folder or a scene file")
    paths = [check_path("a file to write", file) for file in files]
    known = {field.name for field in fields(ExportOptions)}
    if not known.issuperset(options):
        raise unknown("option", sorted(options.keys() - known), known)
    return list(export_files(result, paths, ExportOptions(**options)))
