"""The table of what can be exported, by the ending of the file's name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ...renderers import InputError
from ..record import Record
from ..scene_file import save_scene
from .film import export_apng, export_gif, export_mp4, export_webp, need_encoder
from .options import ExportOptions
from .png import export_png
from .svg import export_svg
from .viewer import export_viewer


def export_scene(record: Record, path: Path, options: ExportOptions) -> None:
    """Writes the scene file, at the scene's own size or at `options.width`."""
    save_scene(record.scene if options.width is None else record.scene.scaled(options.width), path)


EXPORTERS: dict[str, Callable[[Record, Path, ExportOptions], None]] = {
    ".png": export_png,
    ".svg": export_svg,
    ".svgz": export_svg,
    ".gif": export_gif,
    ".webp": export_webp,
    ".apng": export_apng,
    ".mp4": export_mp4,
    ".html": export_viewer,
    ".json": export_scene,
    ".npz": export_scene,
}
"""Ending to what writes it."""


def check_paths(paths: Sequence[Path]) -> None:
    """Looks at what is asked before any work is done.

    Raises:
        InputError: an ending is unknown, a folder is missing or read-only, or a path is a folder.
        BackendUnavailable: an ending needs an extra that is not installed.
    """
    for path in paths:
        if path.suffix.lower() not in EXPORTERS:
            raise InputError(f"cannot export {path}: needs an ending of {', '.join(EXPORTERS)}")
        if not path.absolute().parent.is_dir():
            raise InputError(f"cannot export {path}: there is no folder {path.parent}")
        if path.is_dir():
            raise InputError(f"cannot export {path}: it is a folder")
        if not os.access(path.absolute().parent, os.W_OK):
            raise InputError(f"cannot export {path}: the folder {path.parent} cannot be written to")
        if path.suffix.lower() == ".mp4":
            need_encoder()


def export_files(record: Record, paths: Sequence[Path], options: ExportOptions | None = None) -> Iterator[Path]:
    """Writes the files one after the other, each whole or not at all; yields each path when it is written.

    Raises:
        InputError: as `check_paths`, or a file cannot be written.
        BackendUnavailable: as `check_paths`.
    """
    check_paths(paths)
    for path in paths:
        EXPORTERS[path.suffix.lower()](record, path, options or ExportOptions())
        yield path
