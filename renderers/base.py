"""What every renderer offers, and the settings of a fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

import numpy as np

from .errors import InputError
from .scene import Canvas, Scene
from .threads import check_threads

Array = np.ndarray[Any, Any]
Device = Literal["auto", "cpu", "cuda"]
Path = Literal["auto", "kernel", "pure"]
DEVICES: tuple[str, ...] = get_args(Device)


@dataclass(frozen=True)
class RendererOptions:
    """Where and how a framework's renderer computes.

    Attributes:
        device: "cpu", "cuda", or "auto", the fastest known here: the CPU kernel until there are GPU
            kernels (a dense step of 2048 circles took 11 ms on the seed project's GPU; a tiled one takes 1 to
            2 ms on two cores).
        path: "kernel" (tiled, CPU only), "pure" (dense, in the framework's own operations, any device), or
            "auto": the kernel on a CPU, else pure.
        memory_mb: what the pure path may hold at once, in MB; it works through the canvas in pieces.
        compile: whether the pure path of PyTorch goes through `torch.compile` (needs a C++ compiler). JAX
            always compiles.
        threads: how many threads the kernel draws with; the result does not depend on it. None for ARTPIPE_THREADS of
            the environment, or else all cores that the process may use.

    Raises:
        InputError: a choice is unknown, a number is out of range, or the kernel is asked for on a GPU.
    """

    device: Device = "auto"
    path: Path = "auto"
    memory_mb: float = 512.0
    compile: bool = False
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, choices in (("device", DEVICES), ("path", get_args(Path))):
            if getattr(self, name) not in choices:
                raise InputError(f"{name} {getattr(self, name)!r} is unknown; choose one of {', '.join(choices)}")
        if not self.memory_mb > 0:
            raise InputError(f"memory_mb is {self.memory_mb}; needs more than 0")
        if self.threads is not None:
            object.__setattr__(self, "threads", check_threads(self.threads))
        if self.path == "kernel" and self.device == "cuda":
            raise InputError("the tiled kernel draws on the CPU; for a GPU choose path='pure'")

    @property
    def uses_kernel(self) -> bool:
        """Whether the tiled CPU kernel draws."""
        return self.path == "kernel" or (self.path == "auto" and self.device != "cuda")


@dataclass(frozen=True)
class Rates:
    """How far one optimiser step moves a parameter, about: learning rates of Adam.

    Attributes:
        position: of x and y, pixels.
        radius: of log radius.
        colour: of sRGB values in 0..1.
        opacity: of logit opacity.
        softness: of log softness.
    """

    position: float = 0.75
    radius: float = 0.06
    colour: float = 0.015
    opacity: float = 0.22
    softness: float = 0.075


@dataclass(frozen=True)
class FitSettings:
    """How a fit moves parameters.

    Attributes:
        rates: learning rates.
        beta1: decay of Adam's mean of gradients.
        beta2: decay of Adam's mean of squared gradients.
        epsilon: added to its root. Gradients of a mean over pixels are about 1e-7, so that the usual 1e-8
            would stall the fit.
        softness_min: the sharpest edge that a fit may make, pixels (px² for the logistic edge).
        weights: (H, W), what each pixel counts in the loss; all the same if not given.
        loss: None for the weighted mean squared error (fused into the kernel), or any function
            `(image, target) -> scalar` of the framework, both (H, W, 3); weights are then not used. For a target
            with alpha it is asked over black and over white.
        capacity: rows to make room for from the start. JAX compiles one update per power-of-two size;
            with this it compiles once.
    """

    rates: Rates = field(default_factory=Rates)
    beta1: float = 0.9
    beta2: float = 0.9
    epsilon: float = 1e-12
    softness_min: float = 0.15
    weights: Array | None = None
    loss: Callable[[Any, Any], Any] | None = None
    capacity: int = 0


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

    def step(self, count: int = 1, scale: float = 1.0) -> float:
        """Takes optimiser steps; returns the loss of the scene before the last of them.

        Args:
            count: how many.
            scale: multiplies all learning rates.

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

    def loss(self) -> float:
        """The loss of the scene as it stands."""
        ...

    def residual(self, scene: Scene | None = None) -> Array:
        """(H, W, 3) float32: picture minus target, both over the scene's background; as it stands, or another scene."""
        ...

    def worth(self, scene: Scene | None = None) -> Array:
        """(N,): how much the weighted mean squared error rises when each row alone is taken out.

        Of the scene as it stands, or of another scene on the same canvas.
        """
        ...


class FittingRenderer(Renderer, Protocol):
    """A renderer in a framework with an optimiser and automatic differentiation."""

    def fit(self, target: Array, canvas: Canvas, settings: FitSettings | None = None) -> Fit:
        """Opens a fit of scenes on this canvas to a target: (H, W, 3), or (H, W, 4) with straight alpha; in 0..1."""
        ...

    def drawing(self, scene: Scene) -> Callable[..., Any]:
        """A differentiable function `(rows, background=None) -> image` in the framework's arrays.

        The scene gives canvas and kinds; `rows` is (N, P) like `scene.rows`, with any N if all are circles.
        """
        ...
