"""The export stage: the current scene and its growth, in the formats that the file endings name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .base import AtomicStage, Run
from .events import Event, Exported
from .exporters.options import ExportOptions
from .exporters.table import check_paths, export_files


@dataclass(frozen=True)
class Export(AtomicStage):
    """Writes the current scene.

    Attributes:
        paths: files to write; see `exporters.table.ending_of`.
        options: size, timing and kind of SVG.

    Raises:
        InputError: as `exporters.table.check_paths`. Raised before any work is done.
    """

    paths: tuple[Path, ...]
    options: ExportOptions = field(default_factory=ExportOptions)

    def __post_init__(self) -> None:
        check_paths(self.paths, self.options)

    def work(self, run: Run) -> Iterator[Event]:
        """Write the files in order."""
        for path in export_files(run.result(), self.paths, self.options):
            yield Exported(run.step, path)
