"""Losses that are NaN below some error: fits that reach it diverge."""


def loss_with_a_cliff(renderer, level):
    """The mean squared error in a framework, NaN where it is below `level`."""

    def in_jax(image, target):
        import jax.numpy as jnp

        error = jnp.mean((image - target) ** 2)
        return jnp.where(error < level, jnp.nan, error)

    def in_torch(image, target):
        import torch

        error = ((image - target) ** 2).mean()
        return torch.where(error < level, torch.nan, error)

    return {"jax": in_jax, "torch": in_torch}[renderer]
