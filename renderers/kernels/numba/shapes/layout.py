"""Rows as the kernel reads them: the paint first, then what a shape needs, computed once a call from its columns."""

from __future__ import annotations

import numpy as np

from ....primitives.base import BLUE, GREEN, OPACITY, RED, SHAPE, SOFTNESS
from ..simd import LANES as _LANES

F, D, U = np.float32, np.float64, np.uintp
LANES = U(_LANES)

TILE = 16  # pixels a side; a tile's planes then stay in the first-level cache

# Floats of a row of a scene of circles alone, which are its own columns, and of any other: one cache line.
NARROW, WIDE = 8, 16

R, G, B, A, S = (U(k) for k in (RED, GREEN, BLUE, OPACITY, SOFTNESS))
# The shape's floats, whatever they are to each primitive.
P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10 = (U(SHAPE + k) for k in range(11))

ZERO, HALF, ONE, TWO = F(0), F(0.5), F(1), F(2)
FAR = F(1e30)  # pixels: beyond every canvas
TINY = F(1e-12)  # keeps one over a distance finite where it is 0: the direction is 0 there anyway
