"""Plain gradient descent on a fixed number of shapes, under any optimiser of optax or torch.optim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from artpipe.renderers import Scene, load_fitting_renderer

Array = np.ndarray[Any, Any]


class Optimiser(NamedTuple):
    """An optimiser in both frameworks: name and options of the function of optax and of the class of torch.optim."""

    optax: tuple[str, dict[str, Any]]
    torch: tuple[str, dict[str, Any]] | None  # None where torch.optim has no such optimiser
    rate_factor: float = 1.0


@dataclass(frozen=True, eq=False)
class Problem:
    """What is optimised."""

    target: Array  # (H, W, 3) float32, sRGB in 0..1
    scene: Scene  # its canvas and kinds are those of the drawn rows
    raw: Array  # (N, K) float32, initial parameters
    rows: Callable[[Any, Any, Any], Any]  # (raw, `jax.numpy` or `torch`, its sigmoid) -> (N, P) rows of the scene
    rates: Array  # learning rates, broadcast to `raw`
    limits: tuple[Array, Array]  # lowest and highest raw value, broadcast to `raw`
    loss_factor: float = 1.0  # on the mean squared error of 0..1 values


class Descent(Protocol):
    """An optimisation in progress: `step` returns the mean squared error before it; `scale` multiplies the rates."""

    def step(self, scale: float = 1.0) -> float: ...  # noqa: D102
    def scene(self) -> Scene: ...  # noqa: D102


def open_descent(renderer: str, problem: Problem, optimiser: Optimiser) -> Descent:
    """A descent in "jax" or "torch", compiled by a step whose result is discarded."""
    return _JaxDescent(problem, optimiser) if renderer == "jax" else _TorchDescent(problem, optimiser)


class _JaxDescent:
    def __init__(self, problem: Problem, optimiser: Optimiser) -> None:
        import jax
        import jax.numpy as jnp
        import optax

        name, options = optimiser.optax
        transform = getattr(optax, name)(learning_rate=1.0, **options)
        draw = load_fitting_renderer("jax").drawing(problem.scene)
        target, rates = jnp.asarray(problem.target), jnp.asarray(problem.rates * optimiser.rate_factor, jnp.float32)

        def rows(raw: Any) -> Any:
            return problem.rows(raw, jnp, jax.nn.sigmoid)

        def loss(raw: Any) -> Any:
            return problem.loss_factor * jnp.mean((draw(rows(raw)) - target) ** 2)

        def step(raw: Any, state: Any, scale: Any) -> Any:
            before, gradient = jax.value_and_grad(loss)(raw)
            updates, state = transform.update(gradient, state, raw)
            return jnp.clip(raw + updates * rates * scale, *problem.limits), state, before / problem.loss_factor

        self._problem, self._rows, self._step = problem, jax.jit(rows), jax.jit(step)
        self._raw = jnp.asarray(problem.raw)
        self._state = transform.init(self._raw)
        self._step(self._raw, self._state, 1.0)[2].block_until_ready()

    def step(self, scale: float = 1.0) -> float:
        self._raw, self._state, loss = self._step(self._raw, self._state, scale)
        return float(loss)

    def scene(self) -> Scene:
        return self._problem.scene.with_rows(np.asarray(self._rows(self._raw)))


class _TorchDescent:
    def __init__(self, problem: Problem, optimiser: Optimiser) -> None:
        import torch

        assert optimiser.torch is not None
        name, options = optimiser.torch
        self._problem = problem
        self._draw = load_fitting_renderer("torch").drawing(problem.scene)
        self._target = torch.from_numpy(problem.target)
        self._rates = torch.from_numpy((problem.rates * optimiser.rate_factor).astype(np.float32))
        self._limits = [torch.from_numpy(limit) for limit in problem.limits]
        self._raw = torch.from_numpy(problem.raw.copy()).requires_grad_()
        self._optimizer = getattr(torch.optim, name)([self._raw], lr=1.0, **options)
        self._loss().backward()

    def _rows(self) -> Any:
        import torch

        return self._problem.rows(self._raw, torch, torch.sigmoid)

    def _loss(self) -> Any:
        return self._problem.loss_factor * ((self._draw(self._rows()) - self._target) ** 2).mean()

    def step(self, scale: float = 1.0) -> float:
        import torch

        from artpipe.renderers.fits.torch_losses import ONE_THREAD

        with ONE_THREAD:
            self._optimizer.zero_grad()
            loss = self._loss()
            loss.backward()
            before = self._raw.detach().clone()
            self._optimizer.step()
            with torch.no_grad():  # torch.optim has one rate for a tensor, so its step is scaled afterwards
                self._raw.copy_((before + (self._raw - before) * self._rates * scale).clamp(*self._limits))
        return float(loss.item()) / self._problem.loss_factor

    def scene(self) -> Scene:
        return self._problem.scene.with_rows(self._rows().detach().numpy())
