"""A search for good settings for some pictures, by Optuna, in a folder that processes may share."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from artpipe.renderers import BackendUnavailable, InputError
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
from .machine import changes, environment
from .options import SweepOptions
from .sweep_space import Choices, Range, Value, parse_param

if TYPE_CHECKING:
    import optuna

DEFAULT_FOLDER = Path("outputs/sweep")
# As Optuna's MedianPruner: nothing is given up before so many trials are finished; nor after a single fit.
_TRIALS_BEFORE_PRUNING = 5
_FITS_BEFORE_PRUNING = 2
# An error of 1/250 of a grey level of 8 bits: less is exact. log(0) would outweigh all other pictures.
_LOSS_FLOOR = 1e-9


@dataclass(frozen=True)
class SweepTrial:
    """What some settings came to.

    Attributes:
        number: of the trial, from 0.
        start: whether these are the settings that the sweep began with.
        verdict: "finished", "slow" (over budget), "hopeless" (given up: worse than most so far) or "diverged".
        values: the settings, by names as in `TUNABLE`.
        losses: 4 x mse of each fit, pictures within seeds; short unless finished.
        seconds: the longest of the fits.
    """

    number: int
    start: bool
    verdict: str
    values: dict[str, Value]
    losses: tuple[float, ...]
    seconds: float

    @property
    def loss(self) -> float:
        """The geometric mean of the losses, in which each painting counts alike, however hard; NaN if there is none."""
        return math.exp(float(np.mean(np.log(self.losses)))) if self.losses else math.nan


@dataclass(frozen=True)
class SweepResult:
    """What stands in a sweep's folder.

    Attributes:
        trials: those that are done, in the order they were begun in.
        start: the settings that the sweep began with; None if they were not fitted to the end.
        best: the finished trial of the lowest loss; None if there is none.
        spread: standard deviation of the log of a trial's loss over seeds, about a share of it; None with one seed.
        config_file: the best settings, for `artpipe run --config`; there once there is a best trial.
    """

    trials: tuple[SweepTrial, ...]
    start: SweepTrial | None
    best: SweepTrial | None
    spread: float | None
    config_file: Path

    @property
    def gain(self) -> float | None:
        """By what share the best loss is lower than that of the start."""
        return None if self.start is None or self.best is None else 1 - self.best.loss / self.start.loss

    @property
    def is_noise(self) -> bool | None:
        """Whether other seeds might gain as much as the best settings; None if unknown."""
        return None if self.gain is None or self.spread is None else -math.log1p(-self.gain) < self.spread

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the single trials."""
        told = ("number", "values", "losses", "seconds", "loss")
        best, start = (
            None if trial is None else {name: getattr(trial, name) for name in told}
            for trial in (self.best, self.start)
        )
        return {
            "trials": len(self.trials), "best": best, "start": start,
            "gain": self.gain, "spread": self.spread, "is_noise": self.is_noise, "config": str(self.config_file),
        }  # fmt: skip


def sweep(
    pictures: Sequence[str | Path],
    space: Sequence[Range | Choices | str],
    folder: str | Path = DEFAULT_FOLDER,
    base: RunConfig | None = None,
    options: SweepOptions | None = None,
) -> SweepResult:
    """Seeks settings that lower the loss of some pictures; goes on where a sweep in the same folder stands.

    Args:
        pictures: files.
        space: what to seek, as `parse_param` gives or takes it.
        folder: holds `journal.log`, `trials.csv` and `best.json`, kept up to date after every trial.
        base: all other settings, and the first trial; the defaults if not given.
        options: how long to seek.

    Raises:
        InputError: a picture or parameter cannot be used, or the folder holds something else.
        BackendUnavailable: Optuna or the renderer's library is missing.

    Example:
        >>> sweep(["a.jpg", "b.jpg"], ["lr.position=0.2:1", "growth=64,128,256"]).best.values
    """
    at_work = Sweep(pictures, space, folder, base, options)
    while at_work.next_trial() is not None:
        pass
    return at_work.result()


