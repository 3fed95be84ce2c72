"""Fits in JAX on any of its devices: drawing, loss, gradient and optimiser in one compiled update."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ..base import FitSettings
from ..canvas import Canvas
from ..kernels.base import Kernel
from ..kernels.dense_jax import draw, split_background, squared_loss
from ..losses.objective import Objective
from ..primitives.base import OPACITY, Primitive
from .base import BaseFit, mean
from .jax_device import GUARD
from .jax_losses import JaxLosses, value_of
from .row_adam_jax import RowAdamState, scale_by_row_adam
from .rows import Parameters, limited

Array = np.ndarray[Any, Any]

# Fits of at most this many rows share one compiled update; each doubling beyond compiles another.
SMALLEST_BUCKET = 32


class _Recipe(NamedTuple):
    """The static arguments of a compiled update; hashable.

    Attributes:
        primitives: the primitives present.
        transforms: "identity", "log" or "logit" for each column, or "mixed" where primitives differ.
        slope: `Parameters.slope` for each column if there is one primitive, otherwise None.
        adam: beta1, beta2, epsilon.
    """

    primitives: tuple[Primitive, ...]
    transforms: tuple[str, ...]
    slope: tuple[tuple[float, ...], ...] | None
    adam: tuple[float, float, float]


class _Tables(NamedTuple):
    """Arrays of `Parameters` on the device: (P, 1), or (P, bucket) if there are several primitives; radius (2,)."""

    kinds: Any
    is_log: Any
    slope: Any
    rates: Any
    low: Any
    high: Any
    radius: Any


def _recipe_of(parameters: Parameters, adam: tuple[float, float, float]) -> _Recipe:
    transforms = []
    for is_log, is_logit in zip(parameters.is_log, parameters.is_logit, strict=True):
        uniform = is_log.all() or not is_log.any()
        transforms.append("mixed" if not uniform else "log" if is_log[0] else "logit" if is_logit[0] else "identity")
    single = len(parameters.primitives) == 1
    slope = tuple(map(tuple, parameters.slope[:, :, 0].tolist())) if single else None
    return _Recipe(parameters.primitives, tuple(transforms), slope, adam)


def _decode(recipe: _Recipe, tables: _Tables, raw: jax.Array) -> jax.Array:
    """Rows, (N, P), from raw parameters, (P, N); each column computes only its own transform."""
    columns = []
    for k, transform in enumerate(recipe.transforms):
        if transform == "log":
            columns.append(jnp.exp(raw[k]))
        elif transform == "logit":
            columns.append(jax.nn.sigmoid(raw[k]))
        elif transform == "mixed":
            is_log = tables.is_log[k]
            columns.append(jnp.where(is_log, jnp.exp(jnp.where(is_log, raw[k], 0)), raw[k]))
        else:
            columns.append(raw[k])
    return jnp.stack(columns, axis=1)


def _update(
    recipe: _Recipe, tables: _Tables, raw: jax.Array, state: RowAdamState, by_rows: jax.Array, scale: Any
) -> tuple[jax.Array, RowAdamState, jax.Array]:
    """One optimiser step: new raw parameters, optimiser state, and rows."""
    rows = _decode(recipe, tables, raw)
    if recipe.slope is None:
        s0, s1, s2 = (slope.T for slope in tables.slope)
    else:
        s0, s1, s2 = (jnp.array(row, jnp.float32)[None, :] for row in recipe.slope)
    by_raw = by_rows * (s0 + rows * (s1 + rows * s2))
    updates, state = scale_by_row_adam(*recipe.adam).update(by_raw.T, state)
    raw = jnp.clip(optax.apply_updates(raw, -(tables.rates * scale) * updates), tables.low, tables.high)
    raw = limited(jnp, recipe.primitives, raw, tables.kinds, tables.radius)
    return raw, state, _decode(recipe, tables, raw)


_decode_jit = jax.jit(_decode, static_argnums=(0,))


def _update_dense(
    recipe: _Recipe, tables: _Tables, raw: jax.Array, state: RowAdamState, scale: Any,
    backgrounds: Any, targets: Any, drawn: Any, problem: tuple[Any, Any, Any], canvas: Canvas, memory_mb: float,
    objective: Objective,
) -> tuple[jax.Array, jax.Array, jax.Array, RowAdamState, jax.Array]:  # fmt: skip
    """A complete step on the device: the loss, whether it and the gradient are finite, and the result of `_update`."""
    shares, present, weights = problem

    def loss_of(rows: jax.Array) -> jax.Array:
        # Padding rows of the bucket have opacity 0.
        rows = rows * present
        losses = []
        for background, target in zip(backgrounds, targets, strict=True):
            image = draw(rows, tables.kinds, background, recipe.primitives, canvas, memory_mb)
            losses.append(
                squared_loss(image, target, shares)
                if objective.is_mse
                else value_of(objective, image, target, weights, drawn)
            )
        return jnp.asarray(mean(losses))

    value, by_rows = jax.value_and_grad(loss_of)(_decode(recipe, tables, raw))
    finite = jnp.isfinite(value) & jnp.isfinite(by_rows).all()
    return value, finite, *_update(recipe, tables, raw, state, by_rows, scale)


_update_dense_jit = jax.jit(_update_dense, static_argnums=(0, 9, 10, 11))


class JaxFit(BaseFit):
    """See `base.Fit`.

    Args:
        target: as for `BaseFit`; also canvas, settings and kernel.
        device: of the fit.
        memory_mb: limit of the drawing.
        losses: opens the losses, on the same device.
    """

    def __init__(
        self, target: Array, canvas: Canvas, settings: FitSettings, kernel: Kernel, device: jax.Device,
        memory_mb: float, losses: Callable[[Array | None], JaxLosses],
    ) -> None:  # fmt: skip
        super().__init__(target, canvas, settings, kernel, losses, device.platform)
        self._memory_mb, self._device = memory_mb, device
        self._weights = None if self.pixel_weights is None else jax.device_put(self.pixel_weights, device)
        self._update: Callable[..., Any] = _update_dense_jit
        if callable(settings.loss):  # compiled for this fit alone, so that the function is released with it
            self._update = jax.jit(partial(_update_dense), static_argnums=(0, 9, 10, 11))
        self._write([np.zeros((0, self.parameters.width), np.float32)], canvas)

    def _write(self, slates: list[Array], canvas: Canvas) -> None:
        raw, *kept = slates
        self._count, width = raw.shape
        bucket = max(SMALLEST_BUCKET, self.settings.capacity)
        while bucket < self._count:
            bucket *= 2
        kept = kept or [np.zeros((self._count, columns), np.float32) for columns in (2, width, width)]

        def upload(slate: Array) -> jax.Array:
            padded = np.zeros((slate.shape[1], bucket), np.float32)
            padded[:, : self._count] = slate.T
            return jax.device_put(padded, self._device)

        s, p = self.settings, self.parameters
        self._recipe = _recipe_of(p, (s.beta1, s.beta2, s.epsilon))

        def filled(table: Array) -> Array:
            """The table with padding rows, which repeat the last row: (..., 1) or (..., bucket)."""
            return table if table.shape[-1] == 1 else np.take(table, self._padding_index(bucket), axis=-1)

        tables = (p.is_log, p.slope, p.rates, p.low, p.high)
        kinds = p.kinds[self._padding_index(bucket)] if self._count else np.zeros(bucket, np.uint8)
        self._tables = _Tables(*jax.device_put((kinds, *map(filled, tables), p.radius), self._device))
        self._raw = upload(raw)
        self._state = RowAdamState(*map(upload, kept))
        self._drawn_rows = _decode_jit(self._recipe, self._tables, self._raw)
        backgrounds = tuple(split_background(backdrop.under(canvas))[0] for backdrop in self.backdrops)
        self._plain_canvas = split_background(canvas)[1]
        present = np.ones((bucket, width), np.float32)
        present[self._count :, OPACITY] = 0
        self._backgrounds = jax.device_put(backgrounds, self._device)
        self._problem = jax.device_put((self.shares, present, self._weights), self._device)

    def _padding_index(self, bucket: int) -> Array:
        """The row index of each entry of a bucket, (bucket,); padding repeats the last row."""
        return np.minimum(np.arange(bucket), max(self._count - 1, 0))

    def _read(self) -> list[Array]:
        return [np.asarray(slate)[:, : self._count].T for slate in (self._raw, *self._state)]

    def _set_rows(self, rows: Array) -> None:
        padded = np.array(self._drawn_rows)
        padded[: self._count] = rows
        self._drawn_rows = jax.device_put(padded, self._device)

    def _rows(self) -> Array:
        return np.asarray(self._drawn_rows)[: self._count]  # waits for the device

    def _step(self, scale: float, objective: Objective) -> float:
        GUARD.use()
        targets = [self._prepared_target(objective, backdrop) for backdrop in self.backdrops]
        loss, finite, raw, state, rows = self._update(
            self._recipe, self._tables, self._raw, self._state, np.float32(scale), self._backgrounds,
            targets, self._drawn(objective), self._problem, self._plain_canvas, self._memory_mb, objective,
        )  # fmt: skip
        if not bool(finite):  # waits for the device
            raise FloatingPointError
        self._raw, self._state, self._drawn_rows = raw, state, rows
        return float(loss)
