"""Exporting: the scene as it stands, and how it came about, in the formats that the files' endings name."""

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
    """Writes the scene as it stands.

    Attributes:
        paths: files; each ending is a key of `exporters.table.EXPORTERS`.
        options: size, timing, kind of SVG.

    Raises:
        InputError: as `exporters.table.check_paths`. Raised before any work is done.
    """

    paths: tuple[Path, ...]
    options: ExportOptions = field(default_factory=ExportOptions)

    def __post_init__(self) -> None:
        check_paths(self.paths, self.options)

    def work(self, run: Run) -> Iterator[Event]:
        """Writes the files, one after the other."""
        for path in export_files(run.result(), self.paths, self.options):
            yield Exported(run.step, path)
