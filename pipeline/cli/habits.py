"""How a command goes about its work, whatever the work is."""

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
    """How `artpipe run` and `artpipe resume` go about their work."""

    # fmt: off
    exports: tuple[Path, ...] = option(
        (), "Write this file too, as `artpipe export` does; may be given again.", unset="none",
        flags=("--export",), metavar="FILE")
    no_export: bool = option(False, "No painting.svg, timelapse.gif and viewer.html in the run folder.")
    checkpoint_every: float = option(
        5.0, "Seconds between checkpoints; 0 for one after each step.", low=0, high=SECONDS_MAX, advanced=True)
    memory: int | None = option(
        None, "Refuse a canvas that needs more, such as 2GB.", unset="what the machine has",
        read=_bytes, metavar="SIZE", low=1, high=BYTES_MAX)
    quiet: bool = option(False, "Show nothing but errors.", flags=("-q", "--quiet"))
    as_json: bool = option(False, "Print the metrics as JSON on stdout.", flags=("--json",))
    # fmt: on

    def __post_init__(self) -> None:
        check_options(self)
