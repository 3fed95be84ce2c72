"""Carrying out a plan: works off the stages' parts, keeps the time, hands events to observers."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
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
    psnr,
    seed_loss,
)
from artpipe.renderers.errors import PictureWarning
from artpipe.stages.base import Part, Run, Stage
from artpipe.stages.events import Event
from artpipe.stages.export import Export
from artpipe.stages.grow import Grow
from artpipe.stages.pictures.picture import is_array, load_picture, picture_size, target_size
from artpipe.stages.pictures.sizes import parse_size
from artpipe.stages.record import Record
from artpipe.stages.refine import Settle
from artpipe.stages.relocate import Relocate

from ..options import RunConfig, parse_background
from .interruption import Interruption, NotedInterrupt
from .memory import check_memory
from .observers import Observer
from .pacing import Paced, Pacing, Place
from .stopping import Stopping

Array = np.ndarray[Any, Any]

# Snapshots that a run which ends before its time is compared with, to save the best.
_RECENT = 8
# How a run may end that was not cut off.
_WANTED = ("finished", "seconds", "target-psnr", "patience")


@dataclass
class Course:
    """A plan, and how far it is carried out: what a checkpoint holds beside the state of the run.

    Attributes:
        stages: the plan.
        stopping: what ends it early.
        stage: index of the stage at work.
        done: its parts that are done.
        circles: circles that stood when it began; None if it has not begun.
        begun: optimiser steps of the run when it began, or was last planned.
        seconds: of fitting so far.
        elapsed: seconds that earlier processes spent on it, all told.
        cut: if the plan was cut short: from which stage on, keeping how many circles, settling in how many steps.
        pacing: scales the plan to the seconds that it has; None where it takes its steps, however long.
    """

    stages: Sequence[Stage]
    stopping: Stopping = field(default_factory=Stopping)
    stage: int = 0
    done: int = 0
    circles: int | None = None
    begun: int = 0
    seconds: float = 0.0
    elapsed: float = 0.0
    cut: tuple[int, int, int] | None = None
    pacing: Pacing | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._looked = -1.0  # seconds at the last comparison of plan and time
        paced = [stage for stage in self.stages if isinstance(stage, Paced)]
        if self.stopping.seconds is not None and len(paced) == len(self.stages):
            self.pacing = Pacing(paced, self.stopping.seconds)

    @property
    def settles(self) -> bool:
        """Whether the last stage is at work."""
        return self.stage >= len(self.stages) - 1

    def parts(self, run: Run) -> Iterator[Part]:
        """What is left to do; who carries a part out adds it to `done`."""
        while self.stage < len(self.stages):
            if self.circles is None:
                self.circles, self.begun = run.scene.count, run.step
            at_work, stage = self.stage, self.stages[self.stage]
            for part in islice(stage.parts(self.circles), self.done, None):
                if self._is_replanned(run, part):
                    break
                yield part
                if self.stage != at_work:  # the plan was cut short
                    break
            else:
                self._go_to(at_work + 1)

    def _is_replanned(self, run: Run, part: Part) -> bool:
        """Whether the stages from the one at work on have just been given other numbers of steps, to end in time."""
        at, pacing = self.stage, self.pacing
        if pacing is None or self.cut is not None or self.seconds == self._looked or self.circles is None:
            return False
        rest = [stage for stage in self.stages[at:] if isinstance(stage, Paced)]
        if not pacing.is_due(rest, self.done, part, self.seconds):
            return False
        self._looked = self.seconds
        place = Place(self.circles, run.step - self.begun, run.scene.count, run.step, self.seconds)
        planned = pacing.replanned(rest, place)
        if planned is None:
            return False
        self.stages = [*self.stages[:at], *planned]
        self.done, self.begun = 0, run.step
        if isinstance(planned[0], Grow):
            self.circles = place.circles  # a search goes on with the pool that it began with
        return True

    def cut_short(self, circles: int, steps: int) -> None:
        """Leaves the stage at work and all after it, to keep so many of the circles and settle in so many steps."""
        self.recut((self.stage + 1, circles, steps))
        self._go_to(self.stage + 1)

    def recut(self, cut: tuple[int, int, int]) -> None:
        """Changes the plan as `cut` tells, without moving in it."""
        at, circles, steps = self.cut = cut
        self.stages = [*self.stages[:at], Relocate(0.0, circles), Settle(steps)]

    def _go_to(self, stage: int) -> None:
        self.stage, self.done, self.circles = stage, 0, None


@dataclass(frozen=True)
class Outcome:
    """How a run went.

    Attributes:
        record: what stands, at most `most` circles, and how it came about.
        initial: what stood after the first batch was seeded.
        metrics: what `metrics.json` holds; `psnr` is None where the picture is met exactly.
        reason: "finished", the stop rule that ended it ("seconds", "target-psnr", "patience"), "interrupted", or what
            went wrong.
        failure: the error of a run that was interrupted or went wrong, for callers that raise it; else None.
    """

    record: Record
    initial: Scene
    metrics: dict[str, Any]
    reason: str
    failure: ArtpipeError | None = None

    @property
    def whole(self) -> bool:
        """Whether the run came to an end that was wanted."""
        return self.reason in _WANTED

    @property
    def resumable(self) -> bool:
        """Whether to go on may lead further: it was interrupted, or there was too little memory."""
        return not self.whole and not self.reason.startswith("diverged")


def load_target(picture: Any, config: RunConfig, memory: int | None = None) -> Array:
    """The target that a configuration makes of a picture.

    Args:
        picture: as of `load_picture`.
        config: of which size and background count.
        memory: bytes that a run on it may need; what the machine has if not given.

    Returns:
        (H, W, 3), or (H, W, 4) with straight alpha if the picture is transparent somewhere and has no background.

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
    """The configuration with no more circles than its canvas has pixels; warns (`PictureWarning`) if it had more."""
    pixels = target.shape[0] * target.shape[1]
    if config.count <= pixels:
        return config
    warnings.warn(
        f"the canvas, {target.shape[1]} x {target.shape[0]}, has {pixels} pixels: {pixels} circles instead of "
        f"{config.count}. Try a larger size",
        PictureWarning,
        stacklevel=3,
    )
    return replace(config, count=pixels)


