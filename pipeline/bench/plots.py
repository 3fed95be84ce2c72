"""Charts of a bench: as SVG text that follows the page's colours, and as files drawn by matplotlib."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from artpipe.renderers import BackendUnavailable, InputError
from artpipe.stages.formats.files import whole_path

from .summary import Row, in_order, mean_curve, names_of, summarise
from .trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

Array = np.ndarray[Any, Any]

# (on light paper, on dark paper), after Okabe and Ito, "Color Universal Design" (2008), darkened and lightened until
# text in them can be read. The first four belong to the contestants that every bench has.
COLOURS = (
    ("#6f6a62", "#aaa397"),
    ("#b06000", "#efa23c"),
    ("#a8487f", "#e79ac4"),
    ("#0a66a8", "#62b3ee"),
    ("#0b7a57", "#47c79b"),
    ("#c03d17", "#f4855f"),
    ("#5b4fb5", "#aaa2f5"),
    ("#7d6a00", "#d6c14a"),
)
_OWN_COLOURS = {"baseline": 0, "fixed": 1, "fixed-seconds": 2, "growth": 3}
# All renderers but this one are dashed.
SOLID = "jax"
# About how wide a letter of a chart is at most, pixels.
LETTER = 8.5

# What can be on the horizontal axis: words, and what its values are multiplied by.
_ACROSS = {
    "seconds": ("seconds of fitting", 1.0),
    "circles": ("circles", 1.0),
    "pairs": ("pixel-circle pairs, 10⁹", 1e-9),
    "steps": ("steps", 1.0),
}
_LOSS_WORDS, _LOSS_SCALE = "loss × 1000", 1e3


@dataclass(frozen=True)
class Line:
    """One curve of a chart.

    Attributes:
        contestant: its key.
        renderer: "jax" or "torch".
        across: (N,) values, rising.
        up: (N,) losses x 1000.
        is_pool: whether this is what a pool larger than the final count drew: drawn faintly.
    """

    contestant: str
    renderer: str
    across: Array
    up: Array
    is_pool: bool = False


@dataclass(frozen=True)
class Chart:
    """Curves over a common axis, both axes logarithmic.

    Attributes:
        name: fit for a file name.
        title: above it.
        across: words for the horizontal axis.
        lines: its curves.
    """

    name: str
    title: str
    across: str
    lines: tuple[Line, ...]


def colours_of(contestants: Iterable[str]) -> dict[str, int]:
    """For each contestant the place of its colour in `COLOURS`, the same in every chart."""
    others = [name for name in contestants if name not in _OWN_COLOURS]
    rest = range(len(_OWN_COLOURS), len(COLOURS))
    return _OWN_COLOURS | {name: rest[k % len(rest)] for k, name in enumerate(dict.fromkeys(others))}


def loss_chart(trials: Sequence[Trial], axis: str, title: str | None = None) -> Chart:
    """The best loss so far over an axis: for each contestant and renderer the geometric mean of its trials."""
    words, scale = _ACROSS[axis]
    lines = []
    for contestant in names_of(trials, "contestant"):
        for renderer in names_of(trials, "renderer"):
            own = [t for t in trials if t.contestant == contestant and t.renderer == renderer]
            has_pool = any(row.get("circles", 0) > trial.circles for trial in own for row in trial.history)
            for is_pool in (True, False) if has_pool and axis != "circles" else (False,):
                across, up = mean_curve(own, axis, is_pool)
                if len(across):
                    lines.append(Line(contestant, renderer, across * scale, up * _LOSS_SCALE, is_pool))
    return Chart(f"loss_over_{axis}", title or f"Loss over {words.split(',')[0]}", words, tuple(lines))


# ---------------------------------------------------------------- SVG, by our own lines


@dataclass(frozen=True)
class _Scale:
    """Values to places on a logarithmic axis."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = math.log(max(value, 1e-12) / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
            found = [step * 10.0**power for power in powers for step in steps]
            found = [value for value in found if self.low <= value * (1 + 1e-9) and value <= self.high * (1 + 1e-9)]
            if len(found) >= 4:
                break
        return found


def _scale(values: Iterable[float], start: float, end: float, room: float = 1.12) -> _Scale:
    known = [value for value in values if value > 0 and math.isfinite(value)] or [1.0]
    low, high = min(known) / room, max(known) * room
    return _Scale(low, high, start, end)


