"""The kernel's rows: the paint first, then parameters of the shape, computed from its columns once per call."""

from __future__ import annotations

import numpy as np

from ....primitives.base import BLUE, GREEN, OPACITY, RED, SHAPE, SOFTNESS
from ..simd import LANES as _LANES

F, D, U = np.float32, np.float64, np.uintp
LANES = U(_LANES)

TILE = 16  # side, pixels; the planes of a tile then fit in the L1 cache

# Floats of a row: of a scene of circles alone, where they are the scene's columns, and of any other (one cache line).
NARROW, WIDE = 8, 16

R, G, B, A, S = (U(k) for k in (RED, GREEN, BLUE, OPACITY, SOFTNESS))
# The floats of the shape; each primitive assigns its own meaning.
P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10 = (U(SHAPE + k) for k in range(11))

ZERO, HALF, ONE, TWO = F(0), F(0.5), F(1), F(2)
FAR = F(1e30)  # pixels: beyond every canvas
TINY = F(1e-12)  # keeps 1 / distance finite at distance 0, where the direction is 0 anyway
