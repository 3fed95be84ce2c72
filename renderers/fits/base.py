"""The base of the fits of all frameworks: optimiser state by row, and losses, residuals and worth of scenes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from ..alpha import GREY, Backdrop, as_planes, backdrops, check_picture, flattened
from ..base import COUNT_MAX, FitSettings, FitState
from ..canvas import Canvas
from ..checks import instance, real_number, shown, whole_number
from ..errors import Diverged, InputError
from ..kernels.base import Kernel
from ..losses.metrics import pixel_shares
from ..losses.model import LocalModel, pseudo_problem, squared_error
from ..losses.objective import Objective
from ..row_layout import check_rows
from ..scene import Scene
from . import colours
from .rows import Parameters, parameters_of

Array = np.ndarray[Any, Any]


# Largest factor of the learning rates.
SCALE_MAX = 1e6


class Losses(Protocol):
    """Losses of pictures and their gradients, computed by a framework."""

    def prepare(self, objective: Objective, target: Array) -> Any:
        """`Objective.prepare` of a target, (H, W, 3), in the framework's arrays, on its device."""
        ...

    def by_image(self, objective: Objective, image: Array, prepared: Any, drawn: Array | None) -> tuple[float, Array]:
        """The loss of an image, (H, W, 3), and dL/dimage.

        Args:
            objective: the loss.
            image: float32.
            prepared: from `prepare`.
            drawn: the random numbers of the step, (draws, 3), if the objective needs any.
        """
        ...


