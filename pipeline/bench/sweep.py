"""A search for good settings for some pictures with Optuna, in a folder that processes may share."""

from __future__ import annotations

import json
import math
import time
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from artpipe.renderers import InputError
from artpipe.renderers.alpha import WHITE
from artpipe.renderers.options import changed, values_of
from artpipe.stages.events import Event
from artpipe.stages.formats.files import write_text
from artpipe.stages.pictures.picture import load_picture
from artpipe.stages.pictures.sizes import parse_size

from ..folders.rundir import VERSION
from ..options import RunConfig, parse_background
from ..running.plan import plan_of
from ..running.runner import carry_out, open_run
from .machine import check_unchanged, environment, require
from .options import SweepOptions
from .space import holds, parse_param, suggest

if TYPE_CHECKING:
    import optuna

# An error of 1/250 of a grey level of 8 bits: less is exact. log(0) would outweigh all other pictures.
_LOSS_FLOOR = 1e-9
# Level of Optuna's Wilcoxon test of a trial's fits against those of the best; takes four fits or more.
_PRUNING_LEVEL = 0.1


@dataclass(frozen=True)
class SweepTrial:
    """Some settings and their losses."""

    number: int
    start: bool  # whether these are the settings that the sweep started from
    verdict: str  # "finished", "pruned" (probably worse than the best), "slow" (over budget) or "diverged"
    values: dict[str, Any]  # by names as in `TUNABLE`
    losses: Sequence[float]  # 4 x MSE of each fit, pictures within seeds; incomplete unless finished
    seconds: float  # the longest of the fits

    @property
    def loss(self) -> float:
        """The geometric mean of the losses: hard and easy pictures count alike. NaN if there are none."""
        return math.exp(float(np.mean(np.log(self.losses)))) if self.losses else math.nan


