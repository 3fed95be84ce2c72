"""Plots of a bench as SVG elements for the report, whose style sheet sets the colours."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from .curves import mean_curves
from .tables import mean_and_spread
from .trial import Trial

# On light and dark paper, after Okabe and Ito, "Color Universal Design", 2008, with the contrast that text needs.
COLOURS = (
    ("#6f6a62", "#aaa397"), ("#b06000", "#efa23c"), ("#a8487f", "#e79ac4"), ("#0a66a8", "#62b3ee"),
    ("#0b7a57", "#47c79b"), ("#c03d17", "#f4855f"), ("#5b4fb5", "#aaa2f5"), ("#7d6a00", "#d6c14a"),
)  # fmt: skip
_USUAL = {"baseline": 0, "fixed": 1, "fixed-seconds": 2, "growth": 3}
_INK, _SOFT, _LINE = "#27241f", "#696259", "#ddd7cc"
_STYLE: Any = {
    "font.size": 9, "axes.titlesize": 10, "axes.titlelocation": "left", "axes.titleweight": "bold", "axes.grid": True,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": _SOFT, "axes.labelcolor": _SOFT,
    "axes.titlecolor": _INK, "xtick.color": _SOFT, "ytick.color": _SOFT, "grid.color": _LINE, "grid.linewidth": 0.6,
    "axes.axisbelow": True, "text.parse_math": False, "svg.fonttype": "none", "svg.hashsalt": "artpipe",
}  # fmt: skip
_AXES = {
    "seconds": ("seconds of fitting", 1.0), "steps": ("optimiser steps", 1.0),
    "pairs": ("pixel-shape pairs, 10⁹", 1e-9), "shapes": ("shapes", 1.0),
}  # fmt: skip


def colours_of(contestants: Iterable[str]) -> dict[str, int]:
    """Each contestant's place in `COLOURS`."""
    others = (name for name in dict.fromkeys(contestants) if name not in _USUAL)
    free = range(len(_USUAL), len(COLOURS))
    return _USUAL | {name: free[k % len(free)] for k, name in enumerate(others)}


def plots_of(trials: Sequence[Trial], rows: pd.DataFrame, colours: Mapping[str, int]) -> dict[str, list[str]]:
    """SVG elements: "bars" of mean losses, loss over the "axes", and over seconds for each of the "paintings"."""
    from matplotlib import rc_context

    paintings = list(rows["painting"].unique())
    parts = [(name, [trial for trial in trials if trial.painting == name]) for name in paintings]
    with rc_context(_STYLE):
        return {
            "bars": [_bars(rows, colours)],
            "axes": [_curves(trials, axis, colours, f"Loss × 1000 over {axis}") for axis in _AXES],
            "paintings": [_curves(own, "seconds", colours, name) for name, own in parts if len(parts) > 1],
        }


def _curves(trials: Sequence[Trial], axis: str, colours: Mapping[str, int], title: str) -> str:
    """The best loss so far over an axis, for each contestant and renderer; the band spans the seeds."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    words, scale = _AXES[axis]
    figure, axes = _new_figure(4.6, 3.1, 0.08)
    for contestant, renderer in dict.fromkeys((trial.contestant, trial.renderer) for trial in trials):
        curves = 1e3 * mean_curves([t for t in trials if (t.contestant, t.renderer) == (contestant, renderer)], axis)
        mean, across, colour = curves.mean(axis=1), curves.index * scale, COLOURS[colours[contestant]][0]
        line, fill = ("-", "full") if renderer == "jax" else ((0, (4, 2.5)), "none")
        axes.plot(across, mean, color=colour, linestyle=line, linewidth=1.6)
        axes.plot(across[-1:], mean.iloc[-1:], color=colour, marker="o", markersize=4, fillstyle=fill)
        if len(curves.columns) > 1:
            axes.fill_between(across, curves.min(axis=1), curves.max(axis=1), color=colour, alpha=0.2, linewidth=0)
    axes.set(xscale="log", yscale="log", xlabel=words, title=_shortened(title, 44))
    for side in (axes.xaxis, axes.yaxis):
        low, high = side.get_view_interval()
        side.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 50 * low else (1,)))
        side.set_major_formatter(StrMethodFormatter("{x:g}"))
        side.set_minor_formatter(NullFormatter())
    return _svg(figure, title)


def _bars(rows: pd.DataFrame, colours: Mapping[str, int]) -> str:
    """The mean loss of each contestant and renderer, with its spread."""
    groups = list(rows.groupby(["contestant", "renderer"], sort=False))
    figure, axes = _new_figure(7.4, 0.9 + 0.26 * len(groups), 0.25)
    for place, ((contestant, renderer), own) in enumerate(groups):
        mean, spread = (1e3 * value for value in mean_and_spread(own, "seed_loss"))
        spread, alpha = 0.0 if math.isnan(spread) else spread, 1.0 if renderer == "jax" else 0.55
        axes.barh(place, mean, 0.66, color=COLOURS[colours[contestant]][0], alpha=alpha)
        axes.errorbar(mean, place, xerr=spread or None, color=_INK, linewidth=1.2, capsize=3)
        axes.text(mean + spread, place, f"\u2002{mean:.2f}", color=_SOFT, va="center")
    axes.set_yticks(range(len(groups)), [_shortened(" ".join(key)) for key, _ in groups])
    axes.invert_yaxis()
    axes.margins(x=0.09)
    axes.grid(axis="y", visible=False)
    axes.set(title="Mean loss × 1000 at the end")
    return _svg(figure, "Mean loss")


def _shortened(name: str, most: int = 28) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _new_figure(width: float, height: float, left: float) -> Any:
    """A figure of this size in inches, and its axes; fixed margins take half the time of a layout engine."""
    from matplotlib.figure import Figure  # not pyplot, which keeps every figure and picks a display

    figure = Figure(figsize=(width, height))
    return figure, figure.add_axes((left, 0.46 / height, 0.99 - left, 1 - 0.76 / height))


def _svg(figure: Any, label: str) -> str:
    """The figure as an SVG element that takes the page's width and colours."""
    data = io.StringIO()
    figure.savefig(data, format="svg", transparent=True, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", data.getvalue().partition("<svg")[2])
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    names = {light: f"c{k}" for k, (light, _) in enumerate(COLOURS)} | {_INK: "ink", _SOFT: "soft", _LINE: "line"}
    for colour, name in names.items():
        text = text.replace(colour, f"var(--{name})")
    return f'<svg class="plot" role="img" aria-label="{escape(label)}"{text}'
