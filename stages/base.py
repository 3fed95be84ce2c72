"""The base classes of stages, and the run that they work on."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from artpipe.renderers import Canvas, Fit, FitSettings, FitState, FittingRenderer, InputError, Scene
from artpipe.renderers.alpha import BLACK, WHITE, check_picture, flattened
from artpipe.renderers.losses.metrics import pixel_shares
from artpipe.renderers.losses.objective import Objective
from artpipe.renderers.losses.ssim import structural_similarity

from .events import Event
from .history import History
from .levels import Level
from .palette import Palette, clusters
from .placing.blur import blurred
from .result import Result

Array = np.ndarray[Any, Any]


class Run:
    """The state of a painting in progress: the target, the fit that holds the scene, and the random generator.

    A caller that stops iterating over events leaves the run with a valid scene.

    A large run may grow and search on a reduced canvas (see `rescale`). What it shows, saves and exports is on the full
    one; `scene` and `fit` are on the canvas of the current level.

    Args:
        target: (H, W, 3), or (H, W, 4) with straight alpha; sRGB in 0..1. With alpha, the canvas is transparent.
        renderer: the fitting renderer.
        seed: random seed.
        background: sRGB in 0..1; by default the mean colour of the target, by weights and alpha.
        settings: learning rates and other settings of the fit.
        most: the largest number of shapes in a shown or saved scene; the search works on a larger pool.
        title: the painting's name, for exports.
        palette: the colours that rows may have; any if not given. The settings then have a colour rate of 0.

    Attributes:
        canvas: the canvas at full size.
        history: loss curve and snapshots so far. The caller that iterates over events passes them to `history.see`.
        level: the target and the fit at the current size.
        step_seconds: what a step of each objective of `warm_up` takes.
        typical_colours: `count -> (count, 3)`, the colours of the target by k-means; for a palette.
    """

    def __init__(
        self,
        target: Array,
        renderer: FittingRenderer,
        seed: int = 0,
        background: tuple[float, float, float] | None = None,
        settings: FitSettings | None = None,
        most: int | None = None,
        title: str = "painting",
        palette: Palette | None = None,
    ) -> None:

        self.most = most
        self.palette = palette
        self.settings = settings or FitSettings()
        target = np.asarray(target, np.float32)
        if target.ndim != 3 or target.shape[2] not in (3, 4) or 0 in target.shape:
            raise InputError(f"target has shape {target.shape}; needs (H, W, 3) or (H, W, 4), sRGB and alpha in 0..1")
        height, width = target.shape[:2]
        self.shares = pixel_shares(self.settings.weights, height, width)
        transparent = target.shape[2] == 4
        if background is None:
            background = _mean_colour(target, self.shares)
        self.canvas = Canvas(width, height, background, transparent=transparent)
        self.target = check_picture(target, self.canvas)
        self.renderer = renderer
        self.rng = np.random.default_rng(seed)
        self.level = self._full = Level(self.target, self.canvas, renderer, self.settings)
        self.history = History()
        self.title = title
        self.step_seconds: list[float] = []
        self.typical_colours = lru_cache(maxsize=1)(self._clusters)

    def _clusters(self, count: int) -> Array:
        return clusters(self._full.flat_target.reshape(-1, 3), self._full.shares.ravel(), count)

    @property
    def fit(self) -> Fit:
        """The fit of the current level."""
        return self.level.fit

    @property
    def reduction(self) -> int:
        """Pixels of the full canvas along a side of a pixel of the current level."""
        return self.level.reduction

    def rescale(self, reduction: int) -> None:
        """Moves the scene to a canvas of another size. Optimiser state, a memory of about ten steps, is dropped.

        Args:
            reduction: pixels of the full canvas along a side of a pixel of the new one; 1 for the full canvas.
        """
        if reduction == self.reduction:
            return
        before, level = self.level, self._level(reduction)
        level.fit.put(level.adapted(before.fit.scene(), before.reduction))
        level.fit.step_count = before.fit.step_count
        self.level = level

    def _level(self, reduction: int) -> Level:
        """The current or the full level, or a new one."""
        for level in (self.level, self._full):
            if level.reduction == reduction:
                return level
        return Level(self.target, self.canvas, self.renderer, self.settings, reduction)

    def warm_up(self, *objectives: Objective) -> None:
        """Compiles and loads everything that a run uses, by one step of one circle, then removes the circle.

        Args:
            *objectives: what stages minimise beside the loss of the settings.
        """
        empty = self.fit.state()
        one = Scene.circles(self.level.canvas, x=[0.5], y=[0.5], radius=[1.0], colour=[[0.5, 0.5, 0.5]])
        self.fit.put(one)
        self.fit.step([0.0])
        for objective in objectives:
            self.fit.step([0.0], objective)
            started = time.perf_counter()
            self.fit.step([0.0], objective)
            self.step_seconds.append(time.perf_counter() - started)
        self.fit.worth()
        model = self.fit.model(one)
        self.fit.place(model, one.rows, one.kinds, np.ones(1, np.float32), 1, 1.0)
        self.fit.coloured(model, one.rows, one.kinds)
        blurred(self.level.shares, 1.0)
        self.fit.restore(empty)

    def mean_squared_error(self, scene: Scene, weighted: bool = True) -> float:
        """The mean squared error of a scene against the target, independent of the optimised loss.

        Args:
            scene: on the full canvas.
            weighted: whether to use the pixel weights.
        """
        over = [scene.with_background(colour) for colour in (BLACK, WHITE)] if self.canvas.transparent else [scene]
        squared = [np.square(self._full.fit.residual(one), dtype=np.float64) for one in over]
        shares = self._full.shares if weighted else pixel_shares(None, *self._full.shares.shape)
        return float(np.sum(np.mean(squared, axis=0) * shares[:, :, None]))

    def loss(self, scene: Scene, objective: Objective | None = None) -> float:
        """The loss of a scene on the full canvas; see `Fit.loss`."""
        return self._full.fit.loss(scene, objective)

    def structural_similarity(self, scene: Scene) -> float:
        """SSIM of the picture of a scene, at full size, and the target; over both backdrops if the target has alpha."""
        over = [BLACK, WHITE] if self.canvas.transparent else [scene.canvas.background]
        found = [
            structural_similarity(self._full.fit.residual(scene.with_background(colour)) + wanted, wanted)
            for colour in over
            for wanted in [flattened(self.target, colour)]
        ]
        return sum(found) / len(found)

    @property
    def scene(self) -> Scene:
        """The current scene, on the canvas of the current level."""
        return self.fit.scene()

    def showable(self) -> Scene:
        """The current scene on the full canvas, with only its `most` worthiest shapes."""
        scene = self.scene
        if self.most is not None and scene.count > self.most:
            scene = keep_worthiest(scene, self.fit.worth(), self.most)
        return self.enlarged(scene)

    def enlarged(self, scene: Scene) -> Scene:
        """A scene of the current level on the full canvas."""
        return self._full.adapted(scene, self.reduction)

    def result(self) -> Result:
        """The result so far, for exports; without metrics."""
        return Result(self.showable(), self.history.copy(), self.target, self.title)

    @property
    def step(self) -> int:
        """Optimiser steps so far."""
        return self.fit.step_count

    def state(self) -> RunState:
        """The state of the run; a run on the same target that restores it continues bit-identically."""
        return RunState(self.fit.state(), self.rng.bit_generator.state, self.history.copy(), self.reduction)

    def restore(self, state: RunState) -> None:
        """Restores the output of `state`.

        Raises:
            InputError: the state is invalid or from another canvas or kind of generator; the run is then unchanged.
        """
        level = self._level(state.reduction)
        canvas = (
            level.canvas
            if self.palette is None
            else replace(level.canvas, background=state.fit.scene.canvas.background)
        )
        if state.fit.scene.canvas != canvas:
            raise InputError(f"the state is of {state.fit.scene.canvas}; the run is on {level.canvas}")
        rng = np.random.default_rng(0)
        try:
            rng.bit_generator.state = state.rng
        except (KeyError, TypeError, ValueError, OverflowError):
            raise InputError("the state of the random generator is broken") from None
        level.fit.restore(state.fit)
        self.level = level
        self.rng = rng
        self.history = state.history.copy()


def _mean_colour(target: Array, shares: Array) -> tuple[float, float, float]:
    """The mean colour weighted by alpha; white if everything is transparent."""
    counts = shares[:, :, None] * target[:, :, 3:] if target.shape[2] == 4 else shares[:, :, None]
    if not counts.sum() > 0:
        return WHITE
    mean = np.clip((target[:, :, :3] * counts).sum((0, 1)) / counts.sum(), 0, 1)
    return float(mean[0]), float(mean[1]), float(mean[2])


def keep_worthiest(scene: Scene, worth: Array, count: int) -> Scene:
    """The scene with only its `count` worthiest rows, in their painting order.

    Args:
        scene: N rows.
        worth: (N,).
        count: rows to keep.
    """
    order = np.argsort(worth, kind="stable")
    return scene.select(np.sort(order[scene.count - count :]))


@dataclass(frozen=True)
class RunState:
    """The complete state of a run, except its target and options.

    Attributes:
        fit: parameters and optimiser.
        rng: the random generator's `bit_generator.state`.
        history: loss curve and snapshots.
        reduction: of the canvas of the fit.
    """

    fit: FitState
    rng: Mapping[str, Any]
    history: History
    reduction: int = 1


class Part(Protocol):
    """A piece of a stage's work. Between parts, a run can be stopped, saved and resumed."""

    def work(self, run: Run) -> Iterator[Event]:
        """Works on the run's scene."""
        ...


