"""Figures from trials: means with spread, fair comparisons of two contestants, and where one does not win.

Loss is `Trial.seed_loss`; lower is better. What is not known (no trial, no LPIPS, never reached) is None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from artpipe.renderers import InputError, seed_loss

from .trial import Trial

Array = np.ndarray[Any, Any]

FORMAT, VERSION = "artpipe-bench", 1
CHAMPION, BASELINE = "growth", "baseline"
# What a run's progress is counted in, and the word for it in a row of its history.
AXES = {"steps": "step", "seconds": "seconds", "pairs": "pairs", "circles": "circles"}
# Decibels above the reference's end that are asked for by default.
ABOVE = (0.0, 1.0, 3.0)
# Seconds that differ by less than this share are equal: as much as one and the same fit varies on a shared machine.
EQUAL_SECONDS = 0.05
# A chart's curve needs no more points.
CURVE_POINTS = 200


def trials_of(bench: Mapping[str, Any]) -> tuple[Trial, ...]:
    """The trials that a `bench.json` holds.

    Raises:
        InputError: it is not one, or of another version.
    """
    if bench.get("format") != FORMAT or bench.get("version") != VERSION:
        got = f"{bench.get('format')!r} version {bench.get('version')!r}"
        raise InputError(f"a bench needs format {FORMAT!r} version {VERSION}; got {got}. Try artpipe bench again")
    return tuple(Trial.from_json(values) for values in bench.get("trials", ()))


def in_order(trials: Iterable[Trial], contestants: Iterable[str]) -> list[Trial]:
    """The trials in the order of the contestants; of one contestant by renderer, painting and seed."""
    places = {name: place for place, name in enumerate(contestants)}
    return sorted(
        trials,
        key=lambda trial: (
            places.get(trial.contestant, len(places)),
            trial.contestant,
            trial.renderer,
            trial.painting,
            trial.seed,
        ),
    )


def names_of(trials: Iterable[Trial], field: str) -> list[str]:
    """The different values of a field such as "painting", in the order of their first trial."""
    return list(dict.fromkeys(getattr(trial, field) for trial in trials))


# ---------------------------------------------------------------- means with spread


@dataclass(frozen=True)
class Figure:
    """A mean and how far it varies.

    Attributes:
        mean: over paintings, of the means over seeds.
        spread: the standard deviation over seeds of each seed's mean over the paintings; None with fewer than two.
        seeds: how many seeds the spread is of: those with a value for every painting.
    """

    mean: float
    spread: float | None
    seeds: int


@dataclass(frozen=True)
class Row:
    """What one contestant did with one renderer.

    Attributes:
        contestant: its key.
        renderer: "jax" or "torch".
        paintings: how many.
        trials: how many.
        figures: by the name of `Trial`'s field, those of `MEASURED` that are known.
        geometric_loss: the geometric mean over paintings of seed_loss, in which all of them count alike.
    """

    contestant: str
    renderer: str
    paintings: int
    trials: int
    figures: dict[str, Figure]
    geometric_loss: float | None


MEASURED = (
    *("circles", "steps", "seed_loss", "psnr", "ssim", "lpips"),
    *("fit_seconds", "compile_seconds", "pairs"),
)


def summarise(trials: Sequence[Trial]) -> list[Row]:
    """One row for each contestant and renderer, in the order of their first trial."""
    rows = []
    for (contestant, renderer), own in _grouped(trials).items():
        found = {name: figure(own, name) for name in MEASURED}
        losses = [value.mean for value in by_painting(own).values()]
        rows.append(
            Row(
                contestant,
                renderer,
                len(names_of(own, "painting")),
                len(own),
                {name: value for name, value in found.items() if value is not None},
                geometric_mean(losses) if losses else None,
            )
        )
    return rows


def figure(trials: Iterable[Trial], field: str) -> Figure | None:
    """Mean and spread of one field over trials of one contestant; None if no trial knows it."""
    table: dict[str, dict[int, float]] = {}
    for trial in trials:
        value = _number(getattr(trial, field))
        if not math.isnan(value):
            table.setdefault(trial.painting, {})[trial.seed] = value
    if not table:
        return None
    whole = sorted(set.intersection(*(set(seeds) for seeds in table.values())))
    means = [_mean([seeds[seed] for seeds in table.values()]) for seed in whole]
    return Figure(_mean([_mean(seeds.values()) for seeds in table.values()]), _spread(means), len(whole))


def by_painting(trials: Iterable[Trial], field: str = "seed_loss") -> dict[str, Figure]:
    """Mean and spread over seeds of one field, for each painting; of one contestant and renderer."""
    paintings: dict[str, list[Trial]] = {}
    for trial in trials:
        paintings.setdefault(trial.painting, []).append(trial)
    found = {name: figure(own, field) for name, own in paintings.items()}
    return {name: value for name, value in found.items() if value is not None}


def _grouped(trials: Iterable[Trial]) -> dict[tuple[str, str], list[Trial]]:
    groups: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.contestant, trial.renderer), []).append(trial)
    return groups


# ---------------------------------------------------------------- the way through a run


def best_so_far(trial: Trial, axis: str, with_pool: bool = False) -> tuple[Array, Array]:
    """The lowest mean squared error known so far, along an axis of `AXES`.

    A loss counts only while no more circles stood than at the end: the search of growth works on a larger pool, and
    what that draws is not a result that could be kept. The end of the run is a point of its own.

    Args:
        trial: whose history is read.
        axis: a key of `AXES`.
        with_pool: count what larger pools drew too.

    Returns:
        (N,) positions, rising, and (N,) errors, never rising; both empty if nothing is known.
    """
    key = AXES[axis]
    end = {"step": trial.steps, "circles": trial.circles, "seconds": trial.fit_seconds, "pairs": trial.pairs}
    rows: list[Mapping[str, float]] = [*trial.history, {**end, "mse": trial.mse}]
    allowed = math.inf if with_pool else _number(trial.circles)
    points: dict[float, float] = {}
    for row in rows:
        at, error = _number(row.get(key)), _number(row.get("mse"))
        counts = error >= 0 and not _number(row.get("circles")) > allowed
        if math.isfinite(at) and (counts or axis != "circles"):
            points[at] = min(points.get(at, math.inf), error if counts else math.inf)
    places = np.array(sorted(points), np.float64)
    errors = np.minimum.accumulate(np.array([points[place] for place in places.tolist()], np.float64))
    known = np.isfinite(errors)
    return places[known], errors[known]


def error_at(trial: Trial, axis: str, place: float) -> float | None:
    """The best mean squared error so far at a place on an axis, linear between what the history knows.

    None before the first; a run that is over keeps its last.
    """
    places, errors = best_so_far(trial, axis)
    if not len(places) or place < places[0]:
        return None
    return float(np.interp(place, places, errors))


def reach(trial: Trial, decibels: float, axis: str = "seconds") -> float | None:
    """Where on an axis the run first had this PSNR; None if never."""
    places, errors = best_so_far(trial, axis)
    # Decibels that were computed from an error have it reached, whatever their rounding.
    wanted = 10.0 ** (-decibels / 10.0) * (1 + 1e-9)
    there = errors <= wanted
    if not there.any():
        return None
    k = int(np.argmax(there))
    if k == 0:
        return float(places[0])
    share = (errors[k - 1] - wanted) / (errors[k - 1] - errors[k])
    return float(places[k - 1] + share * (places[k] - places[k - 1]))


@dataclass(frozen=True)
class Reach:
    """How soon a contestant has a likeness; medians over its trials, in which never is longer than any time.

    Attributes:
        contestant: its key.
        renderer: "jax" or "torch".
        level: PSNR in dB; above the reference's end on the same painting if there is a reference.
        reached: in how many trials it got there.
        trials: of how many.
        seconds: median; None if half of the trials or more never got there.
        steps: likewise.
        pairs: likewise.
    """

    contestant: str
    renderer: str
    level: float
    reached: int
    trials: int
    seconds: float | None
    steps: float | None
    pairs: float | None


def reference_of(trials: Sequence[Trial]) -> str | None:
    """Whose end likenesses are measured from: the baseline, else the contestant with the lowest PSNR."""
    means = {
        name: figure([t for t in trials if t.contestant == name], "psnr") for name in names_of(trials, "contestant")
    }
    known = {name: value.mean for name, value in means.items() if value is not None and math.isfinite(value.mean)}
    return BASELINE if BASELINE in known else min(known, key=lambda name: known[name], default=None)


def reaches(trials: Sequence[Trial], levels: Sequence[float] | None = None) -> list[Reach]:
    """For each contestant, renderer and level how soon it got there.

    Args:
        trials: of any number of contestants.
        levels: PSNR in dB, the same for all paintings. If not given: `ABOVE` what every trial of the reference
            (`reference_of`) had on the painting in the end, since paintings differ in what can be had.
    """
    base: dict[str, float] = dict.fromkeys(names_of(trials, "painting"), 0.0)
    if levels is None:
        reference = reference_of(trials)
        ends = [(trial.painting, _number(trial.psnr)) for trial in trials if trial.contestant == reference]
        base = {name: min(end for own, end in ends if own == name) for name, end in ends if math.isfinite(end)}
    found = []
    for (contestant, renderer), every in _grouped(trials).items():
        own = [trial for trial in every if trial.painting in base]
        for level in ABOVE if levels is None else levels:
            if not own:
                continue
            places = {
                axis: [reach(trial, base[trial.painting] + level, axis) for trial in own]
                for axis in ("seconds", "steps", "pairs")
            }
            count = sum(place is not None for place in places["seconds"])
            medians = [_median_with_never(places[axis]) for axis in ("seconds", "steps", "pairs")]
            found.append(Reach(contestant, renderer, level, count, len(own), *medians))
    return found


def mean_curve(trials: Sequence[Trial], axis: str, with_pool: bool = False) -> tuple[Array, Array]:
    """The geometric mean over trials of the best seed_loss so far, from where all have one to the last one's end.

    Returns:
        (N,) positions, even in their logarithm, and (N,) losses; a run that is over keeps its last.
    """
    curves = [best_so_far(trial, axis, with_pool) for trial in trials]
    curves = [(places, errors) for places, errors in curves if len(places)]
    if not curves:
        return np.zeros(0), np.zeros(0)
    least = min((float(places[places > 0].min()) for places, _ in curves if (places > 0).any()), default=1e-3)
    first = max(least, *(float(places[0]) for places, _ in curves))
    last = max(first, *(float(places[-1]) for places, _ in curves))
    every = np.unique(np.concatenate([[first, last], *(places for places, _ in curves)]))
    grid = every[(every >= first) & (every <= last)]
    if len(grid) > CURVE_POINTS:
        grid = np.geomspace(first, last, CURVE_POINTS)
    logs = [np.log(np.maximum(np.interp(grid, places, errors), 1e-12)) for places, errors in curves]
    return grid, seed_loss(1.0) * np.exp(np.mean(logs, axis=0))


# ---------------------------------------------------------------- two contestants


@dataclass(frozen=True)
class Comparison:
    """One way to hold two trials of the same painting, seed and renderer against each other.

    Attributes:
        words: what is compared.
        meaning: in a sentence.
        values: the two values, or None where one is not known.
        higher_wins: whether more is better.
    """

    words: str
    meaning: str
    values: Callable[[Trial, Trial], tuple[float, float] | None]
    higher_wins: bool = False


def _field(name: str) -> Callable[[Trial, Trial], tuple[float, float] | None]:
    def values(first: Trial, second: Trial) -> tuple[float, float] | None:
        pair = _number(getattr(first, name)), _number(getattr(second, name))
        return None if any(map(math.isnan, pair)) else pair

    return values


def _equal(axis: str) -> Callable[[Trial, Trial], tuple[float, float] | None]:
    def values(first: Trial, second: Trial) -> tuple[float, float] | None:
        ends = [best_so_far(trial, axis)[0] for trial in (first, second)]
        if not all(map(len, ends)):
            return None
        place, longer = sorted(float(places[-1]) for places in ends)
        if axis == "seconds" and longer <= place * (1 + EQUAL_SECONDS):
            place = longer
        errors = error_at(first, axis, place), error_at(second, axis, place)
        return None if errors[0] is None or errors[1] is None else (seed_loss(errors[0]), seed_loss(errors[1]))

    return values


COMPARISONS = {
    "end": Comparison("loss at the end", "Each has run as long as it wanted.", _field("seed_loss")),
    "steps": Comparison(
        "loss at equal steps",
        "The best loss that each had after as many optimiser steps as the shorter run took.",
        _equal("steps"),
    ),
    "seconds": Comparison(
        "loss at equal seconds",
        "The best loss that each had after as many seconds of fitting as the shorter run took, without compiling. "
        "Runs that took equally long within 5 % are compared at their ends.",
        _equal("seconds"),
    ),
    "pairs": Comparison(
        "loss at equal pairs",
        "The best loss that each had after as many pixel-circle pairs as the run with fewer drew: "
        "equal work, whatever the machine.",
        _equal("pairs"),
    ),
    "ssim": Comparison("SSIM", "Structural similarity at the end; 1 is the same picture.", _field("ssim"), True),
    "lpips": Comparison("LPIPS", "Learned perceptual distance at the end; 0 is the same picture.", _field("lpips")),
    "time": Comparison("time", "Seconds of fitting until the end, compiling not counted.", _field("fit_seconds")),
}


@dataclass(frozen=True)
class HeadToHead:
    """Two contestants on the same renderer, paired by painting and seed.

    Attributes:
        first: one contestant's key.
        second: the other's.
        renderer: "jax" or "torch".
        axis: a key of `COMPARISONS`.
        values: for each painting the two values, each a mean over the seeds that both ran.
        spread: the standard deviation over seeds of the seed's `ratio`; None with fewer than two.
        seeds: how many seeds that is of.
    """

    first: str
    second: str
    renderer: str
    axis: str
    values: dict[str, tuple[float, float]]
    spread: float | None
    seeds: int

    @property
    def means(self) -> tuple[float, float]:
        """The means over paintings."""
        ones, others = zip(*self.values.values(), strict=True)
        return _mean(ones), _mean(others)

    @property
    def ratio(self) -> float:
        """The first's mean over the second's."""
        return ratio_of(*self.means)

    @property
    def ratios(self) -> dict[str, float]:
        """For each painting the first's value over the second's."""
        return {painting: ratio_of(*pair) for painting, pair in self.values.items()}

    @property
    def won(self) -> list[str]:
        """The paintings on which the first is better; being as good is not better."""
        return [painting for painting, pair in self.values.items() if is_better(self.axis, *pair)]

    @property
    def not_won(self) -> list[str]:
        """The other paintings."""
        return [painting for painting, pair in self.values.items() if not is_better(self.axis, *pair)]


def is_better(axis: str, value: float, other: float) -> bool:
    """Whether a value wins over another in a comparison."""
    return value > other if COMPARISONS[axis].higher_wins else value < other


def head_to_head(
    trials: Iterable[Trial], first: str, second: str, renderer: str, axis: str = "end"
) -> HeadToHead | None:
    """Two contestants held against each other; None if they have no painting and seed in common."""
    table: dict[str, dict[int, tuple[float, float]]] = {}
    for one, other in _pairs(trials, ("contestant", first, second), ("renderer", renderer)):
        pair = COMPARISONS[axis].values(one, other)
        if pair is not None:
            table.setdefault(one.painting, {})[one.seed] = pair
    if not table:
        return None
    values = {name: _mean_pair(seeds.values()) for name, seeds in table.items()}
    whole = sorted(set.intersection(*(set(seeds) for seeds in table.values())))
    ratios = [ratio_of(*_mean_pair(seeds[seed] for seeds in table.values())) for seed in whole]
    return HeadToHead(first, second, renderer, axis, values, _spread(ratios), len(whole))


def _pairs(
    trials: Iterable[Trial], differ: tuple[str, str, str], same: tuple[str, str]
) -> Iterator[tuple[Trial, Trial]]:
    """Trials of equal painting and seed whose field `differ` has its two values, where `same` has its one."""
    field, first, second = differ
    own = [trial for trial in trials if getattr(trial, same[0]) == same[1]]
    others = {(t.painting, t.seed): t for t in own if getattr(t, field) == second}
    for trial in own:
        if getattr(trial, field) == first and (trial.painting, trial.seed) in others:
            yield trial, others[trial.painting, trial.seed]


def head_to_heads(trials: Sequence[Trial], champion: str = CHAMPION) -> list[HeadToHead]:
    """The champion against every other contestant, on every renderer and in every comparison there are figures for."""
    found = [
        head_to_head(trials, champion, rival, renderer, axis)
        for rival in names_of(trials, "contestant")
        if rival != champion
        for renderer in names_of(trials, "renderer")
        for axis in COMPARISONS
    ]
    return [duel for duel in found if duel is not None]


@dataclass(frozen=True)
class Shortfall:
    """Where the champion does not win.

    Attributes:
        rival: the contestant that is as good or better.
        renderer: on which renderer.
        axis: in which comparison, a key of `COMPARISONS`.
        painting: on which painting, by the mean over seeds; None: on the mean over all paintings.
        value: the champion's.
        rivals_value: the rival's.
    """

    rival: str
    renderer: str
    axis: str
    painting: str | None
    value: float
    rivals_value: float


def not_won(trials: Sequence[Trial], champion: str = CHAMPION) -> list[Shortfall]:
    """Every comparison that the champion does not win: on the mean first, then painting by painting."""
    found = []
    for duel in head_to_heads(trials, champion):
        where = (duel.second, duel.renderer, duel.axis)
        if not is_better(duel.axis, *duel.means):
            found.append(Shortfall(*where, None, *duel.means))
        found += [Shortfall(*where, painting, *duel.values[painting]) for painting in duel.not_won]
    return found


def shortfalls_by_comparison(shortfalls: Iterable[Shortfall]) -> list[list[Shortfall]]:
    """The same in lists of one rival, renderer and axis each."""
    groups = groupby(shortfalls, key=lambda found: (found.rival, found.renderer, found.axis))
    return [list(group) for _, group in groups]


# ---------------------------------------------------------------- two renderers, and what was published


@dataclass(frozen=True)
class RendererDuel:
    """One contestant on two renderers, paired by painting and seed.

    Attributes:
        contestant: its key.
        first: the renderer that is divided by.
        second: the other.
        pairs: how many pairs of trials.
        seconds_ratio: the second's seconds a step over the first's, a geometric mean over the pairs.
        spread: the standard deviation of that over the pairs; None with fewer than two.
        lowest: the smallest of the pairs.
        highest: the largest of the pairs.
        loss_ratio: the second's mean seed_loss over the first's.
        loss_apart: by how much the two losses of a painting, means over seeds, differ at most, as a share.
        compile_seconds: means of the two.
    """

    contestant: str
    first: str
    second: str
    pairs: int
    seconds_ratio: float
    spread: float | None
    lowest: float
    highest: float
    loss_ratio: float
    loss_apart: float
    compile_seconds: tuple[float, float]


def renderer_duel(
    trials: Iterable[Trial], contestant: str, first: str = "jax", second: str = "torch"
) -> RendererDuel | None:
    """A contestant's two renderers held against each other; None if they have no painting and seed in common."""
    pairs = list(_pairs(trials, ("renderer", first, second), ("contestant", contestant)))
    costs = [(_seconds_a_step(other), _seconds_a_step(one)) for one, other in pairs]
    ratios = [other / one for other, one in costs if other > 0 and one > 0]
    if not ratios:
        return None
    ends = [by_painting([pair[k] for pair in pairs]) for k in (0, 1)]
    losses = [(ends[1][name].mean, ends[0][name].mean) for name in ends[0] if name in ends[1]]
    return RendererDuel(
        contestant,
        first,
        second,
        len(ratios),
        geometric_mean(ratios),
        _spread(ratios),
        min(ratios),
        max(ratios),
        ratio_of(*_mean_pair(losses)),
        max((abs(ratio_of(*pair) - 1) for pair in losses), default=math.nan),
        _mean_pair((_number(one.compile_seconds), _number(other.compile_seconds)) for one, other in pairs),
    )


