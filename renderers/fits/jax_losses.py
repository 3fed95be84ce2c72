"""Losses of pictures and their gradients, computed by JAX."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import InputError
from ..losses.objective import Objective

Array = np.ndarray[Any, Any]


class JaxLosses:
    """See `base.Losses`.

    Args:
        device: where they are computed.
        weights: (H, W) float32 with a mean of 1; None if all are equal.
    """

    def __init__(self, device: jax.Device, weights: Array | None) -> None:
        self.device = device
        self.weights = None if weights is None else jax.device_put(weights, device)
        self._own: dict[Objective, Callable[..., Any]] = {}

    def prepare(self, objective: Objective, target: Array) -> Any:
        """See `base.Losses.prepare`."""
        placed = jax.device_put(target, self.device)
        return placed if objective.own is not None else _prepared(objective, placed)

    def by_image(self, objective: Objective, image: Array, prepared: Any, drawn: Array | None) -> tuple[float, Array]:
        """See `base.Losses.by_image`."""
        compute: Callable[..., Any] = partial(_value_by_image, objective)
        if objective.own is not None:  # compiled here, so that the function is released with this object
            if objective not in self._own:
                self._own[objective] = jax.jit(jax.value_and_grad(lambda *arrays: value_of(objective, *arrays)))
            compute = self._own[objective]
        with jax.default_device(self.device):
            value, by_image = compute(image, prepared, self.weights, drawn)
        return float(value), np.asarray(by_image)


def value_of(objective: Objective, image: Any, prepared: Any, weights: Any, drawn: Any) -> jax.Array:
    """The loss of an image.

    Raises:
        InputError: it is not a scalar.
    """
    value = jnp.asarray(objective.value(jnp, image, prepared, weights, drawn))
    if value.shape != () or not jnp.issubdtype(value.dtype, jnp.floating):
        raise InputError(f"the loss returned {value.dtype} of shape {value.shape}; needs a floating-point scalar")
    return value


@partial(jax.jit, static_argnums=(0,))
def _prepared(objective: Objective, target: jax.Array) -> Any:
    return objective.prepare(jnp, target)


@partial(jax.jit, static_argnums=(0,))
def _value_by_image(
    objective: Objective, image: Any, prepared: Any, weights: Any, drawn: Any
) -> tuple[jax.Array, jax.Array]:
    return jax.value_and_grad(partial(value_of, objective))(image, prepared, weights, drawn)