def course_of(config: RunConfig) -> Course:
    """The plan of a configuration, with its stop rules."""
    return Course(config.plan(), Stopping(config.seconds, config.target_psnr, config.patience))


def open_renderer(config: RunConfig) -> FittingRenderer:
    """The renderer of a configuration; loads its framework.

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
) -> Run:
    """A run on a target, with everything compiled, so that its time is fitting time.

    Args:
        target: (H, W, 3), or (H, W, 4) with straight alpha.
        config: its options.
        picture: the file that the target was made from, for which a mask is measured.
        weights: (H, W), what each pixel counts; from the configuration if not given.
        memory: bytes that the run may need; what the machine has if not given.

    Raises:
        InputError: the run would need more memory, or the mask cannot be used.
        BackendUnavailable: the framework or the device is missing.
    """
    if target.ndim == 3:  # any other is refused by `Run`
        check_memory(target.shape[1], target.shape[0], config.pool_count, memory, config.pool_share)
    renderer = open_renderer(config)
    if weights is None:
        weights = config.weights(target, picture)
    settings = replace(config.fit_settings(), weights=weights)
    run = Run(target, renderer, config.seed, parse_background(config.background), settings, most=config.count)
    run.warm_up()
    return run


def carry_out(
    run: Run,
    course: Course,
    config: RunConfig,
    observers: Sequence[Observer],
    started: float,
    interruption: Interruption | NotedInterrupt | None = None,
    between: Callable[[], object] | None = None,
) -> Outcome:
    """Carries out what is left of a plan; an interruption or a failure ends it with the best scene so far.

    Args:
        run: what to work on.
        course: the plan; is moved on.
        config: for the record.
        observers: who sees the events.
        started: `time.perf_counter()` when this process began with it.
        interruption: asked after each part whether to stop; exports that the plan still has are then carried out.
        between: called after each part, when the run can be saved.
    """
    reason = "finished"
    failure: ArtpipeError | None = None
    try:
        for part in course.parts(run):
            before = course.seconds
            for event in _timed(part.work(run), course):
                _tell(run, course, observers, event)
            course.done += 1
            if course.pacing is not None:
                course.pacing.measure(part, course.seconds - before)
            if course.stopping.met(run, course.seconds, course.settles):
                break
            if not course.settles and course.cut is None and course.stopping.impatient(run.step):
                course.cut_short(min(run.scene.count, run.most or run.scene.count), _settling_steps(course))
            # After the rules: a run that is gone on with does not ask them about this part again.
            if interruption is not None and interruption.signal is not None:
                raise KeyboardInterrupt
            if between is not None:
                between()
        if course.pacing is not None and run.step < course.pacing.steps_max:
            reason = "seconds"  # for which the plan has fewer steps
        reason = course.stopping.reason or reason
    except KeyboardInterrupt:
        reason, failure = "interrupted", Interrupted(f"interrupted after {run.step} steps")
        for stage in course.stages[course.stage + 1 :]:
            if isinstance(stage, Export):
                for event in stage(run):
                    _tell(run, course, observers, event)
    except Diverged as error:
        reason, failure = f"diverged: {error}", error
    except MemoryError:
        failure = OutOfMemory(f"out of memory after {run.step} steps. Try a smaller size or fewer circles")
        reason = "out of memory. Try a smaller --size or --max"
    finally:
        for observer in observers:
            observer.close()
    record = run.record()
    if reason not in _WANTED:
        record = replace(record, scene=_best_so_far(run, record))
    scene = record.scene
    mse = run.mean_squared_error(scene, weighted=False)
    weighted = {} if run.settings.weights is None else {"weighted_mse": run.mean_squared_error(scene)}
    metrics = {
        "circles": scene.count,
        "steps": run.step,
        "mse": mse,
        "psnr": psnr(mse) if mse > 0 else None,  # JSON has no infinity
        "seed_loss": seed_loss(mse),
        **weighted,
        **({} if run.settings.loss is None else {"loss": run.fit.loss()}),
        "fit_seconds": round(course.seconds, 4),
        "total_seconds": round(course.elapsed + time.perf_counter() - started, 4),
        "renderer": config.renderer,
        "kernel": run.fit.kernel_name,
        "device": run.fit.device_name,
        "reason": reason,
        "history": list(record.history),
    }
    return Outcome(record, record.moments[0].scene if record.moments else scene, metrics, reason, failure)


def _timed(events: Iterator[Event], course: Course) -> Iterator[Event]:
    """The events; the time that they take to come is the course's."""
    while True:
        before = time.perf_counter()
        event = next(events, None)
        course.seconds += time.perf_counter() - before
        if event is None:
            return
        yield event


def _tell(run: Run, course: Course, observers: Sequence[Observer], event: Event) -> None:
    run.chronicle.see(event, course.seconds)
    course.stopping.see(event)
    for observer in observers:
        observer.see(event, course.seconds)


def _settling_steps(course: Course) -> int:
    """Steps of settling in the plan, as far as they fit into its seconds."""
    last = course.stages[-1]
    steps = last.steps if isinstance(last, Settle) else 0
    return steps if course.pacing is None else course.pacing.fitting(steps, course.seconds)


def _best_so_far(run: Run, record: Record) -> Scene:
    """What stands, or one of the last snapshots if its loss is lower: a relocation sets the picture back at first."""
    scenes = [record.scene, *(moment.scene for moment in record.moments[-_RECENT:])]
    return min(scenes, key=run.mean_squared_error)
