"""Options of exports; each kind of file uses those that apply to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from artpipe.renderers import InputError, Scene
from artpipe.renderers.options import check_options, documented, option

from ..pictures.colour_words import parse_colour
from ..result import Result
from .paper import PAPERS, parse_bleed, parse_paper

LAYERS_MAX = 24  # beyond, the search for their order takes seconds
FPS_MAX = 50.0  # GIF counts in hundredths of a second, and browsers slow down faster films
SECONDS_MAX = 300.0  # a GIF frame lasts at most 655 s
WIDTH_MAX = 65536
TITLE_MAX = 300
POSTS = {"square": (1080, 1080), "story": (1080, 1920), "x": (1280, 720)}
"""Name of a kind of post on social networks to its width and height, pixels."""
DPI_MIN, DPI_MAX = 10.0, 4800.0


def _matte(name: str, value: Any) -> str:
    parse_colour(name, value)
    return str(value)


def _paper(name: str, value: Any) -> str:
    parse_paper(name, value)
    return str(value)


def _bleed(name: str, value: Any) -> str:
    parse_bleed(name, value)
    return str(value)


@documented
@dataclass(frozen=True)
class ExportOptions:
    """Options of exports.

    Raises:
        InputError: a value has the wrong type or is out of range, or options contradict each other.
    """

    # fmt: off
    width: int | None = option(
        None, "Pixels; the height follows.", unset="the scene's; films at most 1024 a side", low=1, high=WIDTH_MAX)
    title: str | None = option(None, "Name of the painting, in SVG, PDF and HTML.", unset="the picture's")
    fps: float = option(12.0, "Films: frames per second.", low=0.1, high=FPS_MAX)
    seconds: float = option(5.0, "Films, --animated: length of the growth.", unit="seconds", low=0.1, high=SECONDS_MAX)
    hold: float = option(2.0, "Films, --animated: time the result is held.", unit="seconds", low=0, high=SECONDS_MAX)
    loop: int = option(0, "Films, --animated: number of plays; 0 repeats forever.", low=0, high=65535)
    animated: bool = option(False, "SVG: animate the growth.")
    flat: bool = option(False, "SVG, PDF: hard shapes only; small, for cutters and old programs.")
    layers: int | None = option(
        None, "SVG: group shapes into layers, one for each palette colour.", unset="none", low=1, high=LAYERS_MAX)
    matte: str | None = option(
        None, "JPEG, GIF, MP4: colour beneath half-transparent pixels.", unset="white; MP4: the scene's background",
        check=_matte, metavar="white|black|#rrggbb")
    alpha_threshold: float | None = option(
        None, "GIF: least alpha of an opaque pixel.",
        unset="one with few pixels near it, at most 0.25", low=0, high=1)
    paper: str | None = option(
        None, "PDF, --outline in mm: size of the page, such as a3, letter or 300x200mm; the picture is fitted to it.",
        unset="the picture's", check=_paper, metavar=f"{'|'.join(PAPERS)}|WxHmm")
    dpi: float = option(
        300.0, "JPEG; PDF and --outline in mm without --paper: pixels per inch.", low=DPI_MIN, high=DPI_MAX)
    bleed: str | None = option(
        None, "PDF: the picture covers the page and this much more at each side, such as 3mm, and is cropped.",
        unset="none", check=_bleed, metavar="LENGTH")
    outline: bool = option(False, "SVG: outlines of the shapes, without fill, for pen plotters.")
    units: str = option(
        "px", "Unit of --outline; mm and in give a physical size.", choices=("px", "mm", "in"))
    made_for: str | None = option(
        None, "GIF, WebP, MP4: post of this kind, padded with the background, at most 8 MB.", unset="none",
        choices=tuple(POSTS), flags=("--for",))
    # fmt: on

    def __post_init__(self) -> None:
        check_options(self)
        if self.animated and self.layers is not None:
            raise InputError(
                "an SVG cannot be both animated and in layers: layers are ordered by colour, not by growth"
            )
        if self.outline and (self.animated or self.flat):
            raise InputError(f"an SVG cannot be both outline and {'animated' if self.animated else 'flat'}")

        if self.made_for is not None and self.width is not None:
            raise InputError(f"a post made for {self.made_for} has a fixed size; give no width")

    @property
    def post_size(self) -> tuple[int, int] | None:
        """Width and height of the kind of post, pixels; None without one."""
        return None if self.made_for is None else POSTS[self.made_for]

    def resized(self, scene: Scene) -> Scene:
        """Return the scene at `width`, or unchanged without one."""
        return scene if self.width is None else scene.scaled(self.width)

    def matte_or(self, colour: tuple[float, float, float]) -> tuple[float, float, float]:
        """Return the matte, sRGB in 0..1, or this colour without one."""
        return colour if self.matte is None else parse_colour("matte", self.matte)

    def title_of(self, result: Result) -> str:
        """Return the title without control characters and unpaired surrogates.

        Without the option it is derived from the result's: `mona_lisa` becomes Mona Lisa.
        """
        title = self.title
        if title is None:
            words = result.title.replace("_", " ").split()
            title = " ".join(word[:1].upper() + word[1:] for word in words)
        whole = title.encode("utf-8", "replace").decode()
        return re.sub(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]+", " ", whole).strip()[:TITLE_MAX]
