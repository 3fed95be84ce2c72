"""Colours as text."""

from __future__ import annotations

import re

from artpipe.renderers.checks import shown, unknown
from artpipe.renderers.errors import InputError

Colour = tuple[float, float, float]


def parse_colour(name: str, text: object, other: str = "") -> Colour:
    """The sRGB values, 0..1, of #rrggbb, #rgb, or a name of CSS such as white or navy.

    Args:
        name: of the option, for the message.
        text: value of the option.
        other: other accepted values, for the message; ends in ", ".

    Raises:
        InputError: it is not such a colour; a misspelt name is met with the nearest.
    """
    digits = None
    if isinstance(text, str):
        digits = text[1:] if re.fullmatch("#([0-9a-fA-F]{3}){1,2}", text) else _named(text)
        if digits is None and re.fullmatch("[A-Za-z]+", text):
            near = str(unknown("", [text.lower()], _names())).partition("(did you mean ")[2].partition("?)")[0]
            if near:
                raise InputError(f"{name} is {shown(text)}; did you mean {near}?")
    if digits is None:
        raise InputError(f"{name} is {shown(text)}; needs {other}a CSS colour name such as white, #rgb or #rrggbb")
    if len(digits) == 3:
        digits = "".join(2 * digit for digit in digits)
    red, green, blue = (value / 255 for value in bytes.fromhex(digits))
    return red, green, blue


def hex_of(colour: Colour) -> str:
    """#rrggbb of sRGB values, 0..1."""
    return "#" + bytes(round(255 * value) for value in colour).hex()


def _names() -> list[str]:
    from PIL.ImageColor import colormap

    return list(colormap)


def _named(text: str) -> str | None:
    """The digits of a colour name of CSS; None if it is none."""
    from PIL.ImageColor import colormap

    found = colormap.get(text.lower())
    return found.removeprefix("#") if isinstance(found, str) else None
