"""Estimates the memory of a run before it begins."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

from artpipe.renderers import InputError
from artpipe.stages.pictures.picture import target_size

# Peak resident memory of whole runs, measured on x86-64 Linux: 0.38 GB at 256², 1.24 at 2048², 3.70 at 4096² pixels
# with 2048 circles; 0.79 at 256² with 100,000, including 128 snapshots. PyTorch adds 0.1 GB.
BASE = 550_000_000
PER_PIXEL = 200
PER_SHAPE = 12_000
# Share of the machine's memory that a run may take; other programs need the rest.
SHARE = 0.9
# Shortest --size (pixels) to advise; below it, fewer shapes are the better advice.
SIZE_USEFUL = 64

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def parse_memory(text: str) -> int:
    """The bytes of a size such as 2GB, 1.5g or 800MB.

    Raises:
        InputError: it is not a size.
    """
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    if not match or float(match[1]) == 0:
        raise InputError(f"memory is {text!r}; needs a size such as 2GB or 800MB")
    return int(float(match[1]) * _UNITS[match[2]])


def needed(width: int, height: int, shapes: int) -> int:
    """The approximate bytes that a run on this canvas needs.

    Args:
        width: pixels.
        height: pixels.
        shapes: rows of its pool.
    """
    return BASE + PER_PIXEL * width * height + PER_SHAPE * shapes


def available() -> int | None:
    """Bytes of memory that this process may take; None if unknown."""
    limits = []
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limits.append(int(Path(path).read_text()))
        except (OSError, ValueError):
            pass  # no limit, or "max"
    return int(SHARE * min(limits)) if limits else None


def check_memory(
    width: int, height: int, shapes: int, budget: int | None = None, pool: float = 1.0, exact: bool = False
) -> None:
    """Rejects a run that needs more memory than is available.

    Args:
        width: of the canvas, pixels.
        height: of the canvas, pixels.
        shapes: the largest number of rows during the run: those of its pool.
        budget: bytes; by default the available memory.
        pool: rows of the pool as a multiple of `--max`, for the advice.
        exact: whether the canvas was given as width x height, for the advice.

    Raises:
        InputError: the run does not fit; the message names a size or a count that does.
    """
    limit = available() if budget is None else budget
    need = needed(width, height, shapes)
    if limit is None or need <= limit:
        return
    whose, more = ("this machine", "") if budget is None else ("--memory", f"--memory {_gigabytes(need)}, or ")
    raise InputError(
        f"{width} x {height} pixels with up to {shapes} shapes need about {_gigabytes(need)}; {whose} allows "
        f"{_gigabytes(limit)}. Try {more}{_cure(width, height, shapes, limit, pool, exact)}"
    )


def _cure(width: int, height: int, shapes: int, limit: int, pool: float, exact: bool) -> str:
    """Options that bring a run under `limit` bytes."""
    pixels = (limit - BASE - PER_SHAPE * shapes) // PER_PIXEL
    longest = math.isqrt(max(pixels, 0) * max(width, height) // min(width, height))
    while longest > 0 and math.prod(target_size((width, height), longest)) > pixels:  # sides are rounded
        longest -= 1
    if longest >= SIZE_USEFUL:
        sides = target_size((width, height), longest)
        return f"--size {sides[0]}x{sides[1]}" if exact else f"--size {longest}"
    rows = (limit - needed(width, height, 0)) // PER_SHAPE
    if rows >= pool:
        return f"--max {int(rows / pool)}"
    if needed(SIZE_USEFUL, SIZE_USEFUL, 1) <= limit:
        return "a smaller --size and a smaller --max"
    return f"a machine with more memory: no run needs less than {_gigabytes(needed(SIZE_USEFUL, SIZE_USEFUL, 1))}"


def _gigabytes(count: int) -> str:
    """A size in the form that `parse_memory` reads, rounded up."""
    hundredths = -(-count // 10**7)
    return f"{hundredths // 100}.{hundredths % 100:02}GB"
