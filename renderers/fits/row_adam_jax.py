"""Adam with bias correction per row, as an optax transformation."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax


class RowAdamState(NamedTuple):
    """Adam's state, row by row.

    Attributes:
        weight: (2, N), running means of the number 1, the divisors of Adam's bias correction.
        mean: (P, N), running mean of gradients.
        square: (P, N), running mean of squared gradients.
    """

    weight: jax.Array
    mean: jax.Array
    square: jax.Array


def scale_by_row_adam(beta1: float, beta2: float, epsilon: float) -> optax.GradientTransformation:
    """Adam with bias correction per row, so that new rows start with full steps.

    Parameters are stored column by column, (P, N) for N rows of P columns: values of one column are then adjacent,
    which suits vector units.

    Args:
        beta1: decay of the mean.
        beta2: decay of the mean square.
        epsilon: added to the root.

    Source: Kingma and Ba, Adam: A Method for Stochastic Optimization, 2015, algorithm 1. There the correction
    is 1 - beta^t with one t for all rows; here each row stores it as the running mean of ones, which is equal.
    """

    def init(parameters: jax.Array) -> RowAdamState:
        zeros = jnp.zeros_like(parameters)
        return RowAdamState(jnp.zeros_like(parameters, shape=(2, parameters.shape[1])), zeros, zeros)

    def update(
        gradient: jax.Array, state: RowAdamState, parameters: jax.Array | None = None
    ) -> tuple[jax.Array, RowAdamState]:
        del parameters
        betas = jnp.array([[beta1], [beta2]], gradient.dtype)
        weight = betas * state.weight + (1 - betas)
        mean = beta1 * state.mean + (1 - beta1) * gradient
        square = beta2 * state.square + (1 - beta2) * jnp.square(gradient)
        root = jnp.sqrt(square / weight[1:]) + epsilon
        return mean / (weight[:1] * root), RowAdamState(weight, mean, square)

    return optax.GradientTransformation(init, update)
