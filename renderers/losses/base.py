"""The `Loss` type: a function of a picture and its target, written once for numpy, JAX and PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def _unchanged(xp: Any, target: Any) -> Any:
    del xp
    return target


@dataclass(frozen=True)
class Loss:
    """A row of the table of losses.

    In both functions `xp` is `numpy`, `jax.numpy` or `torch`, and arrays are of that framework.

    Attributes:
        name: its name in options and files.
        help: what it measures, for the documentation.
        value: `(xp, image, prepared, weights) -> scalar`, differentiable in the image. The image is (H, W, 3), sRGB in
            0..1; weights are (H, W) with a mean of 1, or None.
        prepare: `(xp, target) -> prepared`: computes once what depends only on the target, (H, W, 3). Raises
            `BackendUnavailable` if the loss needs a missing package.
        settles: whether it is minimised only while settling, after growth and search under the other terms.
        rate_factor: on the learning rates of a settling under it.
        draws: number of rows of random numbers in 0..1, (draws, 3), that `value` takes as a further argument; new ones
            at each step of a fit.
        of: for a loss with an argument, such as "guide:macaw": `argument -> Loss`. Raises `InputError` for an unknown
            argument.
    """

    name: str
    help: str
    value: Callable[..., Any]
    prepare: Callable[[Any, Any], Any] = _unchanged
    settles: bool = False
    rate_factor: float = 1.0
    draws: int = 0
    of: Callable[[str], Loss] | None = None


def weighted_mean(xp: Any, values: Any, weights: Any) -> Any:
    """The mean of values, (H, W, C), over pixels and channels, weighted by (H, W) `weights` if given."""
    return xp.mean(values if weights is None else values * weights[:, :, None])
