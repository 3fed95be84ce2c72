"""The canvas: what rows are painted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .checks import choice, real_array, shown, whole_number
from .errors import InputError
from .primitives.falloff import FALLOFFS

# The widest canvas that is drawn in one piece, pixels a side.
SIDE_MAX = 65536


@dataclass(frozen=True)
class Canvas:
    """What rows are painted on, and how their rims fade.

    Attributes:
        width: columns of pixels. Pixel (column i, row j) has its centre at (i + 0.5, j + 0.5), as in SVG.
        height: rows of pixels.
        background: sRGB in 0..1, painted first.
        edge: the falloff of rims, a key of `primitives.falloff.FALLOFFS`.
        transparent: whether what rows leave uncovered is transparent. The background is then used only where
            transparency is not possible: in renderers (see `alpha.render_with_alpha`) and in films without alpha.

    Raises:
        InputError: a side is out of range, a colour is not three numbers in 0..1, or the edge is unknown.
    """

    width: int
    height: int
    background: tuple[float, float, float] = (1.0, 1.0, 1.0)
    edge: str = "linear"
    transparent: bool = False

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            side = whole_number(f"canvas {name}", getattr(self, name), 1, SIDE_MAX, " of pixels")
            object.__setattr__(self, name, side)
        needs = "three sRGB values between 0 and 1"
        colour = real_array("background", self.background, needs)
        if colour.shape != (3,) or not np.all((colour >= 0) & (colour <= 1)):
            raise InputError(f"background is {shown(self.background)}; needs {needs}")
        choice("edge", self.edge, FALLOFFS)
        if not isinstance(self.transparent, (bool, np.bool_)):
            raise InputError(f"transparent is {shown(self.transparent)}; needs True or False")
        # Kept at float32, like the rows, so that every renderer starts from the same number.
        object.__setattr__(self, "background", tuple(float(np.float32(c)) for c in colour))
        object.__setattr__(self, "transparent", bool(self.transparent))
