"""Statistics of trials, and the tables that show them. Tables hold text; `*` marks a cell that stands out.

A mean is over paintings, of the means over seeds; its spread is the standard deviation over seeds of each seed's mean
over the paintings, from the seeds that have every painting. Both are NaN where unknown, such as a spread of one seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .curves import best_so_far, loss_at
from .trial import Trial

CHAMPION, BASELINE = "growth", "baseline"
# Seconds that differ by less than this share are equal: as much as one and the same fit varies on a shared machine.
EQUAL_SECONDS = 0.05
UNKNOWN = "–"
_KEYS = ["contestant", "renderer"]


class Column(NamedTuple):
    """A column of figures, and how it is shown."""

    heading: str
    meaning: str
    digits: int
    scale: float = 1.0
    field: str = ""  # of `Trial`
    is_geometric: bool = False  # the mean
    has_spread: bool = True
    higher_wins: bool = False


MEASURES = (
    Column("loss × 1000", "4 × mean squared error of values in 0..1, × 1000; lower is better.", 2, 1e3, "seed_loss"),
    Column("geo. mean", "The geometric mean: hard and easy paintings count alike.", 2, 1e3, "seed_loss", True),
    Column("PSNR, dB", "Peak signal-to-noise ratio; 3 dB more is half the error.", 2, 1, "psnr"),
    Column("SSIM", "Structural similarity; 1 is the same picture.", 3, 1, "ssim"),
    Column("LPIPS", "Learned perceptual distance; 0 is the same picture. Needs the extra metrics.", 3, 1, "lpips"),
    Column("seconds", "Seconds of fitting, without compiling and writing files.", 2, 1, "fit_seconds"),
    Column("compile, s", "Seconds of compiling and loading.", 2, 1, "compile_seconds", has_spread=False),
    Column("steps", "Optimiser steps.", 0, 1, "steps", has_spread=False),
    Column("pairs, 10⁹", "Pixel-shape pairs drawn: the work on any machine.", 2, 1e-9, "pairs", has_spread=False),
)
AXES = {
    "end": Column("loss at the end", "Loss × 1000 when each has run as long as it does.", 2, 1e3),
    "steps": Column("at equal steps", "Best loss × 1000 of each after the steps of the shorter run.", 2, 1e3),
    "seconds": Column(
        "at equal seconds",
        "Best loss × 1000 of each after the seconds of the shorter run, without compiling; runs whose seconds differ "
        "by less than 5 % are compared at their ends.",
        2, 1e3,
    ),
    "pairs": Column("at equal pairs", "Best loss × 1000 of each after the pairs of the run that drew fewer.", 2, 1e3),
    "ssim": Column("SSIM", "Structural similarity at the end; higher is better.", 3, higher_wins=True),
    "lpips": Column("LPIPS", "Learned perceptual distance at the end.", 3),
    "time": Column("seconds", "Seconds of fitting until the end.", 2),
}  # fmt: skip
"""Ways to compare two trials of the same renderer, painting and seed."""


def frame(trials: Iterable[Trial], contestants: Iterable[str] = ()) -> pd.DataFrame:
    """One row for each trial, in the order of the contestants, without histories and pictures."""
    rows = pd.DataFrame([trial.to_json() for trial in trials]).drop(columns=["history", "images"])
    order = list(dict.fromkeys([*contestants, *rows["contestant"]]))
    rows = rows.astype({"lpips": float}).sort_values("renderer", kind="stable")
    return rows.sort_values("contestant", key=lambda names: names.map(order.index), kind="stable")


def mean_and_spread(rows: pd.DataFrame, field: str, is_geometric: bool = False) -> tuple[float, float]:
    """Mean and spread of a field over trials of one contestant and renderer; see the module."""
    table = rows.pivot(index="seed", columns="painting", values=field)
    if not is_geometric:
        return table.mean().mean(), table.mean(axis=1, skipna=False).std()
    with np.errstate(divide="ignore"):  # an exact picture has loss 0
        return np.exp(np.log(table.mean()).mean()), np.exp(np.log(table).mean(axis=1, skipna=False)).std()


def means_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Means of all measures that are known, for each contestant and renderer."""
    table = pd.DataFrame(
        [*key, str(len(own)), *(_measured(own, column) for column in MEASURES)]
        for key, own in rows.groupby(_KEYS, sort=False)
    )
    table.columns = [*_KEYS, "trials", *(column.heading for column in MEASURES)]
    return table.loc[:, (table != UNKNOWN).any()]


