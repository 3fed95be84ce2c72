"""Palettes as text: a number of colours, colours, a GIMP palette file, or the colours of another picture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from artpipe.renderers import InputError
from artpipe.renderers.checks import shown

from ..formats.files import read_at_most
from ..palette import Palette, clusters
from .colour_words import Colour, hex_of, parse_colour
from .sizes import DEFAULT_SIZE

COLOURS_MAX = 256
# Colours taken from another picture if no number is given.
LIKE_COUNT = 8
BYTES_MAX = 1_000_000
_LIKE = re.compile(r"like:(?:(\d{1,4}):)?(.+)", re.ASCII | re.DOTALL)
_NEEDS = (
    f"needs a number of colours from 1 to {COLOURS_MAX}, colours such as '#0b132b,#f4d35e' or black,gold, a GIMP "
    "palette colours.gpl, like:other.jpg, or like:16:other.jpg"
)


def check_palette(name: str, value: Any) -> str:
    """The text of a palette option, checked as far as it can be without reading files.

    Raises:
        InputError: it is no palette.
    """
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value):
        value = ",".join(value)
    if isinstance(value, Path):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{name} is {shown(value)}; {_NEEDS}")
    text = value.strip()
    like = _LIKE.fullmatch(text)
    number = text if text.lstrip("-").isdigit() else like[1] if like else None
    if number is not None and not 1 <= int(number) <= COLOURS_MAX:
        raise InputError(f"{name} is {shown(value)}; {_NEEDS}")
    if not (like or number or _is_file(text)):
        _colours(name, text)
    return text


def resolved_palette(text: str) -> str:
    """The palette with the colours of files in place of their paths; a number as it is.

    Raises:
        InputError: the file cannot be read, or holds no colours.
    """
    if like := _LIKE.fullmatch(text):
        return ",".join(map(hex_of, _colours_of_picture(like[2], int(like[1] or LIKE_COUNT))))
    if _is_file(text):
        return ",".join(map(hex_of, _colours_of_gpl(Path(text))))
    return text


def parse_palette(text: str, background: bool = True) -> Palette:
    """The palette of a resolved option.

    Args:
        text: a number, or colours separated by commas.
        background: whether the background has one of the colours.
    """
    if text.isdigit():
        return Palette(int(text), (), background)
    colours = tuple(dict.fromkeys(_colours("palette", text)))
    return Palette(len(colours), colours, background)


def _is_file(text: str) -> bool:
    return text.lower().endswith(".gpl")


def _colours(name: str, text: str) -> list[Colour]:
    words = [word.strip() for word in text.split(",")]
    if len(words) > COLOURS_MAX:
        raise InputError(f"{name} has {len(words)} colours; needs at most {COLOURS_MAX}")
    if words == [text] and not text.startswith("#") and not text.isalpha():
        raise InputError(f"{name} is {shown(text)}; {_NEEDS}")
    return [parse_colour(f"a colour of the {name}", word) for word in words]


def _colours_of_gpl(path: Path) -> list[Colour]:
    """The colours of a GIMP palette: lines of red, green, blue in 0..255, and a name."""
    lines = read_at_most(path, BYTES_MAX).decode("utf-8", "replace").splitlines()
    if not lines or lines[0].strip().lstrip("\ufeff") != "GIMP Palette":
        raise InputError(f"{path} is not a GIMP palette: its first line is not 'GIMP Palette'")
    rows = [re.match(r"\s*(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})(?!\S)", line) for line in lines[1:]]
    colours = [tuple(int(digits) / 255 for digits in row.groups()) for row in rows if row]
    found = [(red, green, blue) for red, green, blue in dict.fromkeys(colours) if max(red, green, blue) <= 1]
    if not 1 <= len(found) <= COLOURS_MAX:
        raise InputError(f"{path} has {len(found)} colours; needs 1 to {COLOURS_MAX} lines of three numbers up to 255")
    return found


def _colours_of_picture(path: str, count: int) -> list[Colour]:
    """The most typical colours of a picture; fewer if it has fewer."""
    from .picture import load_picture, picture_size

    longest = min(DEFAULT_SIZE, max(picture_size(Path(path))))
    picture = load_picture(Path(path), longest).astype(np.float64)
    alpha = picture[:, :, 3] if picture.shape[2] == 4 else np.ones(picture.shape[:2])
    found = clusters(picture[:, :, :3].reshape(-1, 3), alpha.ravel(), count)
    return [(red, green, blue) for red, green, blue in np.unique(found, axis=0).tolist()]
