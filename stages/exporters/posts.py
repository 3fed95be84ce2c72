"""Films in the sizes of social networks, encoded again until they are small enough to upload."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from artpipe.renderers import InputError

from ..formats.files import whole_path
from ..result import Result
from .film import STEPS, export_gif, export_mp4, export_webp
from .options import ExportOptions

# Largest file, bytes: the least upload limit of the common networks and chats.
BYTES_MAX = 8_000_000
# Frames per second are reduced to this at least.
FPS_LEAST = 4.0

Write = Callable[[Result, Path, ExportOptions, int], None]


def export_post(write: Write, result: Result, path: Path, options: ExportOptions) -> None:
    """Write a film; with `made_for`, at most `BYTES_MAX` long: quality is lowered first, then the frames per second.

    Args:
        write: `(result, path, options, step)`, writes the film; the larger the step, the lower the quality.
        result: the painting.
        path: the file.
        options: of the film.

    Raises:
        InputError: it is too long at the lowest quality.
    """
    if options.made_for is None:
        write(result, path, options, 0)
        return
    with whole_path(path) as temporary:
        for fps, step in _attempts(options.fps):
            write(result, temporary, replace(options, fps=fps), step)
            if temporary.stat().st_size <= BYTES_MAX:
                return
        raise InputError(
            f"{path} would be longer than {BYTES_MAX / 1e6:g} MB at the lowest quality. Try fewer --seconds, or .mp4"
        )


def _attempts(fps: float) -> Iterator[tuple[float, int]]:
    """Yield frames per second and quality steps, the best first."""
    for step in range(STEPS):
        yield fps, step
    while fps > FPS_LEAST:
        fps = max(FPS_LEAST, fps * 2 / 3)
        yield fps, STEPS - 1


def export_gif_post(result: Result, path: Path, options: ExportOptions) -> None:
    """Write a GIF."""
    export_post(export_gif, result, path, options)


def export_webp_post(result: Result, path: Path, options: ExportOptions) -> None:
    """Write an animated WebP."""
    export_post(export_webp, result, path, options)


def export_mp4_post(result: Result, path: Path, options: ExportOptions) -> None:
    """Write an MP4."""
    export_post(export_mp4, result, path, options)
