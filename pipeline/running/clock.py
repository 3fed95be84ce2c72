"""The seconds that a command spends on its parts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Clock:
    """Measures the parts of a command; files are measured apart, since several are written at a time.

    Attributes:
        began: seconds since the epoch, by which a parent process knows how long it took until here.
        parts: seconds of each part, in order.
        files: seconds of each file.
    """

    def __init__(self) -> None:
        self.began = time.time()
        self.parts: dict[str, float] = {}
        self.files: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Adds the seconds of the block to a part."""
        with _measured(self.parts, name):
            yield

    @contextmanager
    def file(self, name: str) -> Iterator[None]:
        """Adds the seconds of the block to a file; in any thread."""
        with _measured(self.files, name):
            yield

    def to_json(self) -> dict[str, Any]:
        """Plain values; also `ended`, seconds since the epoch."""
        parts, files = (
            {name: round(seconds, 4) for name, seconds in each.items()} for each in (self.parts, self.files)
        )
        return {"began": self.began, "ended": time.time(), "parts": parts, "files": files}


@contextmanager
def _measured(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started
