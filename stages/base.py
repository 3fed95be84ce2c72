"""What a stage is, and what it works on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from ..renderers import Canvas, Fit, FitSettings, FittingRenderer, InputError, Scene
from ..renderers.cpu_placing import PlacingBoard
from ..renderers.losses import check_target, pixel_shares
from .energy import blurred
from .events import Event, Progress
from .record import Chronicle, Record

Array = np.ndarray[Any, Any]

# Optimiser steps between two Progress events: a few tens of milliseconds.
STEPS_PER_EVENT = 25


class Run:
    """One painting at work: the target, the fit that holds the scene, and the generator of all chance.

    A caller that stops pulling events stops the run with the scene whole.

    Args:
        target: (H, W, 3), sRGB in 0..1.
        renderer: what fits.
        seed: of the random generator.
        background: sRGB in 0..1; the (weighted) mean colour of the target if not given.
        settings: learning rates and the like.
        most: circles that anything shown or saved may hold; the search works on a larger pool.

    Attributes:
        chronicle: what is kept of the events so far. Who pulls the events hands them to it.
        title: the painting's name, for what is exported.
    """

    def __init__(
        self,
        target: Array,
        renderer: FittingRenderer,
        seed: int = 0,
        background: tuple[float, float, float] | None = None,
        settings: FitSettings | None = None,
        most: int | None = None,
    ) -> None:
        self.most = most
        self.settings = settings or FitSettings()
        target = np.asarray(target, np.float32)
        if target.ndim != 3 or target.shape[2] != 3 or 0 in target.shape:
            raise InputError(f"target has shape {target.shape}; needs (H, W, 3), sRGB in 0..1")
        height, width = target.shape[:2]
        self.shares = pixel_shares(self.settings.weights, height, width)
        if background is None:
            mean = np.clip((target * self.shares[:, :, None]).sum((0, 1)) / self.shares.sum(), 0, 1)
            background = (float(mean[0]), float(mean[1]), float(mean[2]))
        self.canvas = Canvas(width, height, background)
        self.target = check_target(target, self.canvas)
        self.renderer = renderer
        self.rng = np.random.default_rng(seed)
        self.fit: Fit = renderer.fit(self.target, self.canvas, self.settings)
        self.board = PlacingBoard(self.canvas, self.target, self.shares)
        self.chronicle = Chronicle()
        self.title = "painting"

    def warm_up(self) -> None:
        """Compiles and loads all that a run uses, by one step of one circle, and forgets the circle."""
        one = Scene.circles(self.canvas, x=[0.5], y=[0.5], radius=[1.0], colour=[[0.5, 0.5, 0.5]])
        self.fit.put(one)
        self.fit.step(1, 0.0)
        self.fit.worth()
        self.board.set_image(self.target)
        self.board.choose(one.rows, 1)
        blurred(self.shares, 1.0)
        self.fit.put(Scene.empty(self.canvas))
        self.fit.step_count = 0

    def mean_squared_error(self, scene: Scene) -> float:
        """The weighted mean squared error of a scene against the target, whatever loss is optimised."""
        difference = self.fit.residual(scene)
        return float(np.sum(np.square(difference, dtype=np.float64) * self.shares[:, :, None]))

    @property
    def scene(self) -> Scene:
        """The scene as it stands."""
        return self.fit.scene()

    def showable(self) -> Scene:
        """The scene as it stands, with only the worthiest `most` of its circles."""
        scene = self.scene
        if self.most is None or scene.count <= self.most:
            return scene
        return keep_worthiest(scene, self.fit.worth(), self.most)

    def record(self) -> Record:
        """What there is to export by now."""
        return Record(self.showable(), self.chronicle.moments, tuple(self.chronicle.history), self.target, self.title)

    @property
    def step(self) -> int:
        """Optimiser steps so far."""
        return self.fit.step_count

    def refine(self, stage: str, count: int, scale: float = 1.0) -> Iterator[Event]:
        """Takes optimiser steps, telling of them every `STEPS_PER_EVENT`.

        Args:
            stage: the stage's name, for the events.
            count: how many steps.
            scale: multiplies all learning rates.
        """
        while count > 0:
            part = min(count, STEPS_PER_EVENT)
            mse = self.fit.step(part, scale)
            count -= part
            yield Progress(stage, self.step, self.scene.count, mse)


def keep_worthiest(scene: Scene, worth: Array, count: int) -> Scene:
    """The scene with only its `count` worthiest rows, in their painting order.

    Args:
        scene: N rows.
        worth: (N,).
        count: how many stay.
    """
    order = np.argsort(worth, kind="stable")
    return scene.select(np.sort(order[scene.count - count :]))


class Stage(Protocol):
    """A step of the work: frozen options, called with a run, yielding events as it goes."""

    def __call__(self, run: Run) -> Iterator[Event]:
        """Works on the run's scene."""
        ...
