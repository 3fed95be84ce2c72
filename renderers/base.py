"""What every renderer offers, and the settings of a fit."""

from __future__ import annotations

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
from .primitives.base import FARTHEST, SOFTNESS_MIN
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
    """Where and how a framework's renderer computes.

    Attributes:
        device: "cpu", "cuda", or "auto", the fastest known here: the CPU kernel until there are GPU
            kernels (a dense step of 2048 circles took 11 ms on the seed project's GPU; a tiled one takes 1 to
            2 ms on two cores).
        kernel: what draws: "numba" (tiled, CPU only), "dense" (in the framework's own operations, any device), or
            "auto": numba on a CPU, else dense.
        memory_mb: what the dense kernel may hold at once, in MB; it works through the canvas in pieces.
        compile: whether the dense kernel of PyTorch goes through `torch.compile` (needs a C++ compiler). JAX
            always compiles.
        threads: how many threads the kernel draws with; the result does not depend on it. None for ARTPIPE_THREADS of
            the environment, or else all cores that the process may use.

    Raises:
        InputError: a choice is unknown, a value is out of range, or the kernel is asked for on a GPU.
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
        """The kernel that draws: "numba" or "dense"."""
        return ("dense" if self.device == "cuda" else "numba") if self.kernel == "auto" else self.kernel


@documented
@dataclass(frozen=True)
class Rates:
    """How far one optimiser step moves a parameter, about: learning rates of Adam.

    Raises:
        InputError: one is not a number from 0 to 1000.
    """

    position: float = option(0.75, "Learning rate of x and y, in pixels.", **_RATE, tunable=(0.1, 3.0))
    radius: float = option(0.06, "Learning rate of the logarithm of the radius.", **_RATE, tunable=(0.01, 0.3))
    colour: float = option(0.015, "Learning rate of the colours, sRGB in 0..1.", **_RATE, tunable=(0.003, 0.06))
    opacity: float = option(0.22, "Learning rate of the logit of the opacity.", **_RATE, tunable=(0.05, 1.0))
    softness: float = option(0.075, "Learning rate of the logarithm of the softness.", **_RATE, tunable=(0.01, 0.3))

    def __post_init__(self) -> None:
        check_options(self, "rate of {}")


@dataclass(frozen=True)
class FitSettings:
    """How a fit moves parameters.

    Attributes:
        rates: learning rates.
        beta1: decay of Adam's mean of gradients.
        beta2: decay of Adam's mean of squared gradients.
        epsilon: added to its root. Gradients of a mean over pixels are about 1e-7, so that the usual 1e-8
            would stall the fit.
        softness_min: the sharpest edge that a fit may make, pixels (px² for the logistic falloff).
        softness_max: the softest; no limit but the canvas if not given. If equal to `softness_min`, edges stay as
            they are.
        weights: (H, W), what each pixel counts in the loss; all the same if not given. Only their proportions matter.
        loss: what is minimised: a weighted sum of `losses.table.LOSSES`, such as "mse" (fused into the kernel) or
            "mse+0.2*ssim", or any differentiable function of the framework that returns a scalar:
            `loss(image, target)`, both (H, W, 3) in the framework's arrays. With `weights` it is called as
            `loss(image, target, weights)`, where they are (H, W) with a mean of 1. For a target with alpha it is
            evaluated over black and over white.
        capacity: rows to make room for from the start. JAX compiles one update per power-of-two size;
            with this it compiles once.

    Raises:
        InputError: a value has another type or is out of range, or the loss cannot be called as above.
    """

    rates: Rates = field(default_factory=Rates)
    beta1: float = 0.9
    beta2: float = 0.9
    epsilon: float = 1e-12
    softness_min: float = 0.15
    softness_max: float | None = None
    weights: Array | None = None
    loss: LossLike = MSE.name
    capacity: int = 0

    def __post_init__(self) -> None:
        instance("rates", self.rates, Rates)
        # Limits of a fit's softness reach to twice the sharpest, and a scene's to FARTHEST.
        for name, low, high in (
            ("beta1", 0, BETA_MAX), ("beta2", 0, BETA_MAX), ("epsilon", 0, EPSILON_MAX),
            ("softness_min", SOFTNESS_MIN, FARTHEST / 2),
        ):  # fmt: skip
            object.__setattr__(self, name, real_number(name, getattr(self, name), low, high))
        if self.softness_max is not None:
            most = real_number("softness_max", self.softness_max, self.softness_min, FARTHEST / 2)
            object.__setattr__(self, "softness_max", most)
        object.__setattr__(self, "capacity", whole_number("capacity", self.capacity, 0, COUNT_MAX))
        objective_of(self.loss)
        if callable(self.loss):
            check_function(self.loss, weighted=self.weights is not None)

    @property
    def objective(self) -> Objective:
        """The loss, read."""
        return objective_of(self.loss)

    @property
    def softness_most(self) -> float:
        """The softest edge that a fit may make, pixels."""
        return FARTHEST / 2 if self.softness_max is None else self.softness_max


@dataclass(frozen=True, eq=False)
class FitState:
    """All that a fit has become: with it, another fit on the same target goes on bit for bit.

    Attributes:
        scene: as it stands.
        rows: (N, P) float32: what the raw parameters stand for; differs from the scene's by rounding until a step is
            taken.
        slates: (N, K) float32 each: the raw parameters, then what the optimiser keeps of each row.
        step_count: optimiser steps taken so far.
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
        """The weighted mean squared error, its gradient by rows, (N, P), and by background, (3,).

        Args:
            scene: what is drawn.
            target: (H, W, 3), sRGB in 0..1.
            weights: (H, W), not negative.
        """
        ...

    def worth(self, scene: Scene, target: Array, weights: Array | None = None) -> Array:
        """(N,): how much that loss rises when each row alone is taken out."""
        ...