@dataclass(frozen=True)
class Rescale:
    """Moves the run to a canvas of another size; see `Run.rescale`."""

    reduction: int

    def work(self, run: Run) -> Iterator[Event]:
        """Moves the scene."""
        run.rescale(self.reduction)
        yield from ()


class Stage(ABC):
    """A step of the work: frozen options, called with a run, yielding events as it goes.

    Attributes:
        reduction: pixels of the full canvas along a side of a pixel of the canvas on which the stage works.
    """

    reduction: int = 1

    @abstractmethod
    def parts(self, shapes: int) -> Iterator[Part]:
        """The work, piece by piece.

        The parts depend only on the options and on `shapes`, so that an interrupted stage can continue with the next.

        Args:
            shapes: number of shapes when the stage begins.
        """

    def leaves(self, shapes: int) -> int:
        """The number of shapes after the stage, given that before it; meanwhile, never more than the larger one."""
        return shapes

    def __call__(self, run: Run) -> Iterator[Event]:
        """Works on the run's scene."""
        run.rescale(self.reduction)
        for part in self.parts(run.scene.count):
            yield from part.work(run)


class ScheduledStage(Stage):
    """A stage that follows a schedule from its first to its last step, and can continue with another number of steps.

    Attributes:
        steps: optimiser steps.
        begin: share of the schedule done before these steps, 0..1.
    """

    steps: int
    begin: float

    def progress(self, taken: int) -> float:
        """Share of the schedule done after this many of its steps, 0..1."""
        return min(1.0, self.begin + (1 - self.begin) * taken / max(1, self.steps))


class AtomicStage(Stage):
    """A stage that consists of a single part."""

    @abstractmethod
    def work(self, run: Run) -> Iterator[Event]:
        """Works on the run's scene."""

    def parts(self, shapes: int) -> Iterator[Part]:
        """The stage itself."""
        del shapes
        yield self
