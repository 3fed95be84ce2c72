"""Options of commands that run a fit: output, checkpoints, memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from artpipe.renderers.options import check_options, documented, option
from artpipe.stages.limits import SECONDS_MAX

BYTES_MAX = 2**60


def _bytes(text: str) -> int:
    from ..running.memory import parse_memory

    return parse_memory(text)


@documented
@dataclass(frozen=True)
class Habits:
    """Options of `artpipe run` and `artpipe resume` that do not change the result."""

    # fmt: off
    exports: tuple[Path, ...] = option(
        (), "Write this file too, as `artpipe export` does; repeatable.", unset="none",
        flags=("--export",), metavar="FILE")
    no_export: bool = option(False, "Skip painting.svg, timelapse.gif and viewer.html.")
    checkpoint_every: float = option(
        5.0, "Seconds between checkpoints; 0 for one after each step.", low=0, high=SECONDS_MAX, advanced=True)
    memory: int | None = option(
        None, "Memory limit, such as 2GB; a canvas that needs more is refused.", unset="that of the machine",
        read=_bytes, metavar="SIZE", low=1, high=BYTES_MAX)
    quiet: bool = option(False, "Print only errors.", flags=("-q", "--quiet"))
    as_json: bool = option(False, "Print metrics and seconds of the parts as JSON on stdout.", flags=("--json",))
    # fmt: on

    def __post_init__(self) -> None:
        check_options(self)
