"""Runs a plan: executes the parts of its stages, measures time, passes events to observers."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from artpipe.renderers import (
    ArtpipeError,
    Diverged,
    FittingRenderer,
    Interrupted,
    OutOfMemory,
    RendererOptions,
    Scene,
    load_fitting_renderer,
)
from artpipe.renderers.errors import PictureWarning
from artpipe.renderers.losses.objective import LossLike, Objective, objective_of
from artpipe.stages.base import Run
from artpipe.stages.events import Event
from artpipe.stages.export import Export
from artpipe.stages.metrics import Metrics
from artpipe.stages.pictures.picture import is_array, load_picture, picture_size, target_size
from artpipe.stages.pictures.sizes import parse_size
from artpipe.stages.result import Result

from ..options import RunConfig, parse_background
from .interruption import Interruption, NotedInterrupt
from .memory import check_memory
from .observers import Observer
from .plan import Plan

Array = np.ndarray[Any, Any]

# Recent snapshots to compare with when a run ends early, to save the best scene.
_RECENT = 8


def load_target(picture: Any, config: RunConfig, memory: int | None = None) -> Array:
    """The target: a picture at the size and with the background of a configuration.

    Args:
        picture: as for `load_picture`.
        config: size and background are used.
        memory: limit of the run in bytes; by default the available memory.

    Returns:
        (H, W, 3), or (H, W, 4) with straight alpha if the picture has transparent pixels and no background is set.

    Raises:
        InputError: the picture cannot be read, or the run would need more memory.
    """
    size = None if config.size is None else parse_size(config.size)
    original = picture_size(picture)
    width, height = original if size is None and is_array(picture) else target_size(original, size)
    held = replace(config, count=min(config.count, width * height)).pool_count
    check_memory(width, height, held, memory, config.pool_share, exact=isinstance(size, tuple))
    return load_picture(picture, size, parse_background(config.background), enlarge=True)


def fitting_the_canvas(config: RunConfig, target: Array) -> RunConfig:
    """The configuration for this canvas, as of `fitted`; warns (`PictureWarning`) if it had more shapes than pixels."""
    height, width = target.shape[:2]
    if config.count > width * height:
        warnings.warn(
            f"the canvas, {width} x {height}, has {width * height} pixels: {width * height} shapes instead of "
            f"{config.count}. Try a larger size",
            PictureWarning,
            stacklevel=3,
        )
    return config.fitted(width, height)


def open_renderer(config: RunConfig) -> FittingRenderer:
    """The renderer of a configuration; imports its framework.

    Raises:
        BackendUnavailable: the framework or the device is missing.
    """
    return load_fitting_renderer(config.renderer, RendererOptions(device=config.device))  # type: ignore[arg-type]


def open_run(
    target: Array,
    config: RunConfig,
    picture: str | Path | None = None,
    weights: Array | None = None,
    memory: int | None = None,
    title: str = "painting",
    loss: LossLike | None = None,
    settle_losses: Sequence[str] | None = None,
) -> Run:
    """A run on a target, already compiled, so that its time is fitting time.

    Args:
        target: (H, W, 3), or (H, W, 4) with straight alpha.
        config: its options.
        picture: the source of the target, whose proportions the mask must have.
        weights: (H, W), pixel weights; by default from the configuration.
        memory: limit of the run in bytes; by default the available memory.
        title: the painting's name, for exports.
        loss: a function that the run minimises, in place of the configuration's loss.
        settle_losses: what stages of settling minimise instead; that of the configuration if not given.

    Raises:
        InputError: the run would need more memory, or the mask is invalid.
        BackendUnavailable: the framework or the device is missing.
    """
    if target.ndim == 3:  # `Run` rejects any other
        check_memory(target.shape[1], target.shape[0], config.pool_count, memory, config.pool_share)
    renderer = open_renderer(config)
    if weights is None:
        weights = config.weights(target, picture)
    settings = replace(config.fit_settings(*target.shape[1::-1]), weights=weights)
    if loss is not None:
        settings = replace(settings, loss=loss)
    background = parse_background(config.background)
    run = Run(
        target, renderer, config.seed, background, settings, most=config.count, title=title, palette=config.colours
    )
    if settle_losses is None:
        settle_losses = [] if config.settle_loss is None else [config.settle_loss]
    run.warm_up(*map(objective_of, settle_losses))
    if config.reduction is not None and config.reduction > 1:
        run.rescale(config.reduction)
        run.warm_up()
    return run


def carry_out(
    run: Run,
    plan: Plan,
    config: RunConfig,
    observers: Sequence[Observer],
    started: float,
    interruption: Interruption | NotedInterrupt | None = None,
    between: Callable[[], object] | None = None,
) -> Result:
    """Runs the rest of a plan; an interruption or a failure ends it with the best scene so far.

    Args:
        run: the run to continue.
        plan: its plan.
        config: for the metrics.
        observers: receive the events.
        started: `time.perf_counter()` at the start of this process's work.
        interruption: checked after each part; if it is set, the run stops after the plan's remaining exports.
        between: called after each part, when the run can be saved.
    """
    reason = "finished"
    failure: ArtpipeError | None = None
    try:
        for part in plan.parts(run):
            for event in plan.work(part, run):
                _tell(run, plan, observers, event)
            if plan.stopping.met(run, plan.seconds, plan.settles):
                break
            if not plan.settles and plan.cut is None and plan.stopping.impatient(run.step):
                plan.cut_short(min(run.scene.count, run.most or run.scene.count))
            # After the stop rules: a resumed run does not check them again for this part.
            if interruption is not None and interruption.signal is not None:
                raise KeyboardInterrupt
            if between is not None:
                between()
        if plan.pacing is not None and run.step < plan.pacing.steps_max:
            reason = "seconds"  # the plan was shortened to fit
        reason = plan.stopping.reason or reason
    except KeyboardInterrupt:
        reason, failure = "interrupted", Interrupted(f"interrupted after {run.step} steps")
        for stage in plan.stages[plan.stage + 1 :]:
            if isinstance(stage, Export):
                for event in stage(run):
                    _tell(run, plan, observers, event)
    except Diverged as error:
        reason, failure = f"diverged: {error}", error
    except MemoryError:
        failure = OutOfMemory(f"out of memory after {run.step} steps. Try a smaller size or fewer shapes")
        reason = "out of memory. Try a smaller --size or --max"
    finally:
        for observer in observers:
            observer.close()
    scene = run.showable() if failure is None else _best_so_far(run, plan.objective)
    final = plan.objective or run.settings.objective
    metrics = Metrics(
        shapes=scene.count,
        steps=run.step,
        mse=run.mean_squared_error(scene, weighted=False),
        ssim=run.structural_similarity(scene),
        weighted_mse=None if run.settings.weights is None else run.mean_squared_error(scene),
        loss=None if final.is_mse else run.loss(scene, final),
        fit_seconds=round(plan.seconds, 4),
        total_seconds=round(plan.elapsed + time.perf_counter() - started, 4),
        renderer=config.renderer,
        kernel=run.fit.kernel_name,
        device=run.fit.device_name,
        reason=reason,
        colours=None if run.palette is None else len(np.unique(scene.colour, axis=0)),
    )
    return Result(scene, run.history.copy(), run.target, run.title, metrics, failure)


def _tell(run: Run, plan: Plan, observers: Sequence[Observer], event: Event) -> None:
    run.history.see(event, plan.seconds)
    plan.stopping.see(event)
    for observer in observers:
        observer.see(event, plan.seconds)


def _best_so_far(run: Run, objective: Objective | None) -> Scene:
    """The current scene, or a recent snapshot with a lower loss: a relocation raises the loss at first."""
    scenes = [run.showable(), *(snapshot.scene for snapshot in run.history.snapshots[-_RECENT:])]
    return min(scenes, key=lambda scene: run.loss(scene, objective))