def lines_svg(
    chart: Chart, colours: Mapping[str, int], width: int = 920, height: int = 430, labelled: bool = True
) -> str:
    """The chart as an SVG element; classes `c0`, `c1`, … carry the colours, and the page tells them.

    Args:
        chart: what to draw.
        colours: from `colours_of`.
        width: in pixels of the page where it is not scaled.
        height: likewise.
        labelled: whether the curves' ends bear their contestants' names.
    """
    left, right, top, bottom = 46, 168 if labelled else 14, 10, 42
    across = _scale([v for line in chart.lines for v in line.across.tolist()], left, width - right)
    up = _scale([v for line in chart.lines for v in line.up.tolist()], height - bottom, top)
    parts = [
        f'<svg class="chart" viewBox="0 0 {width} {height}" width="{width}" role="img" '
        f'aria-label="{html.escape(chart.title)}">'
    ]
    for value in up.ticks():
        y = up(value)
        parts.append(f'<path class="grid" d="M{left} {y:.1f}H{width - right}"/>')
        parts.append(f'<text class="tick" x="{left - 7}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in across.ticks():
        x = across(value)
        parts.append(f'<path class="grid" d="M{x:.1f} {height - bottom}v5"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height - bottom + 18}" text-anchor="middle">{value:g}</text>')
    parts.append(f'<path class="axis" d="M{left} {height - bottom}H{width - right}"/>')
    middle = (left + width - right) / 2
    parts.append(f'<text class="tick" x="{middle:.0f}" y="{height - 6}" text-anchor="middle">{chart.across}</text>')
    for line in chart.lines:
        points = [(across(x), up(y)) for x, y in zip(line.across.tolist(), line.up.tolist(), strict=True)]
        kind = f"c{colours.get(line.contestant, 0)}{'' if line.renderer == SOLID else ' dashed'}"
        kind += " pool" if line.is_pool else ""
        if len(points) > 1:
            path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            parts.append(f'<path class="line {kind}" d="M{path}"/>')
        if not line.is_pool:
            parts.append(f'<circle class="dot {kind}" cx="{points[-1][0]:.1f}" cy="{points[-1][1]:.1f}" r="3.5"/>')
    if labelled:
        parts += _labels(chart, colours, across, up, height - bottom, width)
    return "".join([*parts, "</svg>"])


def _labels(
    chart: Chart, colours: Mapping[str, int], across: _Scale, up: _Scale, lowest: float, width: int
) -> list[str]:
    """Names beside the ends of the curves, the one renderer's for both; pushed apart where they would overlap."""
    ends: dict[str, tuple[float, float]] = {}
    for line in chart.lines:
        ends.setdefault(line.contestant, (across(line.across[-1]), up(line.up[-1])))
    placed: list[tuple[float, float]] = []
    parts = []
    for contestant, (x, y) in sorted(ends.items(), key=lambda end: -end[1][1]):
        for other_x, other_y in placed:  # from below upwards
            if abs(other_x - x) < 150 and abs(other_y - y) < 15:
                y = other_y - 15
        placed.append((x, y))
        parts.append(
            f'<text class="name c{colours.get(contestant, 0)}" x="{x + 8:.1f}" y="{min(y, lowest - 8) + 4:.1f}">'
            f"{html.escape(_shortened(contestant, width - x - 8))}</text>"
        )
    return parts


def _shortened(name: str, room: float) -> str:
    """The name, or as much of its beginning as has room, in pixels."""
    most = max(2, int(room / LETTER))
    return name if len(name) <= most else name[: most - 1] + "…"


def bars_svg(rows: Sequence[Row], colours: Mapping[str, int], width: int = 920, names_above: bool = False) -> str:
    """The mean loss of each contestant and renderer as bars from 0, with their spread, as an SVG element.

    Args:
        rows: what to draw.
        colours: from `colours_of`.
        width: in pixels of the page where it is not scaled.
        names_above: whether the names are above their bars, not beside them.
    """
    known = [(row, row.figures["seed_loss"]) for row in rows if "seed_loss" in row.figures]
    known = [(row, figure) for row, figure in known if math.isfinite(figure.mean)]
    left, right, lead = (1, 100, 18) if names_above else (190, 120, 0)
    step = 26 + lead
    most = max((figure.mean + (figure.spread or 0) for _, figure in known), default=0.0) or 1.0
    height = step * len(known) + 8
    parts = [
        f'<svg class="chart" viewBox="0 0 {width} {height}" width="{width}" role="img" '
        'aria-label="Mean loss with spread">'
    ]
    for k, (row, figure) in enumerate(known):
        y, per_loss = 4 + lead + step * k, (width - left - right) / most
        end, spread = left + figure.mean * per_loss, (figure.spread or 0) * per_loss
        kind = f"c{colours.get(row.contestant, 0)}{'' if row.renderer == SOLID else ' hollow'}"
        room = (width if names_above else left - 10) - LETTER * (len(row.renderer) + 1)
        place = f'x="{left}" y="{y - 2}"' if names_above else f'x="{left - 10}" y="{y + 16}" text-anchor="end"'
        value = f"{figure.mean * _LOSS_SCALE:.2f}"
        if figure.spread is not None:
            value += f" ± {figure.spread * _LOSS_SCALE:.2f}"
        parts += [
            f'<text class="what" {place}>{html.escape(_shortened(row.contestant, room))} '
            f'<tspan class="soft">{html.escape(row.renderer)}</tspan></text>',
            f'<rect class="bar {kind}" x="{left}" y="{y + 3}" width="{max(end - left, 1):.1f}" height="18"/>',
            f'<path class="whisker" d="M{max(end - spread, left):.1f} {y + 12}H{end + spread:.1f}"/>'
            if spread > 0
            else "",
            f'<text class="tick" x="{end + spread + 8:.1f}" y="{y + 16}">{value}</text>',
        ]
    parts.append(f'<path class="axis" d="M{left} 0V{height}"/></svg>')
    return "".join(parts)


# ---------------------------------------------------------------- files, by matplotlib


def write_plots(trials: Sequence[Trial], folder: str | Path, contestants: Iterable[str] = ()) -> list[Path]:
    """Draws loss over seconds, circles and pairs, and bars with spread; each as PNG and SVG.

    Args:
        trials: what to draw.
        folder: where the files go; made if it is missing.
        contestants: keys, in the order of colours and legends; that of the trials if not given.

    Returns:
        The files written.

    Raises:
        BackendUnavailable: matplotlib is missing.
        InputError: a file cannot be written.
    """
    if find_spec("matplotlib") is None:
        raise BackendUnavailable("plots need matplotlib, which is not installed; try: pip install 'artpipe[plots]'")
    from matplotlib import rc_context

    keys = list(contestants) or names_of(trials, "contestant")
    trials = in_order(trials, keys)
    colours = {name: COLOURS[place][0] for name, place in colours_of([*keys, *names_of(trials, "contestant")]).items()}
    paths: list[Path] = []
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror}. Try another one with -o") from None
    with rc_context({"font.size": 10, "svg.hashsalt": "artpipe", "axes.edgecolor": "#8b857b"}):
        for axis in ("seconds", "circles", "pairs"):
            chart = loss_chart(trials, axis)
            if chart.lines:
                paths += _written(Path(folder), chart.name, _lines_drawing(chart, colours))
        rows = [row for row in summarise(trials) if "seed_loss" in row.figures]
        if rows:
            paths += _written(Path(folder), "loss", _bars_drawing(rows, colours))
    return paths


