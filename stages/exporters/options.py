"""What can be asked of an export; each kind of file takes from it what it knows."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ...renderers import InputError
from ..record import Record

LAYERS_MAX = 24  # the search for their order takes seconds beyond
FPS_MAX = 50.0  # GIF counts in hundredths of a second, and browsers slow down what is faster
SECONDS_MAX = 300.0  # a GIF's frame stands at most 655 s
WIDTH_MAX = 65536
TITLE_MAX = 300


@dataclass(frozen=True)
class ExportOptions:
    """Options of exports.

    Attributes:
        width: pixels; the scene's own if not given, of films at most 1024 a side. The height follows.
        title: the painting's name in SVG and HTML; the record's if not given.
        fps: frames a second of films.
        seconds: how long a film or an animated SVG grows.
        hold: seconds that the result then stands.
        loop: how often it plays; 0 for ever.
        animated: an SVG that grows by itself.
        flat: an SVG of hard discs.
        layers: an SVG in this many groups, one a palette colour.

    Raises:
        InputError: a number is out of range, or options contradict each other.
    """

    width: int | None = None
    title: str | None = None
    fps: float = 12.0
    seconds: float = 5.0
    hold: float = 2.0
    loop: int = 0
    animated: bool = False
    flat: bool = False
    layers: int | None = None

    def __post_init__(self) -> None:
        for name, low, high in (
            ("width", 1, WIDTH_MAX),
            ("fps", 0.1, FPS_MAX),
            ("seconds", 0.1, SECONDS_MAX),
            ("hold", 0.0, SECONDS_MAX),
            ("loop", 0, 65535),
            ("layers", 1, LAYERS_MAX),
        ):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and low <= value <= high):
                raise InputError(f"{name} is {value}; needs {low} to {high}")
        if self.animated and self.layers is not None:
            raise InputError(
                "an SVG cannot be both animated and in layers: layers are in order of colour, not of growth"
            )

    def title_of(self, record: Record) -> str:
        """The painting's name as text that any file can hold: without control characters and broken letters.

        A name that is not given is made from the record's: `mona_lisa` is Mona Lisa.
        """
        title = self.title
        if title is None:
            words = record.title.replace("_", " ").split()
            title = " ".join(word[:1].upper() + word[1:] for word in words)
        whole = title.encode("utf-8", "replace").decode()
        return re.sub(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]+", " ", whole).strip()[:TITLE_MAX]
