"""Exporting: the scene as it stands, in the format that a file's ending names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..renderers import InputError, Scene
from ..renderers.cpu_kernel import shared_kernel
from .base import Run
from .events import Event, Exported
from .picture import save_png
from .scene_file import save_scene


def export_png(scene: Scene, path: Path) -> None:
    """Writes the picture at the scene's own size."""
    save_png(shared_kernel().render(scene.rows, scene.canvas), path)


EXPORTERS: dict[str, Callable[[Scene, Path], None]] = {".png": export_png, ".json": save_scene}
"""Ending to what writes it."""


@dataclass(frozen=True)
class Export:
    """Writes the scene as it stands.

    Attributes:
        paths: files; each ending is a key of `EXPORTERS`.

    Raises:
        InputError: an ending is unknown, or a folder is missing. Said before any work is done.
    """

    paths: tuple[Path, ...]

    def __post_init__(self) -> None:
        for path in self.paths:
            if path.suffix.lower() not in EXPORTERS:
                raise InputError(f"cannot export {path}: needs an ending of {', '.join(EXPORTERS)}")
            if not path.absolute().parent.is_dir():
                raise InputError(f"cannot export {path}: there is no folder {path.parent}")

    def __call__(self, run: Run) -> Iterator[Event]:
        """Writes the files, one after the other."""
        for path in self.paths:
            EXPORTERS[path.suffix.lower()](run.showable(), path)
            yield Exported(run.step, path)
