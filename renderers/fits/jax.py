"""The JAX renderer: a differentiable drawing for users, and fits with optax."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ..alpha import Backdrop
from ..base import FitSettings, RendererOptions
from ..canvas import Canvas
from ..checks import instance, shown
from ..errors import BackendUnavailable, InputError, one_line
from ..kernels.base import Kernel
from ..kernels.dense_jax import JaxKernel, draw, split_background, squared_loss
from ..kernels.numba.kernel import aligned, shared_kernel
from ..kernels.renderer import KernelRenderer
from ..losses.objective import Objective
from ..primitives.base import OPACITY, Primitive
from ..primitives.circle import CIRCLE
from ..row_layout import check_drawable, clamped, row_limits
from ..scene import Scene
from .base import BaseFit, mean
from .forked import ForkGuard
from .jax_kernel import Kinds, draw_by_kernel
from .row_adam_jax import RowAdamState, scale_by_row_adam
from .rows import Parameters, limited

Array = np.ndarray[Any, Any]

_GUARD = ForkGuard()

# Fits of at most this many rows share one compiled update; each doubling beyond compiles another.
SMALLEST_BUCKET = 32


class JaxRenderer(KernelRenderer):
    """Draws with the tiled CPU kernel inside JAX, or densely on any JAX device.

    Args:
        options: device, kernel and memory.

    Raises:
        BackendUnavailable: JAX finds no such device.
    """

    name = "jax"

    def __init__(self, options: RendererOptions | None = None) -> None:
        self.options = options or RendererOptions()
        _GUARD.use()
        self.device = _device("gpu" if self.options.device == "cuda" else "cpu")

    @property
    def kernel(self) -> Kernel:  # type: ignore[override]
        """The kernel; looked up at each use, since the thread limit may have changed."""
        if self.options.kernel_name == "numba":
            return shared_kernel(self.options.threads)
        _GUARD.use()
        return JaxKernel(self.device, self.options.memory_mb)

    def drawing(self, scene: Scene) -> Callable[..., jax.Array]:
        """A function `(rows, background=None) -> image` for use inside `jax.jit`, `jax.grad` and `jax.vmap`.

        Integer rows are drawn as float32. See `base.FittingRenderer.drawing` for invalid values.

        Args:
            scene: defines canvas and columns; the number of rows is free if all are of one primitive.

        Example:
            >>> draw = JaxRenderer().drawing(scene)
            >>> gradient = jax.grad(lambda rows: jnp.mean((draw(rows) - target) ** 2))(scene.rows)
        """
        width = instance("scene", scene, Scene).rows.shape[1]
        default, canvas = split_background(scene.canvas)
        memory_mb, threads = self.options.memory_mb, self.options.threads
        tiled, kinds, mixed = self.options.kernel_name == "numba", scene.kinds, len(scene.primitives) > 1
        primitives = scene.primitives or (CIRCLE,)
        low, high = row_limits(kinds, width)

        def draw_rows(rows: Any, background: Any = None) -> jax.Array:
            _GUARD.use()
            rows = _numbers("rows", rows, (scene.count if mixed else None, width))
            own = kinds if mixed else np.full(rows.shape[0], primitives[0].code, np.uint8)
            background = _numbers("background", default if background is None else background, (3,))
            if not isinstance(rows, jax.core.Tracer) and not isinstance(background, jax.core.Tracer):
                check_drawable(np.asarray(rows), np.asarray(background))  # waits for the device
            if tiled:
                rows, background = rows.astype(jnp.float32), background.astype(jnp.float32)
            background = clamped(jnp.where, background.astype(rows.dtype), 0, 1)
            with np.errstate(over="ignore"):  # the limits overflow in half precision
                limits = [jnp.asarray(limit, rows.dtype) for limit in (low, high)]
            rows = clamped(jnp.where, rows, *limits)
            if tiled:
                return draw_by_kernel(canvas, threads, Kinds(own), rows, background)
            # The sums propagate NaN of traced values to the picture; clipping the coverage would hide it.
            image = draw(rows, own, background, primitives, canvas, memory_mb)
            return image + 0 * (rows.sum() + background.sum())

        return draw_rows

    def fit(self, target: Array, canvas: Canvas, settings: FitSettings | None = None) -> JaxFit:
        """Opens a fit; see `base.FittingRenderer.fit`."""
        _GUARD.use()
        return JaxFit(target, canvas, FitSettings() if settings is None else settings, self)


def _device(platform: str) -> jax.Device:
    """The first device of this platform.

    Raises:
        BackendUnavailable: JAX finds none.
    """
    try:
        return jax.devices(platform)[0]
    except Exception as error:  # depends on the platform's plugin: AssertionError if CUDA finds no GPU
        if platforms := os.environ.get("JAX_PLATFORMS"):
            raise BackendUnavailable(
                f"JAX finds no {platform.upper()} with JAX_PLATFORMS={shown(platforms)}; unset that variable, or try "
                "JAX_PLATFORMS=cpu with device='cpu'"
            ) from None
        if platform == "cpu":
            raise BackendUnavailable(f"JAX cannot start on the CPU: {one_line(error)}") from None
        raise BackendUnavailable(
            "JAX sees no GPU here; try device='cpu', or install it with: pip install 'jax[cuda13]'"
        ) from None


def _numbers(name: str, value: Any, shape: tuple[int | None, ...]) -> jax.Array:
    """The value as a floating-point JAX array; its shape is checked even if its values are traced.

    Args:
        name: of the argument.
        value: an array, or nested sequences of numbers.
        shape: sizes, None for any.
    """
    needs = "(" + ", ".join("N" if size is None else str(size) for size in shape) + ") real numbers"
    try:
        value = jnp.asarray(value)
    except Exception as error:  # arrays of other libraries raise their own errors
        raise InputError(f"{name} is not an array of numbers ({one_line(error, 80)}); needs {needs}") from None
    if value.ndim != len(shape) or any(size not in (None, own) for size, own in zip(shape, value.shape, strict=True)):
        raise InputError(f"{name} has shape {value.shape}; needs {needs}")
    if jnp.issubdtype(value.dtype, jnp.floating):
        return value
    if not jnp.issubdtype(value.dtype, jnp.integer):
        raise InputError(f"{name} has dtype {value.dtype}; needs {needs}")
    return value.astype(jnp.float32)


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
    """Arrays of `Parameters` on the device: (P, 1), or (P, bucket) if there are several primitives."""

    kinds: Any
    is_log: Any
    slope: Any
    rates: Any
    low: Any
    high: Any


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
    raw = limited(jnp, recipe.primitives, raw, tables.kinds)
    return raw, state, _decode(recipe, tables, raw)


_decode_jit = jax.jit(_decode, static_argnums=(0,))
_update_jit = jax.jit(_update, static_argnums=(0,))


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
                else _value(objective, image, target, weights, drawn)
            )
        return jnp.asarray(mean(losses))

    value, by_rows = jax.value_and_grad(loss_of)(_decode(recipe, tables, raw))
    finite = jnp.isfinite(value) & jnp.isfinite(by_rows).all()
    return value, finite, *_update(recipe, tables, raw, state, by_rows, scale)


@partial(jax.jit, static_argnums=(0,))
def _prepared(objective: Objective, target: jax.Array) -> Any:
    return objective.prepare(jnp, target)


def _value(objective: Objective, image: Any, prepared: Any, weights: Any, drawn: Any) -> jax.Array:
    """The loss of an image.

    Raises:
        InputError: it is not a scalar.
    """
    value = jnp.asarray(objective.value(jnp, image, prepared, weights, drawn))
    if value.shape != () or not jnp.issubdtype(value.dtype, jnp.floating):
        raise InputError(f"the loss returned {value.dtype} of shape {value.shape}; needs a floating-point scalar")
    return value


def _value_by_image(
    objective: Objective, image: Any, prepared: Any, weights: Any, drawn: Any
) -> tuple[jax.Array, jax.Array]:
    """The loss of an image, and dL/dimage."""
    return jax.value_and_grad(partial(_value, objective))(image, prepared, weights, drawn)


def _compiled_for(objective: Objective) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """`_value_by_image` of one objective, compiled apart from all others."""
    compiled = jax.jit(jax.value_and_grad(lambda *arrays: _value(objective, *arrays)))
    return lambda _, *arrays: compiled(*arrays)


_update_dense_jit = jax.jit(_update_dense, static_argnums=(0, 9, 10, 11))
_value_by_image_jit = jax.jit(_value_by_image, static_argnums=(0,))


class JaxFit(BaseFit):
    """A fit in JAX; see `base.Fit`.

    The tiled kernel is called on the host between compiled updates, which is faster than a callback from a compiled
    loop and cannot deadlock with XLA's threads.
    """

    def __init__(self, target: Array, canvas: Canvas, settings: FitSettings, renderer: JaxRenderer) -> None:
        super().__init__(target, canvas, settings, renderer.kernel, renderer.device.platform)
        self._memory_mb = renderer.options.memory_mb
        self._device = renderer.device
        self._update_dense: Callable[..., Any] = _update_dense_jit
        self._own_by_image: Callable[..., Any] = _value_by_image_jit
        if callable(settings.loss):  # compiled for this fit alone, so that the function is released with it
            self._update_dense = jax.jit(partial(_update_dense), static_argnums=(0, 9, 10, 11))
            self._own_by_image = _compiled_for(self.objective)
        self._weights = None if self.pixel_weights is None else jax.device_put(self.pixel_weights, self._device)
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
        self._tables = _Tables(*jax.device_put((kinds, *map(filled, tables)), self._device))
        self._raw = upload(raw)
        self._state = RowAdamState(*map(upload, kept))
        self._drawn_rows = _decode_jit(self._recipe, self._tables, self._raw)
        # JAX reads an aligned array in place. It is overwritten only after the rows computed from it have arrived.
        self._by_rows = aligned(bucket * width).reshape(bucket, width)
        self._by_rows[self._count :] = 0
        if self.kernel_name == "dense":
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
        _GUARD.use()
        if self.kernel_name == "dense":
            targets = [self._prepared_target(objective, backdrop) for backdrop in self.backdrops]
            loss, finite, raw, state, rows = self._update_dense(
                self._recipe, self._tables, self._raw, self._state, np.float32(scale), self._backgrounds,
                targets, self._drawn(objective), self._problem, self._plain_canvas, self._memory_mb, objective,
            )  # fmt: skip
            if not bool(finite):  # waits for the device
                raise FloatingPointError
        else:
            loss, by_rows = self._kernel_loss_and_gradient(self._rows(), objective)
            if not (np.isfinite(loss) and np.isfinite(by_rows).all()):
                raise FloatingPointError
            self._by_rows[: self._count] = by_rows
            raw, state, rows = _update_jit(
                self._recipe, self._tables, self._raw, self._state, self._by_rows, np.float32(scale)
            )
        self._raw, self._state, self._drawn_rows = raw, state, rows
        return float(loss)

    def _prepare(self, objective: Objective, target: Array) -> Any:
        placed = jax.device_put(target, self._device)
        return placed if objective.own is not None else _prepared(objective, placed)

    def _loss_by_image(self, objective: Objective, image: Array, backdrop: Backdrop) -> tuple[float, Array]:
        with jax.default_device(self._device):
            prepared, drawn = self._prepared_target(objective, backdrop), self._drawn(objective)
            by_image_of = _value_by_image_jit if objective.own is None else self._own_by_image
            value, by_image = by_image_of(objective, image, prepared, self._weights, drawn)
        return float(value), np.asarray(by_image)