class Sweep:
    """A sweep in its folder, carried out a trial at a time; arguments and errors as of `sweep`.

    Every trial is drawn from a generator of its own, seeded by how many came before: so a sweep that was interrupted
    tries what it would have tried, and no two processes try the same.
    """

    def __init__(
        self,
        pictures: Sequence[str | Path],
        space: Sequence[Range | Choices | str],
        folder: str | Path = DEFAULT_FOLDER,
        base: RunConfig | None = None,
        options: SweepOptions | None = None,
    ) -> None:
        if find_spec("optuna") is None:
            raise BackendUnavailable(
                "bench sweep needs Optuna, which is not installed; try: pip install 'artpipe[sweep]'"
            )
        parsed = [parse_param(parameter) if isinstance(parameter, str) else parameter for parameter in space]
        self.space = sorted(parsed, key=lambda parameter: parameter.name)
        names = [parameter.name for parameter in self.space]
        if not names:
            raise InputError("a sweep needs settings to try: --param NAME=LOW:HIGH or NAME=A,B,C, once or more")
        if len(set(names)) < len(names):
            raise InputError(f"--param names {', '.join(sorted({n for n in names if names.count(n) > 1}))} twice")
        if not pictures:
            raise InputError("a sweep needs pictures to paint")
        self.folder, self.base, self.options = Path(folder), base or RunConfig(), options or SweepOptions()
        self.pictures = [str(picture) for picture in pictures]
        size = None if self.base.size is None else parse_size(self.base.size)
        background = parse_background(self.base.background) or WHITE
        self._targets = [load_picture(path, size, background, enlarge=True) for path in self.pictures]
        self._start: dict[str, Value] = {name: values_of(self.base.filled)[name] for name in names}
        open_run(self._targets[0], self.base)  # so that a device that is missing leaves no folder
        self._study = self._open()

    @property
    def fit_count(self) -> int:
        """Fits of a trial that is not given up."""
        return self.options.repeats * len(self._targets)

    def next_trial(self, on_fit: Callable[[int, str], object] | None = None) -> SweepTrial | None:
        """Carries out one trial; None if all are done or in the hands of other processes.

        Args:
            on_fit: called with the trial's number and the picture's path before each fit.

        Raises:
            KeyboardInterrupt: as it came; the trial is forgotten, all others are kept.
        """
        from optuna.trial import TrialState

        claimed = self._claim()
        if claimed is None:
            return None
        try:
            trial = self._measure(claimed, on_fit)
            self._keep(claimed, trial)
        except BaseException:
            with self._held():
                self._study.tell(claimed, state=TrialState.FAIL, skip_if_finished=True)
            raise
        return trial

    def result(self) -> SweepResult:
        """What stands in the folder."""
        trials = self._done()
        whole = [trial for trial in trials if len(trial.losses) == self.fit_count]
        best = min((trial for trial in whole if trial.verdict == "finished"), key=lambda t: t.loss, default=None)
        start = next((trial for trial in whole if trial.start), None)
        spread = None
        if self.options.repeats > 1 and whole:
            logs = np.log([trial.losses for trial in whole]).reshape(len(whole), self.options.repeats, -1)
            spread = math.sqrt(np.mean(np.var(logs.mean(axis=2), axis=1, ddof=1)))
        return SweepResult(tuple(trials), start, best, spread, self.folder / "best.json")

    def _open(self) -> optuna.Study:
        """The study in the folder; a new one if there is none."""
        import optuna
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalStorage

        path = self.folder / "journal.log"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if {entry.name for entry in self.folder.iterdir()}.isdisjoint({path.name, "sweep.lock"}):
                if any(self.folder.iterdir()):
                    raise InputError(f"{self.folder} holds something else than a sweep. Try another folder with -o")
            with self._held():
                storage = JournalStorage(JournalFileBackend(str(path), JournalFileOpenLock(str(path))))
                is_new = not optuna.get_all_study_names(storage)
                study = (optuna.create_study if is_new else optuna.load_study)(storage=storage, study_name="sweep")
                self._check_setup(study)
        except OSError as error:
            raise InputError(f"cannot use {self.folder} as output folder: {error.strerror or error}. Try -o") from None
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is not the journal of a sweep, or broken: {error}. Try -o") from None
        return study

    def _check_setup(self, study: optuna.Study) -> None:
        """Refuses to go on with other parameters, pictures or options than those the study was made for."""
        setup: dict[str, Any] = {
            "params": " ".join(map(str, self.space)),
            "environment": environment(),
            "pictures": [hashlib.sha256(target.tobytes()).hexdigest() for target in self._targets],
            "names": ", ".join(Path(picture).name for picture in self.pictures),
            "options": {
                **values_of(self.base),
                "repeats": self.options.repeats,
                "budget_seconds": self.options.budget_seconds,
            },
        }
        former = study.user_attrs.get("setup")
        if former is None:
            study.set_user_attr("setup", setup)
            return
        begun = f"the sweep in {self.folder} was begun with"
        if former["params"] != setup["params"]:
            raise InputError(f"{begun} the parameters {former['params']}. Try these again, or another folder with -o")
        if former["pictures"] != setup["pictures"]:
            raise InputError(
                f"{begun} the pictures {former['names']}, in this order and size. Try these again, or another folder "
                "with -o"
            )
        if changed := changes(former.get("environment", {}), setup["environment"]):
            raise InputError(f"{begun} {changed}; new trials would not compare. Try another folder with -o")
        before, now = former["options"], setup["options"]
        other = [name for name in {**before, **now} if before.get(name) != now.get(name)]
        if other:
            told = ", ".join(f"{name} {before.get(name)}" for name in other)
            raise InputError(f"{begun} other options: {told}. Try these again, or another folder with -o")

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Keeps other processes from the folder, and Optuna from talking. A killed process's hold ends after 30 s."""
        import optuna
        from optuna.storages.journal import JournalFileOpenLock

        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        hold = JournalFileOpenLock(str(self.folder / "sweep"))  # it adds ".lock"
        hold.acquire()
        try:
            yield
        finally:
            hold.release()
            optuna.logging.set_verbosity(verbosity)

    def _claim(self) -> optuna.Trial | None:
        """The next trial to carry out, drawn and marked as this process's."""
        import optuna
        from optuna.trial import TrialState

        with self._held():
            for trial in self._study.get_trials(states=(TrialState.RUNNING,)):
                if _is_abandoned(trial.user_attrs.get("owner")):
                    self._study.tell(trial.number, state=TrialState.FAIL)
            counted = [t for t in self._study.get_trials() if t.state == TrialState.RUNNING or "result" in t.user_attrs]
            if len(counted) >= self.options.trials:
                return None
            distributions = {parameter.name: parameter.distribution() for parameter in self.space}
            is_start = not any("start" in trial.user_attrs for trial in counted)
            if is_start:
                inside = all(parameter.holds(self._start[parameter.name]) for parameter in self.space)
                distributions = distributions if inside else {}
                self._study.enqueue_trial({**self._start} if inside else {}, {"start": True})
            seed = np.random.SeedSequence([self.base.seed, len(counted)]).generate_state(1)[0]
            self._study.sampler = optuna.samplers.TPESampler(seed=int(seed))
            claimed = self._study.ask(distributions)
            claimed.set_user_attr("owner", f"{platform.node()}:{os.getpid()}")
            return claimed

    def _measure(self, claimed: optuna.Trial, on_fit: Callable[[int, str], object] | None) -> SweepTrial:
        """Fits the pictures, all with one seed before the next, until the settings are given up."""
        start = "start" in claimed.user_attrs
        values = self._start
        if not start:
            values = {parameter.name: parameter.rounded(claimed.params[parameter.name]) for parameter in self.space}
        budget = self.options.budget_seconds or math.inf
        verdict, losses, longest = "finished", [], 0.0
        for index in range(self.fit_count):
            repeat, picture = divmod(index, len(self._targets))
            if on_fit:
                on_fit(claimed.number, self.pictures[picture])
            config = replace(changed(self.base, values), seed=self.base.seed + repeat)
            run = open_run(self._targets[picture], config)
            deadline = _Deadline(math.inf if start else budget)
            try:
                result = carry_out(run, plan_of(config), config, [deadline], time.perf_counter())
            except _TooLate as late:
                verdict, longest = "slow", max(longest, late.seconds)
                break
            if result.reason == "interrupted":
                raise KeyboardInterrupt
            metrics = result.metrics
            assert metrics is not None
            longest = max(longest, metrics.fit_seconds)
            if not result.complete or not math.isfinite(metrics.seed_loss):
                verdict = "diverged"
                break
            losses.append(max(metrics.seed_loss, _LOSS_FLOOR))
            if longest > budget:
                verdict = "slow"
            elif not start and self._is_hopeless(losses):
                verdict = "hopeless"
            if verdict != "finished" and not start:
                break
        return SweepTrial(claimed.number, start, verdict, values, tuple(losses), longest)

    def _is_hopeless(self, losses: list[float]) -> bool:
        """Whether a trial is worse, on the fits it has made, than half of those that are finished."""
        made = len(losses)
        others = [float(np.mean(np.log(t.losses[:made]))) for t in self._done() if t.verdict == "finished"]
        if made == self.fit_count or made < _FITS_BEFORE_PRUNING or len(others) < _TRIALS_BEFORE_PRUNING:
            return False
        return bool(np.mean(np.log(losses)) > statistics.median(others))

    def _keep(self, claimed: optuna.Trial, trial: SweepTrial) -> None:
        """Writes a trial to the journal, and what follows from it beside."""
        from optuna.trial import TrialState

        with self._held():
            claimed.set_user_attr("result", asdict(trial))
            if trial.start and not claimed.params:
                # Optuna could not place it among the values that it seeks: so it sees a trial that came to nothing.
                self._study.tell(claimed, state=TrialState.FAIL)
            elif trial.verdict == "finished":
                self._study.tell(claimed, math.log(trial.loss))
            else:
                self._study.tell(claimed, state=TrialState.PRUNED)  # Optuna holds these for worse than all finished
            self._write()

    def _write(self) -> None:
        result = self.result()
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        names = [parameter.name for parameter in self.space]
        fits = [
            f"loss of {Path(picture).name}, seed {self.base.seed + repeat}"
            for repeat in range(self.options.repeats)
            for picture in self.pictures
        ]
        writer.writerow(["trial", "start", "verdict", "loss", "gain", "longest_seconds", *names, *fits])
        for trial in result.trials:
            whole = len(trial.losses) == self.fit_count
            gain = 1 - trial.loss / result.start.loss if whole and result.start else ""
            values = [trial.values[name] for name in names]
            row = [trial.number, int(trial.start), trial.verdict, trial.loss if whole else "", gain, trial.seconds]
            writer.writerow([*row, *values, *trial.losses, *[""] * (self.fit_count - len(trial.losses))])
        write_text(self.folder / "trials.csv", table.getvalue())
        if result.best is not None:
            options = changed(self.base, result.best.values).to_json()
            told = {**result.to_json(), "pictures": self.pictures}
            content = {"format": "artpipe-run", "version": VERSION, "options": options, "sweep": told}
            write_text(result.config_file, json.dumps(content, indent=1) + "\n")

    def _done(self) -> list[SweepTrial]:
        results = [t.user_attrs["result"] for t in self._study.get_trials(deepcopy=False) if "result" in t.user_attrs]
        return [SweepTrial(**{**result, "losses": tuple(result["losses"])}) for result in results]


class _TooLate(Exception):
    """A fit has taken longer than it may."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class _Deadline:
    """Stops a run that takes too long."""

    def __init__(self, budget: float) -> None:
        self._budget = budget

    def see(self, event: Event, seconds: float) -> None:
        """Raises _TooLate when the time is over."""
        del event
        if seconds > self._budget:
            raise _TooLate(seconds)

    def close(self) -> None:
        """Nothing to do."""


def _is_abandoned(owner: str | None) -> bool:
    """Whether a trial that counts as running is none: its process is gone, or is this one, which runs no other."""
    if owner is None:
        return True
    host, _, number = owner.rpartition(":")
    if host != platform.node():
        return False  # nobody can tell
    if int(number) == os.getpid():
        return True
    if os.name != "posix":
        return False
    try:
        os.kill(int(number), 0)  # sends nothing
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
