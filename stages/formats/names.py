"""Names for the files and folders that artpipe makes."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from artpipe.renderers.errors import is_printable

# Longest name that common file systems allow, bytes.
NAME_MAX = 255
# Names that Windows reserves for devices, with any ending.
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def name_of_picture(path: str | Path) -> str:
    """The painting's name: that of its file without the ending, made valid for a folder.

    It is not hidden, not empty (`painting` instead), not like an option, and has only printable characters.
    """
    stem = re.sub(r"\.[^.]*$", "", Path(path).name)  # pathlib sees no ending in `.png`
    name = "".join(letter if is_printable(letter) else "_" for letter in stem).lstrip(" .-").rstrip(" .")
    return f"{name}-painting" if _DEVICE.fullmatch(name) else fitting(name) or "painting"


def fitting(name: str, ending: str = "", most: int = NAME_MAX) -> str:
    """The name with the ending, the name cut so that both take at most `most` bytes."""
    name = name[:most]  # every letter takes at least a byte
    while name and len(os.fsencode(name + ending)) > most:
        name = name[:-1]
    return name + ending


def distinct(name: str, most: int) -> str:
    """The name if it has at most `most` bytes; else cut, with a digest in place of the rest."""
    if len(os.fsencode(name)) <= most:
        return name
    return fitting(name, f"-{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}", most)
