"""The JAX renderer: a differentiable drawing for users, and fits with optax."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .alpha import Backdrop
from .base import FitSettings, RendererOptions
from .cpu_kernel import aligned, shared_kernel
from .cpu_renderer import CpuRenderer
from .errors import BackendUnavailable
from .fitting import BaseFit, mean
from .jax_optimizer import RowAdamState, scale_by_row_adam
from .jax_pure import draw
from .losses import check_target, pixel_shares
from .parameters import Parameters
from .primitives import OPACITY
from .scene import Canvas, Scene, check_finite

Array = np.ndarray[Any, Any]

# Fits of at most this many rows share one compiled update; beyond, each doubling compiles once more.
SMALLEST_BUCKET = 256


class JaxRenderer:
    """Draws with the tiled CPU kernel inside JAX, or densely on any JAX device.

    Args:
        options: device, path and memory.

    Raises:
        BackendUnavailable: the device is not there.
    """

    name = "jax"

    def __init__(self, options: RendererOptions | None = None) -> None:
        self.options = options or RendererOptions()
        platform = "gpu" if self.options.device == "cuda" else "cpu"
        try:
            self.device = jax.devices(platform)[0]
        except RuntimeError:
            raise BackendUnavailable(
                "JAX sees no GPU here; try device='cpu', or install it with: pip install 'jax[cuda13]'"
            ) from None

    def render(self, scene: Scene) -> Array:
        """The picture, (H, W, 3) float32; see `base.Renderer.render`."""
        if self.options.uses_kernel:
            return CpuRenderer(self.options).render(scene)
        with jax.default_device(self.device):
            return np.asarray(_render_pure(scene.rows, *_split(scene.canvas), self.options.memory_mb))

    def loss_and_gradient(
        self, scene: Scene, target: Array, weights: Array | None = None
    ) -> tuple[float, Array, Array]:
        """See `base.Renderer.loss_and_gradient`."""
        if self.options.uses_kernel:
            return CpuRenderer(self.options).loss_and_gradient(scene, target, weights)
        target = check_target(target, scene.canvas)
        shares = pixel_shares(weights, scene.canvas.height, scene.canvas.width).astype(np.float32)
        background, canvas = _split(scene.canvas)
        with jax.default_device(self.device):
            loss, (by_rows, by_background) = _pure_loss_and_gradient(
                scene.rows, background, target, shares, canvas, self.options.memory_mb
            )
            return float(loss), np.asarray(by_rows), np.asarray(by_background)

    def worth(self, scene: Scene, target: Array, weights: Array | None = None) -> Array:
        """See `base.Renderer.worth`. Always by the CPU kernel: exact for all rows in one pass."""
        return CpuRenderer(self.options).worth(scene, target, weights)

    def drawing(self, scene: Scene) -> Callable[..., jax.Array]:
        """A function `(rows, background=None) -> image` for use inside `jax.jit`, `jax.grad` and `jax.vmap`.

        Args:
            scene: gives the canvas; rows may be any (N, P) array.

        Example:
            >>> draw = JaxRenderer().drawing(scene)
            >>> gradient = jax.grad(lambda rows: jnp.mean((draw(rows) - target) ** 2))(scene.rows)
        """
        default, canvas = _split(scene.canvas)
        memory_mb, uses_kernel, threads = self.options.memory_mb, self.options.uses_kernel, self.options.threads

        def draw_rows(rows: Any, background: Any = None) -> jax.Array:
            background = default if background is None else background
            if uses_kernel:
                numbers = jnp.asarray(rows, jnp.float32), jnp.asarray(background, jnp.float32)
                return draw_by_kernel(canvas, threads, *numbers)
            return draw(jnp.asarray(rows), jnp.asarray(background, jnp.asarray(rows).dtype), canvas, memory_mb)

        return draw_rows

    def fit(self, target: Array, canvas: Canvas, settings: FitSettings | None = None) -> JaxFit:
        """Opens a fit; see `base.FittingRenderer.fit`."""
        return JaxFit(target, canvas, settings or FitSettings(), self)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def draw_by_kernel(canvas: Canvas, threads: int | None, rows: jax.Array, background: jax.Array) -> jax.Array:
    """The picture, (H, W, 3) float32, by the tiled CPU kernel; differentiable by rows and background.

    Leaves the compiled program for each call (`jax.pure_callback`), on the host.
    """
    shape = jax.ShapeDtypeStruct((canvas.height, canvas.width, 3), jnp.float32)
    return jax.pure_callback(partial(_host_render, canvas, threads), shape, rows, background, vmap_method="sequential")


def _draw_forward(
    canvas: Canvas, threads: int | None, rows: jax.Array, background: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return draw_by_kernel(canvas, threads, rows, background), (rows, background)


def _draw_backward(
    canvas: Canvas, threads: int | None, saved: tuple[jax.Array, jax.Array], image_gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    shapes = tuple(jax.ShapeDtypeStruct(array.shape, jnp.float32) for array in saved)
    result = jax.pure_callback(
        partial(_host_pull_back, canvas, threads), shapes, *saved, image_gradient, vmap_method="sequential"
    )
    return result[0], result[1]


draw_by_kernel.defvjp(_draw_forward, _draw_backward)


def _host_canvas(canvas: Canvas, rows: Array, background: Array) -> tuple[Array, Canvas]:
    rows = np.asarray(rows)
    check_finite(rows)
    return rows, Canvas(canvas.width, canvas.height, tuple(np.asarray(background).tolist()), canvas.edge)


def _host_render(canvas: Canvas, threads: int | None, rows: Array, background: Array) -> Array:
    return shared_kernel(threads).render(*_host_canvas(canvas, rows, background))


def _host_pull_back(
    canvas: Canvas, threads: int | None, rows: Array, background: Array, image_gradient: Array
) -> tuple[Array, Array]:
    return shared_kernel(threads).pull_back(*_host_canvas(canvas, rows, background), np.asarray(image_gradient))


def _split(canvas: Canvas) -> tuple[Array, Canvas]:
    """The background as an array, and a canvas without it, so that compiled code is not tied to a colour."""
    return np.array(canvas.background, np.float32), Canvas(canvas.width, canvas.height, edge=canvas.edge)


_render_pure = jax.jit(draw, static_argnums=(2, 3))


def _pure_loss(
    rows: jax.Array, background: jax.Array, target: jax.Array, shares: jax.Array, canvas: Canvas, memory_mb: float
) -> jax.Array:
    return jnp.sum(jnp.square(draw(rows, background, canvas, memory_mb) - target) * shares[:, :, None])


_pure_loss_and_gradient = partial(jax.jit, static_argnums=(4, 5))(jax.value_and_grad(_pure_loss, argnums=(0, 1)))


class _Recipe(NamedTuple):
    """What a compiled update depends on: which columns are log and logit, and Adam's numbers. Hashable."""

    is_log: tuple[bool, ...]
    is_logit: tuple[bool, ...]
    slope: tuple[tuple[float, ...], ...]
    adam: tuple[float, float, float]