class BaseFit(ABC):
    """A fit; subclasses store and update the parameters in a framework.

    The state per row is exchanged as *slates*: (N, K) float32 arrays in painting order, first the raw parameters, then
    the optimiser's state. A new row has zeros in all but the first.

    Args:
        target: (H, W, 3), or (H, W, 4) with straight alpha; sRGB in 0..1. With alpha, all losses are the mean of
            those over black and over white.
        canvas: the canvas of the scenes.
        settings: rates, optimiser, loss, weights.
        kernel: draws and evaluates scenes.
        losses: opens the losses of the framework, for pixel weights, (H, W), or None.
        device_name: the framework's name of the device of the parameters.
    """

    def __init__(
        self, target: Array, canvas: Canvas, settings: FitSettings, kernel: Kernel,
        losses: Callable[[Array | None], Losses], device_name: str,
    ) -> None:  # fmt: skip
        instance("canvas", canvas, Canvas)
        instance("settings", settings, FitSettings)
        self.device_name = device_name
        self.kernel = kernel
        self.kernel_name = kernel.name
        self.canvas = canvas
        self.settings = settings
        self.target = check_picture(target, canvas)
        self.backdrops = backdrops(self.target, canvas)
        self._flat_target = flattened(self.target, GREY)
        self._exact_shares = shares = pixel_shares(settings.weights, canvas.height, canvas.width)
        self.shares = shares.astype(np.float32)
        self.objective = settings.objective
        self._open_losses = losses
        self._prepared: dict[tuple[Objective, Backdrop], Any] = {}
        self.pixel_weights = None if settings.weights is None else (shares * (3 * shares.size)).astype(np.float32)
        """(H, W) float32 with a mean of 1, passed to losses; None if there are none."""
        self._scene = Scene.empty(canvas)
        self.parameters = self._parameters_of(self._scene)
        self._stale = False  # whether the parameters have changed since _scene
        self._worth_cache: tuple[Scene, Array] | None = None  # the last scene asked for, and the worth of its rows
        self.step_count = 0
        """Number of optimiser steps taken."""

    @abstractmethod
    def _read(self) -> list[Array]:
        """The current slates."""

    @abstractmethod
    def _write(self, slates: list[Array], canvas: Canvas) -> None:
        """Replaces the state, under the current `parameters`; with only the first slate, resets the optimiser."""

    @abstractmethod
    def _set_rows(self, rows: Array) -> None:
        """Sets the decoded rows of the raw parameters: decoding in another program may round differently."""

    @abstractmethod
    def _rows(self) -> Array:
        """The rows decoded from the raw parameters, (N, P) float32."""

    @abstractmethod
    def _step(self, scale: float, objective: Objective) -> float:
        """Takes one optimiser step; returns the loss before it. Raises FloatingPointError if it is not finite."""

    def _steps(self, scales: Sequence[float], objective: Objective) -> float:
        """Takes optimiser steps and counts them; returns the loss before the last. Raises as `_step`."""
        loss = float("nan")
        for scale in scales:
            loss = self._step(scale, objective)
            self.step_count += 1
        return loss

    @cached_property
    def losses(self) -> Losses:
        """The losses of the framework, which is imported now."""
        return self._open_losses(self.pixel_weights)

    def put(self, scene: Scene) -> None:
        """Replaces the scene; see `base.Fit.put`."""
        self._check_fits(scene)
        before, parameters = self.scene(), self._parameters_of(scene)
        _, old, new = np.intersect1d(before.ids, scene.ids, assume_unique=True, return_indices=True)
        slates = []
        for slate, width in zip(self._read(), _slate_widths(parameters.width), strict=True):
            moved, shared = np.zeros((scene.count, width), np.float32), min(width, slate.shape[1])
            moved[new, :shared] = slate[old, :shared]
            slates.append(moved)
        # Unchanged rows keep their raw parameters, free of the rounding of a round trip.
        touched = np.ones(scene.count, bool)
        shared = min(before.rows.shape[1], scene.rows.shape[1])
        touched[new[(before.rows[old, :shared] == scene.rows[new, :shared]).all(axis=1)]] = False
        slates[0][touched] = parameters.encode(scene.rows[touched], touched)
        self.canvas, self.parameters = scene.canvas, parameters
        self._write(slates, scene.canvas)
        self._scene, self._stale = scene, False

    def _parameters_of(self, scene: Scene) -> Parameters:
        return parameters_of(scene.kinds, self.canvas, self.settings)

    def _check_fits(self, scene: Scene) -> None:
        instance("scene", scene, Scene)
        if (scene.canvas.width, scene.canvas.height, scene.canvas.edge) != (
            self.canvas.width, self.canvas.height, self.canvas.edge,
        ):  # fmt: skip
            raise InputError(f"the scene is on {scene.canvas}; the fit needs {self.canvas}. Open another fit")

    def state(self) -> FitState:
        """The complete state; see `base.Fit.state`."""
        return FitState(self.scene(), self._rows().copy(), tuple(np.array(s) for s in self._read()), self.step_count)

    def restore(self, state: FitState) -> None:
        """Restores a state; see `base.Fit.restore`."""
        instance("state", state, FitState)
        self._check_fits(state.scene)
        arrays = [state.rows, *state.slates] if isinstance(state.slates, (list, tuple)) else [None]
        if not all(isinstance(array, np.ndarray) and array.dtype == np.float32 for array in arrays):
            raise InputError("the fit's state needs rows and slates of float32 arrays, as `state` gave them")
        step_count = whole_number("the fit's step_count", state.step_count, 0, COUNT_MAX)
        parameters = self._parameters_of(state.scene)
        expected = [(state.scene.count, width) for width in _slate_widths(parameters.width)]
        if state.rows.shape != state.scene.rows.shape or [slate.shape for slate in state.slates] != expected:
            raise InputError("the shapes of the fit's rows and slates do not match its scene")
        check_rows(state.rows, state.scene.kinds)
        for slate in state.slates:
            if not np.isfinite(slate).all():
                raise InputError("the slates of the fit's state hold values that are not finite")
        raw, beyond = state.slates[0].T, self.settings.radius[0]  # a triangle may be enlarged past its corners' limits
        if ((raw < parameters.low - beyond) | (raw > parameters.high + beyond)).any():
            raise InputError("the first slate of the fit's state holds parameters outside their limits")
        self.canvas, self.parameters = state.scene.canvas, parameters
        self._write(list(state.slates), self.canvas)
        self._set_rows(state.rows)
        self._scene, self._stale = state.scene, False
        self.step_count = step_count

    def step(self, scales: Sequence[float] = (1.0,), objective: Objective | None = None) -> float:
        """Takes optimiser steps; see `base.Fit.step`."""
        if not isinstance(scales, Sequence):
            raise InputError(f"scales is {shown(scales)}; needs a sequence of factors, one per step, such as [1.0]")
        factors = [real_number("scale", scale, 0, SCALE_MAX) for scale in scales]
        before = self.step_count
        try:
            loss = self._steps(factors, objective or self.objective)
        except FloatingPointError:
            self._stale = self._stale or self.step_count > before
            if not np.isfinite(self._rows()).all():  # after the previous step: back to the last decoded scene
                self._write([self.parameters.encode(self._scene.rows)], self.canvas)
                self._stale = False
            own = (
                ", or a loss function that is finite and has a finite gradient" if callable(self.settings.loss) else ""
            )
            raise Diverged(
                f"the gradient at step {self.step_count + 1} is not finite (rates x "
                f"{factors[self.step_count - before]:g}: {self.settings.rates}). Try smaller learning rates{own}"
            ) from None
        self._stale = self._stale or bool(factors)
        return loss

    def scene(self) -> Scene:
        """The current scene."""
        if self._stale:
            self._scene, self._stale = self._scene.with_rows(self._rows()), False
        return self._scene

    def loss(self, scene: Scene | None = None, objective: Objective | None = None) -> float:
        """The loss of a scene; see `base.Fit.loss`."""
        scene, objective = self._scene_or_current(scene), objective or self.objective
        losses = []
        for backdrop in self.backdrops:
            image = self.kernel.render(scene.rows, scene.kinds, backdrop.under(scene.canvas))
            if not objective.is_mse:
                losses.append(self._by_image(objective, image, backdrop)[0])
            else:
                squared = np.square(image - backdrop.target, dtype=np.float64)
                losses.append(float(np.sum(squared * self.shares[:, :, None])))
        return mean(losses)

    def residual(self, scene: Scene | None = None) -> Array:
        """Picture minus target, (H, W, 3) float32; see `base.Fit.residual`."""
        scene = self._scene_or_current(scene)
        return self.kernel.render(scene.rows, scene.kinds, scene.canvas) - flattened(
            self.target, scene.canvas.background
        )

    def worth(self, scene: Scene | None = None) -> Array:
        """The leave-one-out worth of each row, (N,); see `base.Fit.worth`."""
        scene = self._scene_or_current(scene)
        if self._worth_cache is None or self._worth_cache[0] is not scene:
            found = [self._worth_against(scene, backdrop) for backdrop in self.backdrops]
            self._worth_cache = scene, mean(found)
        return self._worth_cache[1].copy()

    def model(self, scene: Scene) -> LocalModel:
        """The local model of the loss; see `base.Fit.model`.

        Trials on five transparent pictures: 0.1 dB better than placing over grey alone, 1.4 dB better than over black
        and white alternately, 2.2 dB better than over a colour far from all colours of the picture.
        """
        problems = [self._local_problem(scene, backdrop) for backdrop in self.backdrops]
        image = mean([error for error, _, _ in problems]) + self._flat_target
        shares = mean([weights for _, _, weights in problems])
        target = self._flat_target
        if not self.objective.is_mse:
            slope = mean([weights[:, :, None] * offset for _, offset, weights in problems])
            target = image + (slope / np.maximum(shares, 1e-300)[:, :, None]).astype(np.float32)
        if len(problems) == 1:
            return LocalModel(image, target, shares, squared_error(image, target, shares))
        energy = mean([squared_error(own, np.zeros_like(own), weights) for _, own, weights in problems])
        return LocalModel(image, target, shares, energy * self.target[:, :, 3])

    def place(
        self, model: LocalModel, candidates: Array, kinds: Array, costs: Array, count: int, opacity_min: float
    ) -> tuple[Array, Array]:
        """Chooses candidates greedily; see `base.Fit.place`."""
        return self.kernel.place(model.image, self.canvas, *model.problem, candidates, kinds, costs, count, opacity_min)

    def within(self, rows: Array, kinds: Array) -> Array:
        """The rows moved to the nearest that this fit can hold; see `base.Fit.within`."""
        parameters = parameters_of(kinds, self.canvas, self.settings)
        return parameters.decode(parameters.encode(rows))

    def coloured(self, model: LocalModel, rows: Array, kinds: Array) -> Array:
        """The best colours of rows on a picture; see `base.Fit.coloured`."""
        return self.kernel.coloured(model.image, self.canvas, *model.problem, rows, kinds)

    def colour_slope(self, scene: Scene, model: LocalModel) -> Array:
        """Half the derivative of the model's loss in each colour; see `colours.slope`."""
        return colours.slope(self.kernel, scene, model)

    def colour_curvature(self, scene: Scene, model: LocalModel, rng: np.random.Generator) -> Array:
        """Half its second derivative; see `colours.curvature`."""
        return colours.curvature(self.kernel, scene, model, rng)

    def paint_shares(self, scene: Scene, labels: Array, count: int, background: int | None) -> Array:
        """How much of each pixel shows rows of each label; see `colours.paint_shares`."""
        return colours.paint_shares(self.kernel, scene, labels, count, background)

    def _worth_against(self, scene: Scene, backdrop: Backdrop) -> Array:
        canvas, planes, shares = backdrop.under(scene.canvas), backdrop.planes, self.shares
        if not self.objective.is_mse:
            error, offset, weights = self._local_problem(scene, backdrop)
            planes, shares = as_planes(backdrop.target + error + offset), weights.astype(np.float32)
        return self.kernel.worth(scene.rows, scene.kinds, canvas, planes, shares)[1]

    def _local_problem(self, scene: Scene, backdrop: Backdrop) -> tuple[Array, Array, Array]:
        """Picture minus target and pseudo-target minus picture, (H, W, 3), and shares, (H, W); see `losses.model`."""
        image = self.kernel.render(scene.rows, scene.kinds, backdrop.under(scene.canvas))
        error = image - backdrop.target
        if self.objective.is_mse:
            return error, -error, self._exact_shares
        gradient = self._by_image(self.objective, image, backdrop)[1]
        if not np.isfinite(gradient).all():
            raise Diverged(
                f"the gradient of the loss {self.objective.name} with respect to the picture is not finite at step "
                f"{self.step_count}; the loss needs a finite gradient at any picture"
            )
        return error, *pseudo_problem(gradient, error)

    def _prepared_target(self, objective: Objective, backdrop: Backdrop) -> Any:
        """`Objective.prepare` of the target over a backdrop, cached."""
        key = objective, backdrop
        if key not in self._prepared:
            self._prepared[key] = self.losses.prepare(objective, backdrop.target)
        return self._prepared[key]

    def _by_image(self, objective: Objective, image: Array, backdrop: Backdrop) -> tuple[float, Array]:
        """The loss of an image, (H, W, 3), against the target over this backdrop, and dL/dimage."""
        prepared = self._prepared_target(objective, backdrop)
        return self.losses.by_image(objective, image, prepared, self._drawn(objective))

    def _drawn(self, objective: Objective) -> Array | None:
        """The random numbers of the current step for an objective, (draws, 3); a function of `step_count`."""
        return (
            np.random.default_rng(self.step_count).random((objective.draws, 3), np.float32) if objective.draws else None
        )

    def _scene_or_current(self, scene: Scene | None) -> Scene:
        """The given scene, checked; the current one if not given."""
        if scene is None:
            return self.scene()
        self._check_fits(scene)
        return scene


def _slate_widths(width: int) -> tuple[int, int, int, int]:
    """Columns of each slate for rows of this width: raw parameters, then Adam's weights, means and mean squares."""
    return width, 2, width, width


def mean(values: Sequence[Any]) -> Any:
    """The mean of numbers or of a framework's arrays; a single one is returned as it is."""
    return values[0] if len(values) == 1 else sum(values) / len(values)
