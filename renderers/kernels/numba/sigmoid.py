"""The exponential and the logistic function on vectors."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numba.extending import overload

from .simd import absolute, least, pixels, power_of_half, spread, spread_eight, where_positive, whole

_F = np.float32
_ONE, _HALF = _F(1), _F(0.5)

# Taylor coefficients ln(2)**k / k! of 2**f on -1/2..1/2; the first omitted term is below 1.2e-7 of the value.
_E1, _E2, _E3, _E4, _E5, _E6 = (_F(math.log(2) ** k / math.factorial(k)) for k in range(1, 7))
_LOG2E = _F(1 / math.log(2))
_Z_MAX = _F(80)  # exp(-80) is negligible against 1, and 2**-115 still a normal float32


def _like(z, value):
    raise NotImplementedError


@overload(_like, inline="always")
def _overload_like(z, value):
    if z == pixels:
        return lambda z, value: spread(value)
    return lambda z, value: spread_eight(value)


@njit(inline="always")
def decay(z):
    """exp(-|z|), to a few float32 ulp for |z| up to 80; beyond, exp(-80)."""
    one = _like(z, _ONE)
    y = least(absolute(z), _like(z, _Z_MAX)) * _like(z, _LOG2E)
    n = whole(y + _like(z, _HALF))
    f = n - y
    e = _like(z, _E5) + f * _like(z, _E6)
    e = _like(z, _E3) + f * (_like(z, _E4) + f * e)
    e = one + f * (_like(z, _E1) + f * (_like(z, _E2) + f * e))
    return e * power_of_half(n)


@njit(inline="always")
def sigmoid(z):
    """1 / (1 + exp(-z)) to a few float32 ulp."""
    one, e = _like(z, _ONE), decay(z)
    return where_positive(z, one, e) / (one + e)