def _new_drawing(width: float, height: float) -> tuple[Drawing, Axes]:
    # Not pyplot, which keeps every figure and picks a display.
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(width, height), layout="constrained")
    axes = drawing.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    return drawing, axes


def _lines_drawing(chart: Chart, colours: Mapping[str, str]) -> Drawing:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    drawing, axes = _new_drawing(9.0, 4.2)
    for line in chart.lines:
        is_point = len(line.across) == 1
        axes.plot(
            line.across,
            line.up,
            color=colours[line.contestant],
            linestyle="-" if line.renderer == SOLID else (0, (4, 2.5)),
            linewidth=1.0 if line.is_pool else 1.8,
            alpha=0.4 if line.is_pool else 1.0,
            marker="o" if is_point else None,
            fillstyle="full" if line.renderer == SOLID else "none",
            label=None if line.is_pool else f"{line.contestant}, {line.renderer}",
        )
    axes.set(xscale="log", yscale="log", xlabel=chart.across, ylabel=_LOSS_WORDS)
    axes.set_title(chart.title, loc="left", fontsize=11)
    for side in (axes.xaxis, axes.yaxis):
        side.set_major_locator(LogLocator(subs=(1, 2, 5)))
        side.set_major_formatter(StrMethodFormatter("{x:g}"))
        side.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", color="#dedad2", linewidth=0.7)
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    return drawing


def _bars_drawing(rows: Sequence[Row], colours: Mapping[str, str]) -> Drawing:
    drawing, axes = _new_drawing(7.2, 1.1 + 0.32 * len(rows))
    for k, row in enumerate(rows):
        figure, colour = row.figures["seed_loss"], colours[row.contestant]
        axes.barh(
            k,
            figure.mean * _LOSS_SCALE,
            height=0.68,
            xerr=None if figure.spread is None else figure.spread * _LOSS_SCALE,
            color=colour if row.renderer == SOLID else "none",
            edgecolor=colour,
            error_kw={"ecolor": "#27241f", "elinewidth": 1.3, "capsize": 3},
        )
    axes.set_yticks(range(len(rows)), [f"{row.contestant}, {row.renderer}" for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel(f"{_LOSS_WORDS}: mean over paintings, standard deviation over seeds")
    axes.grid(axis="x", color="#dedad2", linewidth=0.7)
    return drawing


def _written(folder: Path, name: str, drawing: Drawing) -> list[Path]:
    paths = [folder / f"{name}.png", folder / f"{name}.svg"]
    for path in paths:
        with whole_path(path) as temporary:
            # Without the date, equal figures are equal files.
            drawing.savefig(temporary, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
    return paths