def _decode(recipe: _Recipe, raw: jax.Array) -> jax.Array:
    """Rows, (N, P), from raw parameters, (P, N), each column by its own transform alone."""
    transforms = [
        jnp.exp if log else jax.nn.sigmoid if logit else lambda value: value
        for log, logit in zip(recipe.is_log, recipe.is_logit, strict=True)
    ]
    return jnp.stack([transform(column) for transform, column in zip(transforms, raw, strict=True)], axis=1)


def _move(
    recipe: _Recipe, raw: jax.Array, state: RowAdamState, by_rows: jax.Array,
    rates: Any, low: Any, high: Any, scale: Any,
) -> tuple[jax.Array, RowAdamState, jax.Array]:  # fmt: skip
    """One optimiser step: new raw parameters, optimiser state, and rows."""
    rows = _decode(recipe, raw)
    s0, s1, s2 = (jnp.array(row, jnp.float32)[None, :] for row in recipe.slope)
    by_raw = by_rows * (s0 + rows * (s1 + rows * s2))
    updates, state = scale_by_row_adam(*recipe.adam).update(by_raw.T, state)
    raw = jnp.clip(optax.apply_updates(raw, -(rates * scale)[:, None] * updates), low[:, None], high[:, None])
    return raw, state, _decode(recipe, raw)


_rows_of = jax.jit(_decode, static_argnums=(0,))
_move_jit = jax.jit(_move, static_argnums=(0,))


@partial(jax.jit, static_argnums=(0, 9, 10, 11))
def _move_pure(
    recipe: _Recipe, raw: jax.Array, state: RowAdamState, rates: Any, low: Any, high: Any, scale: Any,
    backgrounds: Any, problem: tuple[Any, Any, Any], canvas: Canvas, memory_mb: float,
    loss: Callable[[Any, Any], Any] | None,
) -> tuple[jax.Array, jax.Array, jax.Array, RowAdamState, jax.Array]:  # fmt: skip
    """A whole step on the device: loss, whether all is finite, and what `_move` gives."""
    targets, shares, present = problem

    def objective(rows: jax.Array) -> jax.Array:
        # Rows that only fill the bucket are painted with opacity 0.
        rows = rows * present
        losses = []
        for background, target in zip(backgrounds, targets, strict=True):
            if loss is None:
                losses.append(_pure_loss(rows, background, target, shares, canvas, memory_mb))
            else:
                losses.append(jnp.asarray(loss(draw(rows, background, canvas, memory_mb), target)))
        return jnp.asarray(mean(losses))

    value, by_rows = jax.value_and_grad(objective)(_decode(recipe, raw))
    finite = jnp.isfinite(value) & jnp.isfinite(by_rows).all()
    return value, finite, *_move(recipe, raw, state, by_rows, rates, low, high, scale)


