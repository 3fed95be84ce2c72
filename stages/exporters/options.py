"""What can be asked of an export; each kind of file takes from it what it knows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from artpipe.renderers import InputError
from artpipe.renderers.checks import real_number, shown, whole_number

from ..pictures.colour_words import parse_colour
from ..result import Result

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
        title: the painting's name in SVG and HTML; the result's if not given.
        fps: frames a second of films.
        seconds: how long a film or an animated SVG grows.
        hold: seconds that the result then stands.
        loop: how often it plays; 0 for ever.
        animated: an SVG that grows by itself.
        flat: an SVG of hard discs.
        layers: an SVG in this many groups, one a palette colour.
        matte: what half-transparent pixels of a GIF and all of an MP4 are laid over: "white", "black" or "#rrggbb".
            White if not given; of an MP4, the canvas's background.
        alpha_threshold: alpha from which on a pixel of a GIF is opaque, 0..1. If not given, the alpha of at most 1/4
            that fewest pixels of the result are near to.

    Raises:
        InputError: a value has the wrong type or is out of range, or options contradict each other.
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
    matte: str | None = None
    alpha_threshold: float | None = None

    def __post_init__(self) -> None:
        check: Any
        for name, check, low, high in (
            ("width", whole_number, 1, WIDTH_MAX),
            ("fps", real_number, 0.1, FPS_MAX),
            ("seconds", real_number, 0.1, SECONDS_MAX),
            ("hold", real_number, 0, SECONDS_MAX),
            ("loop", whole_number, 0, 65535),
            ("layers", whole_number, 1, LAYERS_MAX),
            ("alpha_threshold", real_number, 0, 1),
        ):
            value = getattr(self, name)
            if value is not None or getattr(ExportOptions, name) is not None:  # None where it is the default
                object.__setattr__(self, name, check(name, value, low, high))
        for name in ("animated", "flat"):
            if not isinstance(getattr(self, name), (bool, np.bool_)):
                raise InputError(f"{name} is {shown(getattr(self, name))}; needs True or False")
        if not isinstance(self.title, (str, type(None))):
            raise InputError(f"title is {shown(self.title)}; needs text")
        if self.matte is not None:
            parse_colour("matte", self.matte)
        if self.animated and self.layers is not None:
            raise InputError(
                "an SVG cannot be both animated and in layers: layers are in order of colour, not of growth"
            )

    def matte_or(self, colour: tuple[float, float, float]) -> tuple[float, float, float]:
        """The matte, sRGB in 0..1, or this colour if none was given."""
        return colour if self.matte is None else parse_colour("matte", self.matte)

    def title_of(self, result: Result) -> str:
        """The painting's name as text that any file can hold: without control characters and broken letters.

        A name that is not given is made from the result's: `mona_lisa` is Mona Lisa.
        """
        title = self.title
        if title is None:
            words = result.title.replace("_", " ").split()
            title = " ".join(word[:1].upper() + word[1:] for word in words)
        whole = title.encode("utf-8", "replace").decode()
        return re.sub(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]+", " ", whole).strip()[:TITLE_MAX]
