"""The report: one HTML file without scripts or network, from a template."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from PIL import Image

from artpipe.stages.formats.files import write_text

from . import tables
from .plots import COLOURS, colours_of, plots_of
from .trial import Trial

# Pixels of a picture's longer side, and WebP quality: a tenth of a PNG, with artefacts far below those of the shapes.
PICTURE_SIDE, PICTURE_QUALITY = 512, 86


def write_report(
    folder: Path, content: Mapping[str, Any], trials: Sequence[Trial], contestants: Mapping[str, str],
    published: Mapping[str, float],
) -> None:  # fmt: skip
    """Write `report.html` into the bench's folder; pictures that are missing there are left out.

    Args:
        folder: of the bench.
        content: what `bench.json` holds.
        trials: at least one.
        contestants: key to description, in the order of the tables.
        published: losses by painting that the baseline should reproduce.
    """
    import jinja2

    rows, duels = tables.frame(trials, contestants), tables.duels(trials)
    names = {field: list(rows[field].unique()) for field in ("contestant", "renderer", "painting", "seed")}
    trials = sorted(trials, key=lambda trial: names["contestant"].index(trial.contestant))
    colours = colours_of([*contestants, *names["contestant"]])
    template = files(__package__).joinpath("report.html").read_text(encoding="utf-8")
    page = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(template).render(
        names=names, options=content["options"], machine=content["machine"], contestants=contestants,
        palette=COLOURS, colours=colours, plots=plots_of(trials, rows, colours),
        walls={painting: _wall(trials, painting, folder) for painting in names["painting"]},
        measures=tables.MEASURES, axes=tables.AXES, summary=tables.compare(duels), means=tables.means_table(rows),
        ratios=tables.ratios_table(duels), not_won=tables.not_won_table(duels),
        by_painting=tables.paintings_table(rows), by_renderer=tables.renderers_table(rows),
        published=tables.published_table(rows, published),
    )  # fmt: skip
    # A file's name can hold bytes that are not UTF-8.
    write_text(folder / "report.html", page.encode(errors="replace").decode())


def _wall(trials: Sequence[Trial], painting: str, folder: Path) -> list[tuple[Trial, dict[str, Any]]]:
    """Of each contestant one trial on a painting, with its pictures "initial", "target" and "final"."""
    shown: dict[str, Trial] = {}
    for trial in trials:
        if trial.painting == painting:
            shown.setdefault(trial.contestant, trial)
    walls = [(t, {part: _picture(folder, name) for part, name in t.images.items()}) for t in shown.values()]
    return [(trial, pictures) for trial, pictures in walls if all(pictures.values())]


def _picture(folder: Path, name: str) -> str | None:
    """A picture in the folder as data URI; None if there is none."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        return None
    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=PICTURE_QUALITY, method=6)
    return f"data:image/webp;base64,{base64.b64encode(data.getvalue()).decode()}"
