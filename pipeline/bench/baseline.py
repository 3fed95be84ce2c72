"""The seed project's own method, to the letter but for the renderer: it draws on the same tiled kernel as all others.

All circles at once, from logits drawn evenly from [-2, 2]; every value a logistic function of its logit; the logistic
edge with a softness of 10 px²; a white canvas; Adam at 0.05 for all parameters alike; row 0 in front. Its loss is the
mean squared error on [-1, 1] values, 4 x ours, which matters since Adam's epsilon is not scaled with it.

Source: the public repository conflictednerd/differentiable-renderer, 2025, whose README publishes the losses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from artpipe.renderers import Canvas, Scene, load_fitting_renderer
from artpipe.renderers.primitives.circle import CIRCLE
from artpipe.renderers.scene import columns_of

Array = np.ndarray[Any, Any]

SPREAD = 2.0
SOFTNESS = 10.0  # px²
RATE = 0.05
_PARAMETERS = 7  # x, y, radius, red, green, blue, opacity
_WHITE = (1.0, 1.0, 1.0)


class Baseline(Protocol):
    """The method at work on one painting."""

    def step(self) -> float:
        """One optimiser step; the loss before it, as the seed project counts."""
        ...

    def scene(self) -> Scene:
        """The scene as it stands."""
        ...


def open_baseline(renderer: str, target: Array, count: int, seed: int) -> Baseline:
    """The method on a target, (H, W, 3), compiled: one step was taken and forgotten.

    Args:
        renderer: "jax" or "torch".
        target: sRGB in 0..1.
        count: circles.
        seed: of the first logits, which are those of `jax.random.PRNGKey(seed)` for both frameworks.
    """
    height, width = target.shape[:2]
    canvas = Canvas(width, height, _WHITE, "logistic")
    return _OPENERS[renderer](target, canvas, first_logits(count, seed))


def first_logits(count: int, seed: int) -> Array:
    """(count, 7) float32: x, y, radius, red, green, blue, opacity."""
    import jax

    key = jax.random.PRNGKey(seed)
    return np.asarray(jax.random.uniform(key, (count, _PARAMETERS), minval=-SPREAD, maxval=SPREAD))


def _columns(shares: Any, canvas: Canvas, full: Any) -> list[Any]:
    """The columns of rows from logistic values, (N, 7), in either framework; `full` is (N,) of the softness.

    The seed project has pixel centres at whole numbers, where ours lie half a pixel further.
    """
    shape = {
        "x": shares[:, 0] * canvas.width + 0.5,
        "y": shares[:, 1] * canvas.height + 0.5,
        "radius": shares[:, 2] * (min(canvas.width, canvas.height) / 2) + 1.0,
    }
    paint = {"red": shares[:, 3], "green": shares[:, 4], "blue": shares[:, 5], "opacity": shares[:, 6]}
    columns = {**paint, **shape, "softness": full}
    return [columns[column.name] for column in columns_of(CIRCLE)]


def _blank(canvas: Canvas, count: int) -> Scene:
    """A scene that tells a renderer canvas and count."""
    nowhere = np.zeros(count)
    return Scene.circles(canvas, x=nowhere, y=nowhere, radius=1.0, colour=np.zeros((count, 3)), softness=SOFTNESS)


class _JaxBaseline:
    def __init__(self, target: Array, canvas: Canvas, logits: Array) -> None:
        import jax
        import jax.numpy as jnp
        import optax

        count = len(logits)
        draw = load_fitting_renderer("jax").drawing(_blank(canvas, count))
        wanted = jnp.asarray(target)
        optimizer = optax.adam(RATE)

        def rows(values: Any) -> Any:
            columns = _columns(jax.nn.sigmoid(values), canvas, jnp.full(count, SOFTNESS, jnp.float32))
            return jnp.stack(columns, axis=1)[::-1]

        def step(values: Any, state: Any) -> Any:
            loss, gradient = jax.value_and_grad(lambda v: 4 * jnp.mean((draw(rows(v)) - wanted) ** 2))(values)
            updates, state = optimizer.update(gradient, state)
            return optax.apply_updates(values, updates), state, loss

        self._canvas, self._rows, self._step = canvas, jax.jit(rows), jax.jit(step)
        self._values = jnp.asarray(logits)
        self._state = optimizer.init(self._values)
        self._step(self._values, self._state)[2].block_until_ready()

    def step(self) -> float:
        self._values, self._state, loss = self._step(self._values, self._state)
        return float(loss)

    def scene(self) -> Scene:
        return Scene(np.asarray(self._rows(self._values)), self._canvas)


class _TorchBaseline:
    def __init__(self, target: Array, canvas: Canvas, logits: Array) -> None:
        import torch

        count = len(logits)
        draw = load_fitting_renderer("torch").drawing(_blank(canvas, count))
        wanted = torch.from_numpy(target)
        self._canvas = canvas
        self._values = torch.from_numpy(logits.copy()).requires_grad_()
        self._optimizer = torch.optim.Adam([self._values], lr=RATE)

        def rows(values: Any) -> Any:
            columns = _columns(torch.sigmoid(values), canvas, torch.full((count,), SOFTNESS))
            return torch.stack(columns, dim=1).flip(0)

        def loss() -> Any:
            return 4 * ((draw(rows(self._values)) - wanted) ** 2).mean()

        self._rows: Callable[[Any], Any] = rows
        self._loss: Callable[[], Any] = loss
        loss().backward()

    def step(self) -> float:
        self._optimizer.zero_grad()
        loss = self._loss()
        loss.backward()
        self._optimizer.step()
        return float(loss.item())

    def scene(self) -> Scene:
        return Scene(self._rows(self._values.detach()).numpy(), self._canvas)


_OPENERS: dict[str, Callable[[Array, Canvas, Array], Baseline]] = {"jax": _JaxBaseline, "torch": _TorchBaseline}
