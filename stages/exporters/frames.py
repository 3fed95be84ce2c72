"""The growth as numbered PNG files, for other programs that make films."""

from __future__ import annotations

import re
from pathlib import Path

from artpipe.renderers import InputError

from ..result import Result
from .film import frame_count
from .growth import even_scenes
from .options import ExportOptions
from .png import write_png

# The number in a name: %d, or %04d with leading zeros.
_NUMBER = re.compile(r"%(?:0[1-9])?d")
# What printf would read as a value.
_VALUE = re.compile(r"%[-+#0-9]*(?:\.[0-9]+)?[A-Za-z]")


def is_pattern(path: Path) -> bool:
    """Return whether a file name has a number to be filled in, such as %04d.png.

    Raises:
        InputError: it has something else that printf would fill in, or several numbers.
    """
    values = _VALUE.findall(path.name)
    if not values:
        return False
    if len(values) > 1 or not _NUMBER.fullmatch(values[0]):
        raise InputError(f"cannot export {path}: numbered frames need a single %d or %04d in the name, and no other %")
    if path.suffix.lower() != ".png":
        raise InputError(f"cannot export {path}: numbered frames are PNG; try {path.with_suffix('.png').name}")
    return True


def frame_path(path: Path, number: int) -> Path:
    """Return the pattern with its number filled in."""
    return path.with_name(_NUMBER.sub(lambda match: match[0] % number, path.name))


def export_frames(result: Result, path: Path, options: ExportOptions) -> None:
    """Write `fps` x `seconds` pictures at an even visual pace, numbered from 1.

    The first is blank, the last is the result. Each file is written completely or not at all.
    """
    for number, scene in enumerate(even_scenes(result, frame_count(options)), 1):
        write_png(options.resized(scene), frame_path(path, number))
