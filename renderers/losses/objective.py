"""The objective of a fit: a weighted sum of losses of the table, or a user-defined function."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..checks import shown, text
from ..errors import InputError
from .guide import codes_of
from .mse import MSE
from .table import LOSS_NAMES, loss_named

# Between terms, but not in a factor such as 1e+3.
_PLUS = re.compile(r"(?<![0-9.][eE])\+")

LossLike = str | Callable[..., Any]
"""A loss as an argument: a sum such as "mse+0.2*ssim", or a function `(image, target[, weights]) -> scalar`."""


@dataclass(frozen=True, eq=False)
class Objective:
    """A weighted sum of losses, or a user-defined function. Equal objectives share compiled code.

    Attributes:
        terms: factor and name of each loss.
        own: the user-defined function; `terms` is then empty.
    """

    terms: tuple[tuple[float, str], ...]
    own: Callable[..., Any] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Objective) and self.terms == other.terms and self.own is other.own

    def __hash__(self) -> int:
        return hash((self.terms, id(self.own)))  # a user-defined function may be unhashable

    @property
    def is_mse(self) -> bool:
        """Whether it is the mean squared error alone, which is fused into the kernels."""
        return self.terms == ((1.0, MSE.name),)

    @property
    def name(self) -> str:
        """The sum in the notation of `objective_of`; "function" for a function."""
        return "+".join(name if factor == 1 else f"{factor!r}*{name}" for factor, name in self.terms) or "function"

    @property
    def searching(self) -> Objective:
        """The terms minimised before settling; the mean squared error if there are none."""
        if self.own is not None:
            return self
        kept = [term for term in self.terms if not loss_named(term[1]).settles]
        return _sum_of(kept or [(1.0, MSE.name)])

    def prepare(self, xp: Any, target: Any) -> Any:
        """Computes once what `value` needs of a target, (H, W, 3); `xp` is `numpy`, `jax.numpy` or `torch`.

        Raises:
            BackendUnavailable: a loss needs a missing package.
        """
        if self.own is not None or self.is_mse:
            return target
        return tuple(loss_named(name).prepare(xp, target) for _, name in self.terms)

    @property
    def rate_factor(self) -> float:
        """On the learning rates of a settling; the smallest of the terms."""
        return min((loss_named(name).rate_factor for _, name in self.terms), default=1.0)

    @property
    def draws(self) -> int:
        """Number of rows of random numbers that `value` needs; see `Loss.draws`."""
        return max((loss_named(name).draws for _, name in self.terms), default=0)

    def value(self, xp: Any, image: Any, prepared: Any, weights: Any, drawn: Any = None) -> Any:
        """The loss of an image, (H, W, 3), a scalar.

        Args:
            xp: as in `prepare`.
            image: sRGB in 0..1.
            prepared: from `prepare`.
            weights: (H, W) with a mean of 1, or None.
            drawn: (draws, 3) random numbers in 0..1.
        """
        if self.own is not None:
            return self.own(image, prepared, *(() if weights is None else (weights,)))
        if self.is_mse:
            return MSE.value(xp, image, prepared, weights)
        values = []
        for (factor, name), own in zip(self.terms, prepared, strict=True):
            loss = loss_named(name)
            random = (drawn[: loss.draws],) if loss.draws else ()
            values.append(factor * loss.value(xp, image, own, weights, *random))
        return sum(values)


def objective_of(loss: LossLike) -> Objective:
    """The objective of a sum such as "mse+0.2*ssim", or of a function.

    Raises:
        InputError: a loss is unknown or repeated, a factor is out of range, or `loss` is neither text nor a function.
    """
    if callable(loss):
        return Objective((), loss)
    if not isinstance(loss, str):
        raise InputError(f"loss is {shown(loss)}; needs a sum of {LOSS_NAMES}, or a function")
    terms: dict[str, float] = {}
    for word in _PLUS.split(loss):
        before, star, after = word.rpartition("*")
        name = after.strip()
        loss_named(name)
        if name in terms:
            raise InputError(f"loss is {shown(loss)}; needs each loss at most once")
        terms[name] = _factor(loss, before) if star else 1.0
    return _sum_of([(factor, name) for name, factor in terms.items()])


def _sum_of(terms: list[tuple[float, str]]) -> Objective:
    """The objective of these terms; a factor of a single one changes nothing and is dropped."""
    return Objective(tuple(terms) if len(terms) > 1 else ((1.0, terms[0][1]),))


def _factor(loss: str, number: str) -> float:
    try:
        factor = float(number)
    except ValueError:
        factor = math.nan
    if not 0 < factor <= 1e6:
        raise InputError(f"loss is {shown(loss)}; needs factors above 0 and at most 1e6, such as mse+0.2*ssim")
    return factor


def check_loss(name: str, value: Any) -> str:
    """The value of an option in canonical form, checked to be a sum of losses; see `options.Option.check`."""
    if not isinstance(value, str):
        raise InputError(f"{name} is {shown(value)}; needs a sum of {LOSS_NAMES}, such as mse+0.2*ssim")
    return objective_of(value).name


def check_guide(name: str, value: Any) -> str:
    """The value of an option, checked to be a class of the guide; see `options.Option.check`."""
    word = text(name, value).strip().casefold()
    codes_of(word)
    return word


def check_function(loss: Any, weighted: bool) -> None:
    """Checks that a user-defined loss accepts its arguments.

    Raises:
        InputError: it does not.
    """
    arguments = ("image", "target", "weights") if weighted else ("image", "target")
    try:
        signature = inspect.signature(loss)
    except (TypeError, ValueError):
        return  # written in C: a wrong signature shows at the first step
    try:
        signature.bind(*arguments)
    except TypeError:
        reason = "; weights are given, so it must apply them" if weighted else ""
        raise InputError(
            f"loss takes {signature}; needs a function ({', '.join(arguments)}) -> scalar{reason}"
        ) from None
