"""Names for the files and folders that artpipe makes."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from artpipe.renderers.errors import is_printable

# Bytes of a name that the usual file systems take.
NAME_MAX = 255
# Names that Windows keeps for devices, with whatever ending.
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def name_of_picture(path: str | Path) -> str:
    """The painting's name: that of its file without the ending, as a name that any folder can have.

    It is not hidden, not empty (then `painting`), not an option, and holds printable characters alone.
    """
    stem = re.sub(r"\.[^.]*$", "", Path(path).name)  # to pathlib, `.png` has no ending
    name = "".join(letter if is_printable(letter) else "_" for letter in stem).lstrip(" .-").rstrip(" .")
    return f"{name}-painting" if _DEVICE.fullmatch(name) else fitting(name) or "painting"


def fitting(name: str, ending: str = "", most: int = NAME_MAX) -> str:
    """The name with the ending, cut before it to so many bytes."""
    name = name[:most]  # every letter takes a byte or more
    while name and len(os.fsencode(name + ending)) > most:
        name = name[:-1]
    return name + ending


def distinct(name: str, most: int) -> str:
    """The name if it has at most so many bytes; else cut, with a digest in place of the rest."""
    if len(os.fsencode(name)) <= most:
        return name
    return fitting(name, f"-{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}", most)
