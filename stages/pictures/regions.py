"""Round regions of focus as text or numbers, and the weight of everything else."""

from __future__ import annotations

import re
from typing import Any

from artpipe.renderers import InputError
from artpipe.renderers.checks import shown

# Centre and radius as shares: of the canvas's width, of its height, of its longer side.
Region = tuple[float, float, float]

# Smallest weight over the largest. A sixteenth leaves most circles to the focus, and still constrains the rest.
DEFAULT_FLOOR = 1 / 16


def parse_focus(text: str) -> Region:
    """A region of focus: `x,y,r`, each a share from 0 to 1 or a percentage, such as `0.5,0.4,0.2` or `50%,40%,20%`.

    Raises:
        InputError: it has another form, or a number is out of range.
    """
    numbers = [re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)(%?)\s*", part, re.ASCII) for part in text.split(",")]
    region = tuple(float(number[1]) / (100 if number[2] else 1) for number in numbers if number)
    if len(numbers) != 3 or len(region) != 3:
        raise InputError(f"focus is {shown(text)}; needs x,y,r as shares of the picture: 0.5,0.4,0.2 or 50%,40%,20%")
    return _checked(region)


def check_focus(regions: Any) -> tuple[Region, ...]:
    """Regions of focus as tuples of floats, from any sequences of numbers.

    Raises:
        InputError: they have another form, or a number is out of range.
    """
    if not isinstance(regions, (list, tuple)):
        raise InputError(f"focus is {shown(regions)}; needs a list of regions, such as [(0.5, 0.4, 0.2)]")
    return tuple(_checked(region) for region in regions)


def _checked(region: Any) -> Region:
    try:
        x, y, radius = (float(value) for value in region if not isinstance(value, (bool, str)))
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f"a region of focus is {shown(region)}; needs three numbers, x, y, radius, such as (0.5, 0.4, 0.2)"
        ) from None
    if not (0 <= x <= 1 and 0 <= y <= 1 and 0 < radius <= 1):
        raise InputError(
            f"a region of focus is {x:g}, {y:g}, {radius:g}; needs shares of the picture's width, height and longer "
            "side, 0 to 1, with a radius above 0. Try dividing pixels by them"
        )
    return x, y, radius
