"""The logistic function on eight lanes."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .simd import absolute, least, power_of_half, spread, where_positive, whole

_F = np.float32
_ONE, _HALF = _F(1), _F(0.5)

# Taylor coefficients ln(2)**k / k! of 2**f on -1/2..1/2; the first omitted term is below 1.2e-7 of the value.
_E1, _E2, _E3, _E4, _E5, _E6 = (_F(math.log(2) ** k / math.factorial(k)) for k in range(1, 7))
_LOG2E = _F(1 / math.log(2))
_Z_MAX = _F(80)  # exp(-80) is negligible against 1, and 2**-115 still a normal float32


@njit(inline="always")
def sigmoid(z):
    """1 / (1 + exp(-z)) to a few float32 ulp."""
    one = spread(_ONE)
    y = least(absolute(z), spread(_Z_MAX)) * spread(_LOG2E)
    n = whole(y + spread(_HALF))
    f = n - y
    e = spread(_E5) + f * spread(_E6)
    e = spread(_E3) + f * (spread(_E4) + f * e)
    e = one + f * (spread(_E1) + f * (spread(_E2) + f * e))
    e = e * power_of_half(n)
    return where_positive(z, one, e) / (one + e)