@dataclass(frozen=True)
class SweepResult:
    """What a sweep has found."""

    trials: tuple[SweepTrial, ...]
    start: SweepTrial | None  # None if not fitted to the end
    best: SweepTrial | None  # the finished trial with the lowest loss
    spread: float | None  # standard deviation over seeds of the log of a trial's loss; None with one seed

    @property
    def gain(self) -> float | None:
        """By what share the best loss is lower than that of the start."""
        return None if self.start is None or self.best is None else 1 - self.best.loss / self.start.loss

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the single trials."""
        best, start = (trial and {**vars(trial), "loss": trial.loss} for trial in (self.best, self.start))
        return {"trials": len(self.trials), "best": best, "start": start, "gain": self.gain, "spread": self.spread}


class Sweep:
    """A search for settings that lower the loss of some pictures; resumes the sweep that is in the folder.

    The sampler of a trial is seeded by its number: a resumed sweep tries what an uninterrupted one would have.

    Args:
        pictures: files.
        space: the settings to vary, as of `parse_param`.
        folder: holds `journal.log` (Optuna's), `trials.csv` and `best.json`, updated after every trial.
        base: all other settings, and the first trial.
        options: how long to search.

    Raises:
        InputError: a picture or parameter cannot be used, or the folder holds something else.
        BackendUnavailable: a package or the renderer's library is missing.
    """

    def __init__(
        self, pictures: Sequence[str | Path], space: Sequence[str], folder: Path,
        base: RunConfig = RunConfig(), options: SweepOptions = SweepOptions(),  # noqa: B008 - both are frozen
    ) -> None:  # fmt: skip
        require("optuna", "pandas")
        parsed = sorted((parse_param(text) for text in space), key=lambda parameter: parameter[0])
        self._space = dict(parsed)
        if not parsed or len(self._space) < len(parsed):
            raise InputError("a sweep needs at least one --param NAME=LOW:HIGH or NAME=A,B,C, each with another NAME")
        if not pictures:
            raise InputError("a sweep needs at least one picture")
        self.folder, self.base, self.options, self.config_file = folder, base, options, folder / "best.json"
        size = None if base.size is None else parse_size(base.size)
        background = parse_background(base.background) or WHITE
        self._names = [Path(picture).name for picture in pictures]
        self._targets = [load_picture(picture, size, background, enlarge=True) for picture in pictures]
        self._fit_count = options.repeats * len(self._targets)
        self._start = {name: values_of(base.filled)[name] for name in self._space}
        self._start_is_inside = all(holds(space, self._start[name]) for name, space in self._space.items())
        open_run(self._targets[0], base)  # a missing device leaves no folder
        self._study = self._open()

    def run(self) -> Iterator[SweepTrial]:
        """Carry out trials until there are enough; each of several processes may add one more."""
        while len(self.result().trials) < self.options.trials:
            self._study.optimize(self._measure, n_trials=1)
            self._write()
            yield self._last

    def result(self) -> SweepResult:
        """What the folder holds."""
        kept = [trial.user_attrs.get("result") for trial in self._study.get_trials(deepcopy=False)]
        trials = tuple(SweepTrial(**values) for values in kept if values)
        finished = [trial for trial in trials if trial.verdict == "finished"]
        best = min(finished, key=lambda trial: trial.loss, default=None)
        start = next((trial for trial in finished if trial.start), None)
        spread = None
        if self.options.repeats > 1 and finished:
            logs = np.log([trial.losses for trial in finished]).reshape(len(finished), self.options.repeats, -1)
            spread = math.sqrt(np.mean(np.var(logs.mean(axis=2), axis=1, ddof=1)))
        return SweepResult(trials, start, best, spread)

    def _open(self) -> optuna.Study:
        """The study in the folder; a new one if there is none."""
        import optuna
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalStorage
        from optuna.trial import TrialState

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        path = self.folder / "journal.log"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if any(self.folder.iterdir()) and not path.exists():
                raise InputError(f"{self.folder} holds something other than a sweep. Use another folder (-o)")
            storage = JournalStorage(JournalFileBackend(str(path), JournalFileOpenLock(str(path))))
            with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
                pruner = optuna.pruners.WilcoxonPruner(p_threshold=_PRUNING_LEVEL)
            known: Any = {"storage": storage, "pruner": pruner, "study_name": "sweep"}
            begun = bool(optuna.get_all_study_names(storage))
            study = optuna.load_study(**known) if begun else optuna.create_study(**known, load_if_exists=True)
        except OSError as error:
            raise InputError(f"cannot use {self.folder} as output folder: {error.strerror or error}. Try -o") from None
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is not the journal of a sweep, or damaged: {error}. Try -o") from None
        identity = self._identity()
        check_unchanged(f"the sweep in {self.folder}", study.user_attrs.get("identity", identity), identity)
        if "identity" not in study.user_attrs:
            study.set_user_attr("identity", identity)
        done = study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.WAITING))
        if not any("start" in trial.user_attrs for trial in done):
            study.enqueue_trial(self._start if self._start_is_inside else {}, {"start": True})
        return study

    def _identity(self) -> dict[str, Any]:
        """What trials must have in common to compare; plain values by name."""
        digests = [f"{zlib.crc32(target.tobytes()):08x}" for target in self._targets]
        return {
            "parameters": ", ".join(f"{name}={distribution}" for name, distribution in self._space.items()),
            "pictures": ", ".join(f"{name} ({digest})" for name, digest in zip(self._names, digests, strict=True)),
            **values_of(self.base), "repeats": self.options.repeats, "budget_seconds": self.options.budget_seconds,
            **environment(),
        }  # fmt: skip

    def _measure(self, trial: optuna.Trial) -> float:
        """The loss of a trial's settings; `TrialPruned` if they are given up."""
        import optuna

        self._study.sampler = optuna.samplers.TPESampler(seed=self.base.seed + trial.number)
        start, values = "start" in trial.user_attrs, self._start
        if not start or self._start_is_inside:
            values = {name: suggest(trial, name, distribution) for name, distribution in self._space.items()}
        verdict, losses, longest = "finished", [], 0.0
        for index in range(self._fit_count):  # all pictures with one seed before the next
            repeat, picture = divmod(index, len(self._targets))
            config = replace(changed(self.base, values), seed=self.base.seed + repeat)
            loss, seconds = self._fit(self._targets[picture], config)
            longest = max(longest, seconds)
            if loss is None or not math.isfinite(loss):
                verdict = "slow" if loss is None else "diverged"
                break
            losses.append(max(loss, _LOSS_FLOOR))
            trial.report(math.log(losses[-1]), index)
            if index + 1 < self._fit_count and trial.should_prune():
                verdict = "pruned"
                break
        self._last = SweepTrial(trial.number, start, verdict, values, losses, longest)
        trial.set_user_attr("result", vars(self._last))
        if verdict != "finished":
            raise optuna.TrialPruned
        return math.log(self._last.loss)

    def _fit(self, target: Any, config: RunConfig) -> tuple[float | None, float]:
        """The loss of a fit (NaN if it diverged, None if it took too long), and its seconds."""
        run, deadline = open_run(target, config), _Deadline(self.options.budget_seconds or math.inf)
        try:
            result = carry_out(run, plan_of(config), config, [deadline], time.perf_counter())
        except _TooLate:
            return None, deadline.seconds
        if result.reason == "interrupted":
            raise KeyboardInterrupt
        loss = result.metrics.seed_loss if result.complete and result.metrics is not None else math.nan
        return loss, deadline.seconds

    def _write(self) -> None:
        """Update `trials.csv` and `best.json`."""
        import pandas as pd

        result, seeds = self.result(), range(self.base.seed, self.base.seed + self.options.repeats)
        fits = [f"loss of {name}, seed {seed}" for seed in seeds for name in self._names]
        rows = [
            {
                "trial": trial.number, "start": int(trial.start), "verdict": trial.verdict,
                "loss": trial.loss if trial.verdict == "finished" else None, "longest_seconds": trial.seconds,
                **trial.values, **dict.fromkeys(fits), **dict(zip(fits, trial.losses, strict=False)),
            }
            for trial in result.trials
        ]  # fmt: skip
        write_text(self.folder / "trials.csv", pd.DataFrame(rows).to_csv(index=False))
        if result.best is not None:
            content = {
                "format": "artpipe-run", "version": VERSION,
                "options": changed(self.base, result.best.values).to_json(),
                "sweep": {**result.to_json(), "pictures": self._names},
            }  # fmt: skip
            write_text(self.config_file, json.dumps(content, indent=1) + "\n")


class _TooLate(Exception):
    """A fit has exceeded its budget."""


class _Deadline:
    """Ends a run that takes too long."""

    def __init__(self, budget: float) -> None:
        self._budget, self.seconds = budget, 0.0

    def see(self, event: Event, seconds: float) -> None:
        self.seconds = seconds
        if seconds > self._budget:
            raise _TooLate

    def close(self) -> None:
        pass