def paintings_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Loss x 1000 of each painting by contestant, on the first renderer; `*` marks the lowest."""
    own = rows[rows["renderer"] == rows["renderer"].min()]
    groups = own.groupby(["painting", "contestant"], sort=False)["seed_loss"].agg(["mean", "std"])
    lowest = groups["mean"].groupby("painting").transform("min")
    cells = [
        _figure(mean, spread, 2, 1e3) + (" *" if mean == least else "")
        for (mean, spread), least in zip(groups.to_numpy(), lowest, strict=True)
    ]
    return pd.Series(cells, groups.index).unstack(sort=False, fill_value=UNKNOWN).reset_index()


def duels(trials: Sequence[Trial]) -> pd.DataFrame:
    """Growth against each rival with the same renderer, painting and seed: a row for each axis of `AXES`."""
    champions = {(t.renderer, t.painting, t.seed): t for t in trials if t.contestant == CHAMPION}
    found = [
        (rival.contestant, rival.renderer, axis, rival.painting, rival.seed, *values)
        for rival in trials
        if rival.contestant != CHAMPION
        and (champion := champions.get((rival.renderer, rival.painting, rival.seed))) is not None
        for axis, values in _values(champion, rival).items()
    ]
    names = ["rival", "renderer", "axis", "painting", "seed", "growth", "other"]
    return pd.DataFrame(found, columns=names).astype({"growth": float, "other": float}).dropna()


def _values(one: Trial, other: Trial) -> dict[str, tuple[Any, Any]]:
    """The values of two trials on each axis."""
    fields = {"end": "seed_loss", "ssim": "ssim", "lpips": "lpips", "time": "fit_seconds"}
    found = {axis: (getattr(one, field), getattr(other, field)) for axis, field in fields.items()}
    for axis in ("steps", "seconds", "pairs"):
        curves = best_so_far(one, axis), best_so_far(other, axis)
        position, longer = sorted(curve.index[-1] for curve in curves)
        if axis == "seconds" and longer <= position * (1 + EQUAL_SECONDS):
            position = longer
        found[axis] = loss_at(curves[0], position), loss_at(curves[1], position)
    return found


def compare(found: pd.DataFrame) -> pd.DataFrame:
    """Summary of `duels`, a row for each rival, renderer and axis.

    Columns: means over paintings of `growth` and `other`, their `ratio`, its `spread` over seeds, on how many
    `paintings` growth has `won`, and whether it `wins` on the mean.
    """
    rows = []
    for key, own in found.groupby(["rival", "renderer", "axis"], sort=False):
        paintings = own.groupby("painting", sort=False)[["growth", "other"]].mean()
        mean = paintings.mean()
        seeds = (
            own.pivot(index="seed", columns="painting", values=["growth", "other"]).dropna().T.groupby(level=0).mean()
        )
        won = _is_better(key[2], paintings["growth"], paintings["other"])
        rows.append((
            *key, *mean, _ratio(*mean), pd.Series(_ratio(seeds.loc["growth"], seeds.loc["other"])).std(),
            int(won.sum()), len(paintings), bool(_is_better(key[2], *mean)),
        ))  # fmt: skip
    names = ["rival", "renderer", "axis", "growth", "other", "ratio", "spread", "won", "paintings", "wins"]
    return pd.DataFrame(rows, columns=names)


def ratios_table(found: pd.DataFrame) -> pd.DataFrame:
    """Growth's mean divided by the rival's on each axis, and on how many paintings it wins; `*`: not on the mean."""
    summary = compare(found)
    if summary.empty:
        return summary
    cells = [
        f"{_figure(row.ratio, row.spread, 3)}, {row.won}/{row.paintings}{'' if row.wins else ' *'}"
        for row in summary.itertuples()
    ]
    table = summary.assign(cell=cells).set_index(["rival", "renderer", "axis"])["cell"].unstack(sort=False)
    known = [axis for axis in AXES if axis in table]
    return table[known].fillna(UNKNOWN).rename(columns={axis: AXES[axis].heading for axis in known}).reset_index()


def not_won_table(found: pd.DataFrame) -> pd.DataFrame:
    """Every mean, and every painting by its mean over seeds, on which growth is not better than the rival."""
    keys = ["rival", "renderer", "axis"]
    paintings = found.groupby([*keys, "painting"], sort=False)[["growth", "other"]].mean().reset_index()
    means = paintings.groupby(keys, sort=False)[["growth", "other"]].mean().reset_index().assign(painting="all (mean)")
    rows = [
        {
            "rival": row.rival, "renderer": row.renderer, "compared": axis.heading, "painting": row.painting,
            "growth": _number(row.growth * axis.scale, axis.digits),
            "rival's": _number(row.other * axis.scale, axis.digits),
            "growth ÷ rival": _number(_ratio(row.growth, row.other), 3),
        }
        for row in pd.concat([means, paintings]).sort_values(keys[:2], kind="stable").itertuples()
        for axis in [AXES[row.axis]]
        if not _is_better(row.axis, row.growth, row.other)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def renderers_table(rows: pd.DataFrame) -> pd.DataFrame:
    """PyTorch against JAX for each contestant that ran on both, paired by painting and seed."""
    costs = rows.assign(cost=rows["fit_seconds"] / rows["steps"])
    wide = costs.pivot(
        index=["contestant", "painting", "seed"], columns="renderer", values=["cost", "seed_loss"]
    ).dropna()
    if wide.empty or not {"jax", "torch"} <= set(rows["renderer"]):
        return pd.DataFrame()
    found = []
    for contestant, own in wide.groupby(level="contestant", sort=False):
        cost = own["cost"]["torch"] / own["cost"]["jax"]
        found.append({
            "contestant": contestant, "pairs of trials": str(len(own)),
            "seconds a step": _figure(np.exp(np.log(cost).mean()), cost.std(), 3),
            "lowest": _number(cost.min(), 2), "highest": _number(cost.max(), 2),
            "loss": _number(_ratio(*own["seed_loss"].mean()[["torch", "jax"]]), 4),
        })  # fmt: skip
    return pd.DataFrame(found)


def published_table(rows: pd.DataFrame, published: Mapping[str, float]) -> pd.DataFrame:
    """The baseline in JAX against published losses, for each painting that both have, and their mean."""
    own = rows[(rows["contestant"] == BASELINE) & (rows["renderer"] == "jax") & rows["painting"].isin(list(published))]
    here = own.groupby("painting", sort=False)["seed_loss"].mean()
    table = pd.DataFrame({"here": here, "published": pd.Series(published)[here.index]})
    table.loc["all (mean)"] = table.mean()
    deviation = [f"{100 * (_ratio(*pair) - 1):+.1f} %" for pair in table.to_numpy()]
    shown = (table * 1e3).map(lambda value: _number(value, 2)).assign(deviation=deviation)
    return shown.rename_axis("painting").reset_index() if len(here) else pd.DataFrame()


def _measured(rows: pd.DataFrame, column: Column) -> str:
    mean, spread = mean_and_spread(rows, column.field, column.is_geometric)
    return _figure(mean, spread if column.has_spread else np.nan, column.digits, column.scale)


def _figure(mean: float, spread: float, digits: int, scale: float = 1.0) -> str:
    """A mean with its spread, such as `3.31 ± 0.04`."""
    return _number(mean * scale, digits) + ("" if np.isnan(spread) else f" ± {_number(spread * scale, digits)}")


def _number(value: float, digits: int) -> str:
    return UNKNOWN if np.isnan(value) else "∞" if np.isinf(value) else f"{value:.{digits}f}"


def _ratio(value: Any, other: Any) -> Any:
    """The quotient; 1 for equal numbers, so also for 0 / 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(value == other, 1.0, np.divide(value, other))[()]


def _is_better(axis: str, value: Any, other: Any) -> Any:
    return value > other if AXES[axis].higher_wins else value < other
