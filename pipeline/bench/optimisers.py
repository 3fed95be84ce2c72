"""The tuned fixed count under optimisers of optax and torch.optim, instead of our own Adam by rows.

They move the same parameters, each column at its own rate, from the same seeding, by the same kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from artpipe.renderers import Scene, load_fitting_renderer
from artpipe.renderers.fits.rows import Parameters, parameters_of
from artpipe.stages.refine import Settle
from artpipe.stages.seed import Seed

from ..options import RunConfig
from ..presets import PRESETS

Array = np.ndarray[Any, Any]

# Gradients of a mean over pixels are about 1e-7: the usual epsilon of 1e-8 would stall these.
_EPSILON = {"eps": 1e-12}

# Name to: factor on our rates, the function of optax with its options, the class of torch.optim with its options (none
# where torch.optim has no such optimiser). Moments decay as in our own fits.
OPTIMISERS: dict[str, tuple[float, tuple[str, dict[str, Any]], tuple[str, dict[str, Any]] | None]] = {
    "adam": (1.0, ("adam", {"b2": 0.9, **_EPSILON}), ("Adam", {"betas": (0.9, 0.9), **_EPSILON})),
    "adamw": (
        1.0,
        ("adamw", {"b2": 0.9, "weight_decay": 1e-5, **_EPSILON}),
        ("AdamW", {"betas": (0.9, 0.9), "weight_decay": 1e-5, **_EPSILON}),
    ),
    "nadam": (1.0, ("nadam", {"b2": 0.9, **_EPSILON}), ("NAdam", {"betas": (0.9, 0.9), **_EPSILON})),
    "radam": (1.0, ("radam", {"b2": 0.9, **_EPSILON}), ("RAdam", {"betas": (0.9, 0.9), **_EPSILON})),
    "rmsprop": (1.0, ("rmsprop", {"decay": 0.9, **_EPSILON}), ("RMSprop", {"alpha": 0.9, **_EPSILON})),
    "adagrad": (3.0, ("adagrad", {"initial_accumulator_value": 0.0, **_EPSILON}), ("Adagrad", _EPSILON)),
    "lion": (0.5, ("lion", {"weight_decay": 0.0}), None),
    "adabelief": (1.0, ("adabelief", {"b2": 0.9, "eps": 1e-12, "eps_root": 0.0}), None),
}


class FixedFit(Protocol):
    """A fixed count of circles under some optimiser."""

    def step(self, scale: float) -> float:
        """One step at rates x `scale`; the mean squared error before it."""
        ...

    def scene(self) -> Scene:
        """The scene as it stands."""
        ...


def open_fixed(name: str, target: Array, config: RunConfig) -> FixedFit:
    """All circles of a configuration seeded at once, under the optimiser of this name; compiled.

    Args:
        name: a key of `OPTIMISERS`, known to the configuration's renderer.
        target: (H, W, 3), sRGB in 0..1.
        config: count, seeding, rates, seed, renderer.
    """
    from ..running.runner import open_run  # loads the kernel

    run = open_run(target, config)
    seeding = config.plan()[0]
    for _ in Seed(config.count, seeding.newcomers)(run):  # type: ignore[attr-defined]
        pass
    parameters = parameters_of(run.scene.kinds, run.canvas, config.fit_settings())
    return _OPENERS[config.renderer](name, run.target, run.scene, parameters)


def scales(config: RunConfig) -> list[float]:
    """The factor on the rates at each step: 1, and at the end falling as in `Settle`."""
    steps = config.filled.steps or 0
    settling = round(steps * PRESETS[config.preset].settle_share)
    return [1.0] * (steps - settling) + Settle(settling).scales


class _OptaxFit:
    def __init__(self, name: str, target: Array, scene: Scene, parameters: Parameters) -> None:
        import jax
        import jax.numpy as jnp
        import optax

        factor, (function, options), _ = OPTIMISERS[name]
        optimizer = getattr(optax, function)(learning_rate=1.0, **options)
        draw = load_fitting_renderer("jax").drawing(scene)
        wanted, rates = jnp.asarray(target), jnp.asarray(parameters.rates * factor).T
        low, high = jnp.asarray(parameters.low).T, jnp.asarray(parameters.high).T
        is_log, is_logit = parameters.is_log.T, parameters.is_logit.T

        def rows(raw: Any) -> Any:
            values = jnp.where(is_log, jnp.exp(jnp.where(is_log, raw, 0.0)), raw)
            return jnp.where(is_logit, jax.nn.sigmoid(raw), values)

        def step(raw: Any, state: Any, scale: Any) -> Any:
            loss, gradient = jax.value_and_grad(lambda r: jnp.mean((draw(rows(r)) - wanted) ** 2))(raw)
            updates, state = optimizer.update(gradient, state, raw)
            return jnp.clip(raw + updates * rates * scale, low, high), state, loss

        self._first, self._rows, self._step = scene, jax.jit(rows), jax.jit(step)
        self._raw = jnp.asarray(parameters.encode(scene.rows))
        self._state = optimizer.init(self._raw)
        self._step(self._raw, self._state, 1.0)[2].block_until_ready()

    def step(self, scale: float) -> float:
        self._raw, self._state, loss = self._step(self._raw, self._state, scale)
        return float(loss)

    def scene(self) -> Scene:
        return self._first.with_rows(np.asarray(self._rows(self._raw)))


class _TorchFit:
    def __init__(self, name: str, target: Array, scene: Scene, parameters: Parameters) -> None:
        import torch

        factor, _, named = OPTIMISERS[name]
        assert named is not None
        class_name, options = named
        self._draw = load_fitting_renderer("torch").drawing(scene)
        self._wanted = torch.from_numpy(target)
        self._first, self._parameters = scene, parameters
        raw = torch.from_numpy(parameters.encode(scene.rows))
        # A column each, since torch.optim has one rate for a tensor.
        self._columns = [raw[:, k].clone().requires_grad_() for k in range(raw.shape[1])]
        self._rates = [float(rate) * factor for rate in parameters.rates[:, 0]]
        groups = [{"params": [column]} for column in self._columns]
        self._optimizer = getattr(torch.optim, class_name)(groups, lr=1.0, **options)
        self._loss().backward()

    def _table(self) -> Any:
        import torch

        columns = []
        for k, column in enumerate(self._columns):
            if self._parameters.is_log[k, 0]:
                column = column.exp()
            elif self._parameters.is_logit[k, 0]:
                column = column.sigmoid()
            columns.append(column)
        return torch.stack(columns, dim=1)

    def _loss(self) -> Any:
        return ((self._draw(self._table()) - self._wanted) ** 2).mean()

    def step(self, scale: float) -> float:
        import torch

        self._optimizer.zero_grad()
        loss = self._loss()
        loss.backward()
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * scale
        self._optimizer.step()
        with torch.no_grad():
            bounds = (self._parameters.low[:, 0], self._parameters.high[:, 0])
            for column, low, high in zip(self._columns, *bounds, strict=True):
                column.clamp_(float(low), float(high))
        return float(loss.item())

    def scene(self) -> Scene:
        return self._first.with_rows(self._table().detach().numpy())


_OPENERS: dict[str, Callable[[str, Array, Scene, Parameters], FixedFit]] = {"jax": _OptaxFit, "torch": _TorchFit}
