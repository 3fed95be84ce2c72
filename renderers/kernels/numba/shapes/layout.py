"""The kernel's rows: the paint first, then parameters of the shape, computed from its columns once per call."""

from __future__ import annotations

import numpy as np

from ....primitives.base import BLUE as BLUE_COLUMN
from ....primitives.base import GREEN as GREEN_COLUMN
from ....primitives.base import OPACITY, SHAPE, SOFTNESS
from ....primitives.base import RED as RED_COLUMN
from ..simd import LANES as _LANES

F, D, U = np.float32, np.float64, np.uintp
LANES = U(_LANES)

# Pixels of a tile: as wide as the shorter vectors, so that x is the same in every vector, and its planes fit in the L1
# cache. Shapes touch a fifth fewer pixels than of 16 x 16 tiles.
TILE_WIDTH, TILE_HEIGHT = 8, 32

# Floats of a row: of a scene of circles alone, where they are the scene's columns, and of any other (one cache line).
NARROW, WIDE = 8, 16

R, G, B, A, S = (U(k) for k in (RED_COLUMN, GREEN_COLUMN, BLUE_COLUMN, OPACITY, SOFTNESS))
# The floats of the shape; each primitive assigns its own meaning.
P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10 = (U(SHAPE + k) for k in range(11))

ZERO, HALF, ONE, TWO = F(0), F(0.5), F(1), F(2)
FAR = F(1e30)  # pixels: beyond every canvas
TINY = F(1e-12)  # keeps 1 / distance finite at distance 0, where the direction is 0 anyway

# The scratch of a thread begins with these planes, AREA floats each. The colour planes hold the composite in the
# forward pass and g = dL/dC in the backward pass. `tiles.leave_one_out` needs g, the composite beneath and the pixels'
# shares of the loss at once.
AREA = TILE_WIDTH * TILE_HEIGHT
PLANE_COUNT = 11
TRANSMITTANCE, RED, GREEN, BLUE, PX, PY, COVERED, SHARE, BENEATH_R, BENEATH_G, BENEATH_B = (
    U(k * AREA) for k in range(PLANE_COUNT)
)
DOT_BENEATH = TRANSMITTANCE  # g·(composite beneath), in the backward pass
SECOND_TRANSMITTANCE = BENEATH_R  # in the forward pass