class Fit(Protocol):
    """A scene under optimisation against one target. It keeps optimiser state by row id.

    Attributes:
        step_count: optimiser steps taken so far.
        device_name: where the parameters are held and moved, such as "cpu" or "cuda:0".
        kernel_name: what draws: "numba" (tiled, CPU) or "dense".
    """

    step_count: int
    device_name: str
    kernel_name: str

    def put(self, scene: Scene) -> None:
        """Goes on from this scene. Rows whose id the fit knows keep their optimiser state; others start fresh."""
        ...

    def step(self, scales: Sequence[float] = (1.0,), objective: Objective | None = None) -> float:
        """Takes optimiser steps; returns the loss of the scene before the last of them, NaN if there is none.

        However steps are divided into calls, they give the same scene bit for bit.

        Args:
            scales: a step for each; it multiplies all learning rates.
            objective: what these steps minimise; that of the settings if not given.

        Raises:
            Diverged: a gradient was not finite; the scene is that of before the failing step. Or the step made
                parameters that are not finite; the scene is the one that was last asked for.
        """
        ...

    def scene(self) -> Scene:
        """The scene as it stands."""
        ...

    def state(self) -> FitState:
        """What `restore` needs to go on from here."""
        ...

    def restore(self, state: FitState) -> None:
        """Goes on from what `state` gave, of this fit or of another one with the same target and settings.

        Raises:
            InputError: it is of another canvas, or its parts do not fit together.
        """
        ...

    def loss(self, scene: Scene | None = None, objective: Objective | None = None) -> float:
        """The loss of the current scene or another on the same canvas: that of the settings, or another objective."""
        ...

    def residual(self, scene: Scene | None = None) -> Array:
        """(H, W, 3) float32: picture minus target, both over the scene's background; as it stands, or another scene."""
        ...

    def worth(self, scene: Scene | None = None) -> Array:
        """(N,): the leave-one-out worth of each row, how much the loss rises when that row alone is removed.

        Exact for the mean squared error; for other losses by `model`.

        Args:
            scene: the current one if not given, or another on the same canvas.
        """
        ...

    def model(self, scene: Scene) -> LocalModel:
        """The loss around the picture of a scene as a weighted squared error, on which shapes are placed.

        A transparent target lies over grey, the mean of black and white. Where it is transparent the energy is 0.
        """
        ...

    def place(
        self, model: LocalModel, candidates: Array, kinds: Array, costs: Array, count: int, opacity_min: float
    ) -> tuple[Array, Array]:
        """Paints up to `count` of the candidates on a picture, as a rule each time the one that lowers the loss most.

        Args:
            model: of the loss around the picture that they are painted on.
            candidates: (M, P) rows; their colours are not read, their opacity is the most they may get.
            kinds: (M,) codes.
            costs: (M,) what each gain is divided by before gains are compared, above 0.
            count: how many to choose.
            opacity_min: the least opacity that they may get; their own if that is smaller.

        Returns:
            (K,) indices of the chosen candidates and (K, P) rows with their best colours and opacities, in painting
            order; K < count when no candidate is left whose gain, as last computed, is above 0.
        """
        ...

    def coloured(self, model: LocalModel, rows: Array, kinds: Array) -> Array:
        """(M, P): rows in the colours that are best for each alone on top of the model's picture, at its opacity."""
        ...


class FittingRenderer(Renderer, Protocol):
    """A renderer in a framework with an optimiser and automatic differentiation."""

    def fit(self, target: Array, canvas: Canvas, settings: FitSettings | None = None) -> Fit:
        """Opens a fit of scenes on this canvas to a target: (H, W, 3), or (H, W, 4) with straight alpha; in 0..1."""
        ...

    def drawing(self, scene: Scene) -> Callable[..., Any]:
        """A differentiable function `(rows, background=None) -> image` in the framework's arrays.

        Args:
            scene: gives the canvas and the columns. `rows` is (N, P) with its P and any N, `background` is (3,).

        Values outside what a scene may hold (see `scene.row_limits`; a background outside 0..1) are moved to the
        nearest limit, and their derivative is 0; at a limit itself it is not. Values that are not finite are refused.
        Code that is being traced (`jax.jit`, `jax.vmap`) cannot refuse: there the numba kernel raises when the compiled
        program runs, and the dense one draws a picture of NaN.

        Raises:
            InputError: `scene` is not a Scene. The function raises it for a wrong rank, width or dtype, and for values
                that are not finite.
        """
        ...
