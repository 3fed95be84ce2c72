"""Sizes of a canvas as text or numbers."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from artpipe.renderers import InputError
from artpipe.renderers.checks import shown

# The longest side of a target whose size is not given, pixels.
DEFAULT_SIZE = 256
# The largest side that a target may be given, pixels.
SIZE_MAX = 8192


def parse_size(text: Any) -> tuple[int, int] | int:
    """A size option: `384` (longest side, aspect kept) or `256x256` (exact, stretched), also as numbers.

    Raises:
        InputError: it is neither, or out of range.
    """
    if isinstance(text, str):
        match = re.fullmatch(r"(\d{1,6})(?:x(\d{1,6}))?", text.strip().lower(), re.ASCII)
        sides = [int(side) for side in match.groups() if side] if match else []
    else:
        numbers = text if isinstance(text, tuple) and len(text) == 2 else (text,)
        whole = all(isinstance(side, (int, np.integer)) and not isinstance(side, bool) for side in numbers)
        sides = [int(side) for side in numbers] if whole else []
    if not sides or not all(1 <= side <= SIZE_MAX for side in sides):
        raise InputError(f"size is {shown(text)}; needs pixels like 384 or 256x256, 1 to {SIZE_MAX}")
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])
