"""Ranges of an option as text: `4..40`, `4..`, `..40`, `4` for both ends; lengths also in per cent of the canvas."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from artpipe.renderers import InputError
from artpipe.renderers.checks import shown
from artpipe.renderers.options import shown_number

_END = re.compile(r"(\d{1,7}(?:\.\d{0,6})?|\.\d{1,6})(%?)", re.ASCII)
# Limits are narrowed by this share, so that float32 rounding of a logarithm does not leave them.
_ROUNDING = 4e-6


@dataclass(frozen=True)
class Range:
    """A least and a most, each a number and whether it is a percentage; None for an open end."""

    least: tuple[float, bool] | None
    most: tuple[float, bool] | None

    def on(self, longest: float, low: float, high: float) -> tuple[float, float]:
        """Both ends as numbers that float32 rounding cannot leave.

        Args:
            longest: what percentages are of: the longest side of the canvas, pixels.
            low: the least if it is open.
            high: the most if it is open.
        """
        ends = [end and end[0] * (longest / 100 if end[1] else 1) for end in (self.least, self.most)]
        if ends[0] is not None and ends[0] == ends[1]:
            return ends[0], ends[0]
        least = low if ends[0] is None else ends[0] * (1 + _ROUNDING)
        most = high if ends[1] is None else ends[1] * (1 - _ROUNDING)
        return (least, most) if least <= most else ((least + most) / 2,) * 2


def parse_range(name: str, value: Any, low: float, high: float, share: bool = False) -> tuple[Range, str]:
    """The range of an option, and its text as JSON stores it.

    Args:
        name: of the option, for the message.
        value: text, a number, or a pair in which None leaves an end open.
        low: the smallest number accepted.
        high: the largest.
        share: whether percentages are accepted.

    Raises:
        InputError: it is no range, the least exceeds the most, or a number is out of range.
    """
    if isinstance(value, (tuple, list)) and len(value) == 2:
        text = "..".join("" if end is None else _text(end) for end in value)
    else:
        text = value.strip() if isinstance(value, str) else _text(value)
    parts = text.split("..")
    ends = [_end(part) for part in (parts * 2 if len(parts) == 1 else parts)]
    numbers = [end for end in ends if end]
    percent = {end[1] for end in numbers}
    unit = " or per cent like 1%..10%" if share else ""
    if (
        len(ends) != 2 or None in ends or not numbers
        or any(not (share and 0 < number <= 100 if is_share else low <= number <= high) for number, is_share in numbers)
        or (len(numbers) == 2 and len(percent) == 1 and numbers[0][0] > numbers[1][0])
    ):  # fmt: skip
        example = f"{shown_number(low)}..{shown_number(high)}"
        raise InputError(
            f"{name} is {shown(value)}; needs LOW..HIGH, LOW.., ..HIGH or one number, within {example}{unit}"
        )
    return Range(ends[0] or None, ends[1] or None), text


def _text(number: Any) -> str:
    is_number = isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number)
    return f"{number:.6f}".rstrip("0").rstrip(".") if is_number else str(number)


def _end(text: str) -> tuple[()] | tuple[float, bool] | None:
    """One end of a range; empty if it is open, None if it is invalid."""
    if not text.strip():
        return ()
    match = _END.fullmatch(text.strip())
    return (float(match[1]), bool(match[2])) if match else None
