"""The best loss so far over steps, seconds, pairs or shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from artpipe.renderers import seed_loss

from .trial import Trial

# Points of a curve in a plot, evenly spaced in the logarithm.
_POINTS = 200


def best_so_far(trial: Trial, axis: str) -> pd.Series:
    """The lowest seed_loss so far by the position on an axis; the last position is the end of the trial.

    A loss counts only while there are no more shapes than at the end: the search of growth works on a larger pool, and
    what that draws could not be kept.

    Args:
        trial: whose history is read.
        axis: "steps", "seconds", "pairs" or "shapes".
    """
    end = {"steps": trial.steps, "seconds": trial.fit_seconds, "pairs": trial.pairs, "shapes": trial.shapes}
    rows = pd.DataFrame([*trial.history, {**end, "step": trial.steps, "mse": trial.mse}])
    counts = rows["shapes"] <= trial.shapes
    if axis == "shapes":
        rows = rows[counts]
    losses = (rows["mse"] * seed_loss(1.0)).where(counts)
    return losses.groupby(rows["step" if axis == "steps" else axis]).min().cummin().ffill().dropna()


def loss_at(curve: pd.Series, position: float) -> float:
    """The value at a position, linear between known ones; NaN before the first, the last after the end."""
    return float(np.interp(position, curve.index, curve, left=np.nan))


def mean_curves(trials: Sequence[Trial], axis: str) -> pd.DataFrame:
    """The geometric mean over paintings of the best loss so far: a row for each position, a column for each seed.

    It starts where every trial has a loss. A trial that has ended keeps its last.
    """
    curves = {(trial.seed, trial.painting): best_so_far(trial, axis) for trial in trials}
    first = max(*(curve.index[0] for curve in curves.values()), 1e-3)
    last = max(first, *(curve.index[-1] for curve in curves.values()))
    positions = np.unique(np.geomspace(first, last, _POINTS)) if last > first else np.array([last])
    table = pd.DataFrame({key: np.interp(positions, curve.index, curve) for key, curve in curves.items()}, positions)
    return np.exp(np.log(table.clip(lower=1e-12)).T.groupby(level=0).mean().T)
