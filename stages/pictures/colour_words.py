"""Colours as text."""

from __future__ import annotations

import re

from artpipe.renderers.checks import shown
from artpipe.renderers.errors import InputError

_NAMED = {"white": (1.0, 1.0, 1.0), "black": (0.0, 0.0, 0.0)}


def parse_colour(name: str, text: object, other: str = "") -> tuple[float, float, float]:
    """The sRGB values, 0..1, of white, black or #rrggbb.

    Args:
        name: of the option, for the message.
        text: value of the option.
        other: other accepted values, for the message; ends in ", ".

    Raises:
        InputError: it is not such a colour.
    """
    if isinstance(text, str) and text in _NAMED:
        return _NAMED[text]
    if not isinstance(text, str) or not re.fullmatch("#[0-9a-fA-F]{6}", text):
        raise InputError(f"{name} is {shown(text)}; needs {other}white, black or #rrggbb")
    red, green, blue = (value / 255 for value in bytes.fromhex(text[1:]))
    return red, green, blue
