"""The protocols of renderers and fits, and their settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

import numpy as np

from .canvas import Canvas
from .checks import choice, instance, real_number, shown, whole_number
from .errors import InputError
from .losses.model import LocalModel
from .losses.mse import MSE
from .losses.objective import LossLike, Objective, check_function, objective_of
from .options import check_options, documented, option
from .primitives.base import FARTHEST, OPACITY_LIMITS, SOFTNESS_MIN, THINNEST, Look
from .scene import Scene
from .threads import check_threads

Array = np.ndarray[Any, Any]
Device = Literal["auto", "cpu", "cuda"]
KernelName = Literal["auto", "numba", "dense"]
DEVICES: tuple[str, ...] = get_args(Device)

MEMORY_MAX = 1e9  # MB
RATE_MAX = 1000.0
_RATE = {"low": 0.0, "high": RATE_MAX, "advanced": True}
EPSILON_MAX = 1e6
COUNT_MAX = 2**31 - 1
BETA_MAX = 1 - 1e-6  # Adam's bias correction divides by 1 - beta, in float32


@dataclass(frozen=True)
class RendererOptions:
    """Device, kernel and resources of a renderer.

    Attributes:
        device: "cpu", "cuda", or "auto", currently always the CPU (a dense step of 2048 circles took 11 ms on the seed
            project's GPU; a tiled one takes 1 to 2 ms on two cores).
        kernel: "numba" (tiled, CPU only), "dense" (in the framework's own operations, any device), or "auto": numba on
            a CPU, otherwise dense.
        memory_mb: memory limit of the dense kernel, MB; it draws the canvas in chunks.
        compile: whether PyTorch's dense kernel is compiled with `torch.compile` (needs a C++ compiler). JAX always
            compiles.
        threads: number of threads of the numba kernel; results do not depend on it. None for the environment variable
            ARTPIPE_THREADS or, if that is unset, all cores available to the process.

    Raises:
        InputError: a choice is unknown, a value is out of range, or the numba kernel is combined with a GPU.
    """

    device: Device = "auto"
    kernel: KernelName = "auto"
    memory_mb: float = 512.0
    compile: bool = False
    threads: int | None = None

    def __post_init__(self) -> None:
        choice("device", self.device, DEVICES)
        choice("kernel", self.kernel, get_args(KernelName))
        object.__setattr__(self, "memory_mb", real_number("memory_mb", self.memory_mb, 1e-6, MEMORY_MAX))
        if not isinstance(self.compile, (bool, np.bool_)):
            raise InputError(f"compile is {shown(self.compile)}; needs True or False")
        object.__setattr__(self, "compile", bool(self.compile))
        if self.threads is not None:
            object.__setattr__(self, "threads", check_threads(self.threads))
        if self.kernel == "numba" and self.device == "cuda":
            raise InputError("kernel='numba' draws on the CPU; for a GPU choose kernel='dense'")

    @property
    def kernel_name(self) -> str:
        """The resolved kernel: "numba" or "dense"."""
        return ("dense" if self.device == "cuda" else "numba") if self.kernel == "auto" else self.kernel


@documented
@dataclass(frozen=True)
class Rates:
    """Learning rates of Adam: roughly how far one optimiser step moves each parameter.

    Raises:
        InputError: a rate is not a number from 0 to 1000.
    """

    position: float = option(
        0.75, "Learning rate of x and y, in pixels; a run with large shapes multiplies it.", **_RATE, tunable=(0.1, 3.0)
    )
    radius: float = option(0.06, "Learning rate of the logarithm of the radius.", **_RATE, tunable=(0.01, 0.3))
    colour: float = option(0.015, "Learning rate of the colours, sRGB in 0..1.", **_RATE, tunable=(0.003, 0.06))
    opacity: float = option(0.22, "Learning rate of the logit of the opacity.", **_RATE, tunable=(0.05, 1.0))
    softness: float = option(0.075, "Learning rate of the logarithm of the softness.", **_RATE, tunable=(0.01, 0.3))

    def __post_init__(self) -> None:
        check_options(self, "rate of {}")


@dataclass(frozen=True)
class FitSettings:
    """Optimiser, loss and limits of a fit.

    Attributes:
        rates: learning rates.
        beta1: decay of Adam's mean of gradients.
        beta2: decay of Adam's mean of squared gradients.
        epsilon: added to the root of the latter. Gradients of a mean over pixels are about 1e-7, so that the usual 1e-8
            would stall the fit.
        softness_min: lower limit of the softness, pixels (px² for the logistic falloff).
        softness_max: upper limit of the softness; limited only by the canvas if not given. If equal to
            `softness_min`, the softness is fixed.
        radius: least and most size of a shape, pixels: the radius of a circle, both semi-axes of an ellipse, half the
            width of a stroke, the distance of a triangle's farthest corner from its centroid. 0 and infinity: only the
            canvas limits it.
        opacity: least and most opacity, 0..1.
        weights: (H, W), the weight of each pixel in the loss; equal if not given. Only their proportions matter.
        loss: a weighted sum of `losses.table.LOSSES`, such as "mse" (fused into the kernel) or "mse+0.2*ssim", or a
            differentiable function that returns a scalar: `loss(image, target)`, both (H, W, 3) in the framework's
            arrays. With `weights` it is called as `loss(image, target, weights)`, where they are (H, W) with a mean
            of 1. For a target with alpha it is evaluated over black and over white.
        capacity: number of rows to allocate from the start. JAX compiles one update per power-of-two size; with this
            it compiles once.

    Raises:
        InputError: a value has the wrong type or is out of range, or the loss does not accept its arguments.
    """

    rates: Rates = field(default_factory=Rates)
    beta1: float = 0.9
    beta2: float = 0.9
    epsilon: float = 1e-12
    softness_min: float = 0.15
    softness_max: float | None = None
    radius: tuple[float, float] = Look.radius
    opacity: tuple[float, float] = Look.opacity
    weights: Array | None = None
    loss: LossLike = MSE.name
    capacity: int = 0

    def __post_init__(self) -> None:
        instance("rates", self.rates, Rates)
        # FARTHEST / 2: a fit's upper limit can be twice `softness_min`, and a scene allows FARTHEST at most.
        for name, low, high in (
            ("beta1", 0, BETA_MAX), ("beta2", 0, BETA_MAX), ("epsilon", 0, EPSILON_MAX),
            ("softness_min", SOFTNESS_MIN, FARTHEST / 2),
        ):  # fmt: skip
            object.__setattr__(self, name, real_number(name, getattr(self, name), low, high))
        if self.softness_max is not None:
            most = real_number("softness_max", self.softness_max, self.softness_min, FARTHEST / 2)
            object.__setattr__(self, "softness_max", most)
        self._check_range("radius", 0, FARTHEST / 2, THINNEST)
        self._check_range("opacity", 0, 1, OPACITY_LIMITS[0])
        object.__setattr__(self, "capacity", whole_number("capacity", self.capacity, 0, COUNT_MAX))
        objective_of(self.loss)
        if callable(self.loss):
            check_function(self.loss, weighted=self.weights is not None)

    @property
    def objective(self) -> Objective:
        """The parsed loss."""
        return objective_of(self.loss)

    def _check_range(self, name: str, low: float, high: float, most_least: float) -> None:
        """Checks a least and a most; the most is at least `most_least`."""
        value = getattr(self, name)
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            raise InputError(f"{name} is {shown(value)}; needs a least and a most")
        least = real_number(f"the least {name}", value[0], low, high)
        most = value[1]
        if name != "radius" or most != math.inf:
            most = real_number(f"the most {name}", most, max(least, most_least), high)
        object.__setattr__(self, name, (least, most))

    @property
    def look(self) -> Look:
        """The limits of what shapes look like."""
        most = FARTHEST / 2 if self.softness_max is None else self.softness_max
        return Look(self.radius, (self.softness_min, most), self.opacity)


@dataclass(frozen=True, eq=False)
class FitState:
    """Complete state of a fit; restoring it continues bit-identically.

    Attributes:
        scene: the current scene.
        rows: (N, P) float32, decoded from the raw parameters; before the first step they differ from the rows of the
            scene by rounding.
        slates: (N, K) float32 each: the raw parameters, then the optimiser's state of each row.
        step_count: number of optimiser steps taken.
    """

    scene: Scene
    rows: Array
    slates: tuple[Array, ...]
    step_count: int


class Renderer(Protocol):
    """Draws scenes and differentiates the drawing. All renderers agree to float32 rounding."""

    name: str

    def render(self, scene: Scene) -> Array:
        """The picture, (H, W, 3) float32 (the reference: float64), sRGB in 0..1."""
        ...

    def loss_and_gradient(
        self, scene: Scene, target: Array, weights: Array | None = None
    ) -> tuple[float, Array, Array]:
        """The weighted mean squared error, dL/drows, (N, P), and dL/dbackground, (3,).

        Args:
            scene: the scene to draw.
            target: (H, W, 3), sRGB in 0..1.
            weights: (H, W), not negative.
        """
        ...

    def worth(self, scene: Scene, target: Array, weights: Array | None = None) -> Array:
        """The leave-one-out worth of each row, (N,): how much that loss rises without it."""
        ...


class Fit(Protocol):
    """A scene under optimisation against one target. It keeps optimiser state by row id.

    Attributes:
        step_count: number of optimiser steps taken.
        device_name: the device of the parameters, such as "cpu" or "cuda:0".
        kernel_name: "numba" (tiled, CPU) or "dense".
    """

    step_count: int
    device_name: str
    kernel_name: str

    def put(self, scene: Scene) -> None:
        """Replaces the scene. Rows with a known id keep their optimiser state; it is reset for others."""
        ...

    def step(self, scales: Sequence[float] = (1.0,), objective: Objective | None = None) -> float:
        """Takes one optimiser step per scale; returns the loss before the last step, NaN if there is none.

        The result does not depend on how steps are divided into calls, bit for bit.

        Args:
            scales: factors of all learning rates, one per step.
            objective: what these steps minimise; that of the settings if not given.

        Raises:
            Diverged: a gradient was not finite; the scene is the one before the failing step. If parameters became
                non-finite, it is the one last returned by `scene`.
        """
        ...

    def scene(self) -> Scene:
        """The current scene."""
        ...

    def state(self) -> FitState:
        """The complete state, for `restore`."""
        ...

    def restore(self, state: FitState) -> None:
        """Restores a state of this fit, or of another with the same target and settings.

        Raises:
            InputError: the state is for another canvas or inconsistent.
        """
        ...

    def loss(self, scene: Scene | None = None, objective: Objective | None = None) -> float:
        """The loss of the current scene or of another on the same canvas, under the settings' or another objective."""
        ...

    def residual(self, scene: Scene | None = None) -> Array:
        """Picture minus target over the scene's background, (H, W, 3) float32; of the current scene by default."""
        ...

    def worth(self, scene: Scene | None = None) -> Array:
        """The leave-one-out worth of each row, (N,): how much the loss rises when that row alone is removed.

        Exact for the mean squared error; for other losses computed from `model`.

        Args:
            scene: a scene on the same canvas; the current one if not given.
        """
        ...

    def model(self, scene: Scene) -> LocalModel:
        """The local model of the loss around the picture of a scene, for placing shapes.

        A target with alpha is composited over grey, the mean of black and white; its energy is 0 where it is
        transparent.
        """
        ...

    def place(
        self, model: LocalModel, candidates: Array, kinds: Array, costs: Array, count: int, opacity_min: float
    ) -> tuple[Array, Array]:
        """Chooses up to `count` candidates greedily, by how much each lowers the loss when painted on the picture.

        Args:
            model: the local model of the loss around the picture.
            candidates: (M, P) rows; colours are ignored, the opacity is the upper limit.
            kinds: (M,) codes.
            costs: (M,) positive divisors of the gains.
            count: number of rows to choose.
            opacity_min: lower limit of the opacity; that of the candidate if it is lower.

        Returns:
            (K,) indices of the chosen candidates and (K, P) rows with their best colours and opacities, in painting
            order; K < count if no other candidate has a positive gain, as last computed.
        """
        ...

    def within(self, rows: Array, kinds: Array) -> Array:
        """The rows, (M, P) of these kinds, (M,), moved to the nearest within the limits of the settings."""
        ...

    def colour_slope(self, scene: Scene, model: LocalModel) -> Array:
        """Half the derivative of the model's loss in the colour of each row of its scene, (N, 3)."""
        ...

    def colour_curvature(self, scene: Scene, model: LocalModel, rng: np.random.Generator) -> Array:
        """Half the second derivative in one channel of the colour of each row, (N,), estimated with random signs."""
        ...

    def paint_shares(self, scene: Scene, labels: Array, count: int, background: int | None) -> Array:
        """How much of each pixel shows rows of each of `count` labels, (count, H, W) float32.

        Args:
            scene: a scene on the same canvas.
            labels: (N,) the label of each row.
            count: number of labels.
            background: the label of the background; None if it has none.
        """
        ...

    def coloured(self, model: LocalModel, rows: Array, kinds: Array) -> Array:
        """The rows, each in the best colour for it alone on top of the model's picture, at its own opacity, (M, P)."""
        ...


class FittingRenderer(Renderer, Protocol):
    """A renderer in a framework with an optimiser and automatic differentiation."""

    def fit(self, target: Array, canvas: Canvas, settings: FitSettings | None = None) -> Fit:
        """Starts a fit on this canvas to a target, (H, W, 3), or (H, W, 4) with straight alpha; in 0..1."""
        ...

    def drawing(self, scene: Scene) -> Callable[..., Any]:
        """A differentiable function `(rows, background=None) -> image` in the framework's arrays.

        `rows` is (N, P) with the P of the scene and any N; `background` is (3,). Values outside the limits of a scene
        (see `row_layout.row_limits`; 0..1 for the background) are clipped, with a derivative of 0 outside the limits.
        Non-finite values raise InputError; in traced code (`jax.jit`, `jax.vmap`), where values are unknown, the numba
        kernel raises when the compiled program runs, and the dense one returns a picture of NaN.

        Args:
            scene: defines canvas and columns.

        Raises:
            InputError: `scene` is not a Scene. The function raises it for a wrong rank, width or dtype, and for
                non-finite values.
        """
        ...