class JaxFit(BaseFit):
    """A fit in JAX; see `base.Fit`.

    On the kernel path the kernel is called on the host between compiled updates, which costs less than a
    callback out of a compiled loop, and cannot deadlock with XLA's threads.
    """

    def __init__(self, target: Array, canvas: Canvas, settings: FitSettings, renderer: JaxRenderer) -> None:
        super().__init__(target, canvas, settings, renderer.options, renderer.device.platform)
        self._options = renderer.options
        self._device = renderer.device
        p: Parameters = self.parameters
        self._recipe = _Recipe(
            tuple(p.is_log.tolist()),
            tuple(p.is_logit.tolist()),
            tuple(map(tuple, p.slope.tolist())),
            (settings.beta1, settings.beta2, settings.epsilon),
        )
        self._limits = jax.device_put((p.rates, p.low, p.high), self._device)
        self._loss_gradient = None if settings.loss is None else jax.jit(jax.value_and_grad(settings.loss))
        self._write([np.zeros((0, len(p.rates)), np.float32)], canvas)

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

        self._raw = upload(raw)
        self._state = RowAdamState(*map(upload, kept))
        self._drawn_rows = _rows_of(self._recipe, self._raw)
        # JAX reads an aligned array where it lies. It is written again only when the rows that came of it are there.
        self._by_rows = aligned(bucket * width).reshape(bucket, width)
        self._by_rows[self._count :] = 0
        if not self._options.uses_kernel:
            backgrounds = tuple(_split(backdrop.under(canvas))[0] for backdrop in self.backdrops)
            targets = tuple(backdrop.target for backdrop in self.backdrops)
            self._plain_canvas = _split(canvas)[1]
            present = np.ones((bucket, width), np.float32)
            present[self._count :, OPACITY] = 0
            self._backgrounds = jax.device_put(backgrounds, self._device)
            self._problem = jax.device_put((targets, self.shares, present), self._device)

    def _read(self) -> list[Array]:
        return [np.asarray(slate)[:, : self._count].T for slate in (self._raw, *self._state)]

    def _set_rows(self, rows: Array) -> None:
        padded = np.array(self._drawn_rows)
        padded[: self._count] = rows
        self._drawn_rows = jax.device_put(padded, self._device)

    def _rows(self) -> Array:
        return np.asarray(self._drawn_rows)[: self._count]  # waits for the device

    def _step(self, scale: float) -> float:
        numbers = *self._limits, np.float32(scale)
        if not self._options.uses_kernel:
            loss, finite, raw, state, rows = _move_pure(
                self._recipe, self._raw, self._state, *numbers, self._backgrounds,
                self._problem, self._plain_canvas, self._options.memory_mb, self.settings.loss,
            )  # fmt: skip
            if not bool(finite):  # waits for the device
                raise FloatingPointError
        else:
            loss, by_rows = self._kernel_gradient()
            if not (np.isfinite(loss) and np.isfinite(by_rows).all()):
                raise FloatingPointError
            self._by_rows[: self._count] = by_rows
            raw, state, rows = _move_jit(self._recipe, self._raw, self._state, self._by_rows, *numbers)
        self._raw, self._state, self._drawn_rows = raw, state, rows
        return float(loss)

    def _kernel_gradient(self) -> tuple[float, Array]:
        rows = self._rows()
        if self._loss_gradient is None:
            return self._kernel_loss_and_gradient(rows)
        losses, gradients = [], []
        for backdrop in self.backdrops:
            canvas = backdrop.under(self.canvas)
            value, by_image = self._loss_gradient(self.kernel.render(rows, canvas), backdrop.target)
            losses.append(float(value))
            gradients.append(self.kernel.pull_back(rows, canvas, np.asarray(by_image))[0])
        return mean(losses), mean(gradients)

    def _custom_loss(self, image: Array, backdrop: Backdrop) -> float:
        assert self.settings.loss is not None
        return float(self.settings.loss(image, backdrop.target))
