"""Trials as tables: CSV for programs, Markdown for documents, rich for the terminal."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from artpipe.stages.formats.files import write_text

from .summary import Figure, Row, in_order, summarise
from .trial import Trial

if TYPE_CHECKING:
    from rich.table import Table

UNKNOWN = "–"
# Fields of a trial that are no plain value, and stay out of the CSV.
_NOT_IN_CSV = ("history", "images")


@dataclass(frozen=True)
class Column:
    """One column of figures.

    Attributes:
        heading: in a word or two.
        meaning: in a sentence.
        text: what stands in a row.
    """

    heading: str
    meaning: str
    text: Callable[[Row], str]


def figure_text(figure: Figure | None, digits: int, scale: float = 1.0) -> str:
    """A mean with its spread, such as `3.31 ± 0.04`."""
    if figure is None:
        return UNKNOWN
    spread = "" if figure.spread is None else f" ± {figure.spread * scale:.{digits}f}"
    return number_text(figure.mean * scale, digits) + spread


def number_text(value: float | None, digits: int = 2) -> str:
    """A number with so many digits after the point."""
    if value is None or math.isnan(value):
        return UNKNOWN
    return f"{value:.{digits}f}" if math.isfinite(value) else "∞"


def _of(field: str, digits: int, scale: float = 1.0) -> Callable[[Row], str]:
    return lambda row: figure_text(row.figures.get(field), digits, scale)


def _mean_of(field: str, digits: int, scale: float = 1.0) -> Callable[[Row], str]:
    """Without the spread, of what hardly varies."""
    return lambda row: number_text(row.figures[field].mean * scale, digits) if field in row.figures else UNKNOWN


def _geometric(row: Row) -> str:
    return UNKNOWN if row.geometric_loss is None else number_text(row.geometric_loss * 1e3)


COLUMNS = (
    Column(
        "loss × 1000",
        "Mean squared error on values in −1..1 (4 × MSE of values in 0..1), times 1000; lower is better. The mean over "
        "paintings, ± the standard deviation over seeds.",
        _of("seed_loss", 2, 1e3),
    ),
    Column(
        "geo. mean",
        "The geometric mean over paintings of the same loss: easy and difficult paintings count alike.",
        _geometric,
    ),
    Column(
        "PSNR, dB",
        "Peak signal-to-noise ratio, the same error on the scale of decibels; higher is better, 3 dB more is half the "
        "error.",
        _of("psnr", 2),
    ),
    Column("SSIM", "Structural similarity: 1 is the same picture.", _of("ssim", 3)),
    Column(
        "LPIPS",
        "Learned perceptual distance: 0 is the same picture. Measured only with the extra `metrics`.",
        _of("lpips", 3),
    ),
    Column("seconds", "Spent on fitting alone: neither compiling nor writing files.", _of("fit_seconds", 2)),
    Column("compile, s", "Spent on compiling and loading, before the fit.", _mean_of("compile_seconds", 2)),
    Column("steps", "Optimiser steps taken.", _mean_of("steps", 0)),
    Column(
        "pairs, 10⁹",
        "Pixel-circle pairs drawn in all steps, in tiles of the kernel: the work, whatever the machine.",
        _mean_of("pairs", 2, 1e-9),
    ),
)


def known_columns(rows: Sequence[Row]) -> list[Column]:
    """The columns that say something in at least one row."""
    return [column for column in COLUMNS if any(column.text(row) != UNKNOWN for row in rows)]


def table_rows(trials: Sequence[Trial], contestants: Mapping[str, str]) -> list[Row]:
    """What the tables show: a row for each contestant and renderer, in the order of the contestants."""
    return summarise(in_order(trials, contestants))


def write_csv(trials: Sequence[Trial], path: str | Path) -> None:
    """Writes one row a trial with all its plain values; what is not known is empty.

    Raises:
        InputError: the file cannot be written.
    """
    names = [field.name for field in fields(Trial) if field.name not in _NOT_IN_CSV]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([getattr(trial, name) for name in names] for trial in trials)
    write_text(path, text.getvalue())


def markdown(trials: Sequence[Trial], contestants: Mapping[str, str]) -> str:
    """The table in Markdown, one row for each contestant and renderer."""
    rows = table_rows(trials, contestants)
    columns = known_columns(rows)
    return markdown_table(
        ["contestant", "renderer", *(column.heading for column in columns)],
        [[row.contestant, row.renderer, *(column.text(row) for column in columns)] for row in rows],
        left=2,
    )


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A table in Markdown; all columns but the `left` first are aligned to the right."""
    rule = ["---" if k < left else "--:" for k in range(len(headings))]
    lines = [[markdown_text(cell) for cell in row] for row in (headings, *rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (lines[0], rule, *lines[1:])) + "\n"


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    words = " ".join(text.split())
    return "".join(f"\\{sign}" if sign in "\\`*[]<>|#&" else sign for sign in words)


def rich_table(trials: Sequence[Trial], contestants: Mapping[str, str], title: str | None = None) -> Table:
    """The table for the terminal."""
    from rich.table import Table
    from rich.text import Text

    rows = table_rows(trials, contestants)
    columns = known_columns(rows)
    table = Table(title=title)
    for heading in ("contestant", "renderer"):
        table.add_column(heading, no_wrap=True)
    for column in columns:
        table.add_column(column.heading, justify="right", no_wrap=True)
    for k, row in enumerate(rows):
        is_last = k + 1 == len(rows) or rows[k + 1].contestant != row.contestant
        # Text, since names may hold what rich reads as markup.
        table.add_row(
            Text(row.contestant), Text(row.renderer), *(column.text(row) for column in columns), end_section=is_last
        )
    return table