def _seconds_a_step(trial: Trial) -> float:
    return _number(trial.fit_seconds) / trial.steps if trial.steps else math.nan


@dataclass(frozen=True)
class Reproduction:
    """Our losses against published ones.

    Attributes:
        values: for each painting that both know, our seed_loss (a mean over seeds) and the published one.
    """

    values: dict[str, tuple[float, float]]

    @property
    def deviations(self) -> dict[str, float]:
        """For each painting by what share ours is above the published loss."""
        return {painting: ratio_of(*pair) - 1 for painting, pair in self.values.items()}

    @property
    def deviation_of_mean(self) -> float:
        """By what share our mean over the paintings is above the published mean."""
        return ratio_of(*_mean_pair(self.values.values())) - 1


def reproduction(
    trials: Iterable[Trial], published: Mapping[str, float], contestant: str = BASELINE, renderer: str = "jax"
) -> Reproduction | None:
    """A contestant against published losses; None if no painting is known to both."""
    own = by_painting(t for t in trials if t.contestant == contestant and t.renderer == renderer)
    values = {name: (own[name].mean, published[name]) for name in published if name in own}
    return Reproduction(values) if values else None


# ---------------------------------------------------------------- arithmetic


def ratio_of(value: float, other: float) -> float:
    """The quotient; of nothing by nothing 1, of something by nothing infinite."""
    if other == 0:
        return 1.0 if value == 0 else math.inf
    return 1.0 if value == other else value / other


def geometric_mean(values: Sequence[float]) -> float:
    """Of numbers that are not negative; 0 if one is."""
    return 0.0 if min(values) <= 0 else math.exp(_mean([math.log(value) for value in values]))


def _number(value: Any) -> float:
    """The value as a float; NaN for None."""
    return math.nan if value is None else float(value)


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else sum(values) / len(values)


def _mean_pair(pairs: Iterable[tuple[float, float]]) -> tuple[float, float]:
    ones, others = zip(*pairs, strict=True)
    return _mean(ones), _mean(others)


def _spread(values: Sequence[float]) -> float | None:
    """The sample's standard deviation; None for fewer than two values, or where one is not finite."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return None
    return float(np.std(values, ddof=1))


def _median_with_never(places: Sequence[float | None]) -> float | None:
    """The median, in which None is later than anything; None if it falls there."""
    value = float(np.median([math.inf if place is None else place for place in places]))
    return value if math.isfinite(value) else None
