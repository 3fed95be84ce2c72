"""Sheets of paper: sizes as text, and where a picture lies on one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from artpipe.renderers import Canvas, InputError
from artpipe.renderers.checks import shown

MM_PER_INCH = 25.4
# Longest side of a sheet, mm: the 14400 points of a PDF page.
SIDE_MAX = 5080.0
SIDE_MIN = 5.0
BLEED_MAX = 50.0
PAPERS = {
    "a0": (841.0, 1189.0), "a1": (594.0, 841.0), "a2": (420.0, 594.0), "a3": (297.0, 420.0), "a4": (210.0, 297.0),
    "a5": (148.0, 210.0), "a6": (105.0, 148.0), "letter": (215.9, 279.4), "legal": (215.9, 355.6),
    "tabloid": (279.4, 431.8),
}  # fmt: skip
"""Name of a paper to its width and height upright, mm."""
UNITS = {"mm": 1.0, "cm": 10.0, "in": MM_PER_INCH}
"""Unit to its length, mm."""
_NUMBER, _UNIT = r"(\d+\.?\d*|\.\d+)", r"\s*(mm|cm|in)"


@dataclass(frozen=True)
class Sheet:
    """A sheet of paper with a picture on it; all lengths in mm.

    Attributes:
        width: after trimming.
        height: after trimming.
        bleed: what is trimmed off at each side.
        scale: length of a canvas pixel.
        left: left side of the canvas, from the left side of the trimmed sheet.
        top: top of the canvas, from the top of the trimmed sheet.
    """

    width: float
    height: float
    bleed: float
    scale: float
    left: float
    top: float


def parse_paper(name: str, text: Any) -> tuple[float, float]:
    """Return width and height of a name in `PAPERS`, or of a text such as "300x200mm"; mm.

    Args:
        name: of the option, for the message.
        text: value of the option.

    Raises:
        InputError: it is neither, or a side is too short or too long.
    """
    word = text.strip().lower() if isinstance(text, str) else ""
    if word in PAPERS:
        return PAPERS[word]
    match = re.fullmatch(rf"{_NUMBER}\s*x\s*{_NUMBER}{_UNIT}", word)
    sides = [float(side) * UNITS[match[3]] for side in match.groups()[:2]] if match else []
    if not sides or not all(SIDE_MIN <= side <= SIDE_MAX for side in sides):
        raise InputError(
            f"{name} is {shown(text)}; needs {', '.join(PAPERS)} or a size such as 300x200mm (cm, in), "
            f"{SIDE_MIN:g} to {SIDE_MAX:g} mm a side"
        )
    return sides[0], sides[1]


def parse_bleed(name: str, text: Any) -> float:
    """Return a length such as "3mm" in mm.

    Raises:
        InputError: it is no length, or longer than `BLEED_MAX`.
    """
    match = re.fullmatch(_NUMBER + _UNIT, text.strip().lower()) if isinstance(text, str) else None
    length = float(match[1]) * UNITS[match[2]] if match else None
    if length is None or length > BLEED_MAX:
        raise InputError(
            f"{name} is {shown(text)}; needs a length such as 3mm, .3cm or .125in, at most {BLEED_MAX:g} mm"
        )
    return length


def sheet_for(canvas: Canvas, width: int, dpi: float, paper: str | None = None, bleed: str | None = None) -> Sheet:
    """Lay a picture on a sheet.

    Without a bleed the whole picture is fitted to the sheet, centred. With one it covers the sheet and the bleed, and
    is cropped, so that no blank edge is left by a cut that is not exact.

    Args:
        canvas: of the picture.
        width: of the picture, pixels; gives its size if there is no paper.
        dpi: pixels per inch, for that size.
        paper: see `parse_paper`; a named one is turned to the picture's orientation.
        bleed: see `parse_bleed`.

    Raises:
        InputError: the sheet is too long.
    """
    if paper is None:
        across = width / dpi * MM_PER_INCH
        down = across * canvas.height / canvas.width
        if max(across, down) > SIDE_MAX:
            raise InputError(
                f"{width} pixels at {dpi:g} dpi are {across:.0f} x {down:.0f} mm; needs at most {SIDE_MAX:g} mm a "
                "side. Try a larger --dpi, a smaller --width, or --paper"
            )
    else:
        across, down = parse_paper("paper", paper)
        if paper.strip().lower() in PAPERS and canvas.width > canvas.height:
            across, down = down, across
    margin = 0.0 if bleed is None else parse_bleed("bleed", bleed)
    factors = (across + 2 * margin) / canvas.width, (down + 2 * margin) / canvas.height
    scale = max(factors) if margin else min(factors)
    left, top = (across - scale * canvas.width) / 2, (down - scale * canvas.height) / 2
    return Sheet(across, down, margin, scale, left, top)
