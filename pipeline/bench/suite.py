"""The paintings bench: every contestant on every painting, one trial after the other, kept as they are done."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from artpipe.renderers import (
    Diverged,
    InputError,
    Scene,
    load_fitting_renderer,
    load_renderer,
    mean_squared_error,
    psnr,
    seed_loss,
)  # fmt: skip
from artpipe.renderers.alpha import WHITE
from artpipe.stages.events import Event, Progress
from artpipe.stages.formats.files import write_text
from artpipe.stages.formats.names import name_of_picture
from artpipe.stages.pictures.picture import load_picture, save_png
from artpipe.stages.pictures.sizes import parse_size

from ..folders.rundir import METRICS_BYTES_MAX, RUN_BYTES_MAX, read_json
from ..options import RunConfig
from ..running.plan import plan_of
from ..running.runner import carry_out, open_run
from .baseline import open_baseline
from .contestants import Contestant
from .likeness import perceptual_distance, structural_similarity
from .machine import changes, environment, machine
from .optimisers import open_fixed, scales
from .options import BenchOptions
from .trial import Trial, trial_key

Array = np.ndarray[Any, Any]

# Steps between two rows of a history that the bench keeps itself.
_TOLD_EVERY = 32
# PSNR of a picture that is met exactly: JSON has no infinity.
_PSNR_MOST = 120.0


@dataclass
class Bench:
    """A bench in a folder: what it measures, and the trials that are done.

    Attributes:
        folder: where it lands.
        options: what is measured.
        targets: (H, W, 3) by name.
        trials: those done, by key.
        machine: what it runs on, as it was when the bench was opened.
    """

    folder: Path
    options: BenchOptions
    targets: Mapping[str, Array]
    trials: dict[str, Trial] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=machine)

    @classmethod
    def open(cls, folder: Path, options: BenchOptions, pictures: Sequence[Path]) -> Bench:
        """Begins a bench, or goes on with the one that stands in the folder.

        Raises:
            InputError: a picture cannot be read, two have one name, or another bench stands in the folder.
            BackendUnavailable: a framework is missing.
        """
        for name in options.renderers:
            load_fitting_renderer(name)  # says now what is missing
        # Over white, since a contestant may be one that knows no transparency.
        targets = {
            name_of_picture(picture): load_picture(picture, parse_size(options.size), WHITE) for picture in pictures
        }
        if not pictures or len(targets) < len(pictures):
            raise InputError("a bench needs one picture or more, each with a name of its own")
        bench = cls(folder, options, targets)
        begun = folder / "options.json"
        now = environment()
        if begun.exists():
            former = read_json(begun, RUN_BYTES_MAX)
            before = former.pop("environment", {}) if isinstance(former, dict) else {}
            if former != bench.identity:
                raise InputError(f"in {folder} stands a bench of other options or pictures. Try another -o")
            if changed := changes(before, now):
                raise InputError(
                    f"the bench in {folder} was begun with {changed}; new trials would not compare. Try another -o"
                )
        else:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                if not {path.name for path in folder.iterdir()} <= {"trials", "images"}:
                    raise InputError(f"{folder} holds something else than a bench. Try another folder with -o")
                (folder / "trials").mkdir(exist_ok=True)
                (folder / "images").mkdir(exist_ok=True)
            except OSError as error:
                raise InputError(f"cannot use {folder} as output folder: {error.strerror or error}. Try -o") from None
            write_text(begun, json.dumps({**bench.identity, "environment": now}, indent=1) + "\n")
        for path in sorted((folder / "trials").glob("*.json")):
            trial = Trial.from_json(read_json(path, METRICS_BYTES_MAX))
            bench.trials[trial.key] = trial
        return bench

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it another bench."""
        options = {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self.options).items()
        }
        return {**options, "paintings": {name: zlib.crc32(target.tobytes()) for name, target in self.targets.items()}}

    @property
    def planned(self) -> list[tuple[str, str, str, int]]:
        """Contestant, renderer, painting and seed of every trial; what is compared runs close together."""
        return [
            (contestant, renderer, painting, seed)
            for seed in range(self.options.trials)
            for painting in self.targets
            for renderer in self.options.renderers
            for contestant in _after_what_it_needs(self.options.competing)
        ]

    def run(self) -> Iterator[Trial]:
        """Carries out the trials that are not done yet; each is on disk before it is yielded."""
        for contestant, renderer, painting, seed in self.planned:
            key = trial_key(contestant, renderer, painting, seed)
            if key in self.trials:
                continue
            trial = self._carry_out(contestant, renderer, painting, seed)
            write_text(self.folder / "trials" / f"{key}.json", json.dumps(trial.to_json()) + "\n")
            self.trials[key] = trial
            yield trial

    def content(self) -> dict[str, Any]:
        """All of it, as `bench.json` has it; trials in the order of the plan."""
        keys = [trial_key(*planned) for planned in self.planned]
        return {
            "format": "artpipe-bench",
            "version": 1,
            "machine": self.machine,
            "options": self.identity,
            "trials": [self.trials[key].to_json() for key in keys if key in self.trials],
        }

    def _carry_out(self, contestant: str, renderer: str, painting: str, seed: int) -> Trial:
        target = self.targets[painting]
        competing = self.options.competing[contestant]
        configure = competing.configure
        if configure is None:
            course = _baseline_course(renderer, target, self.options.count, seed, self.options.baseline_steps)
        else:
            config = configure(self.options.config(renderer, seed))
            if contestant == "fixed-seconds":
                config = replace(config, steps=self._steps_that_fill(renderer, painting, seed))
            if competing.optimiser is None:
                course = _run_course(target, config)
            else:
                course = _optimiser_course(competing.optimiser, target, config)
        final = load_renderer("cpu").render(course.scene)
        initial = load_renderer("cpu").render(course.initial)
        mse = mean_squared_error(final, target)
        key = trial_key(contestant, renderer, painting, seed)
        images = {
            "initial": f"images/{key}-initial.png",
            "target": f"images/{painting}.png",
            "final": f"images/{key}.png",
        }
        for name, image in (("initial", initial), ("target", target), ("final", final)):
            save_png(image, self.folder / images[name])
        return Trial(
            contestant, renderer, painting, seed,
            circles=course.scene.count, steps=course.steps, mse=mse,
            psnr=min(psnr(mse), _PSNR_MOST) if mse > 0 else _PSNR_MOST, seed_loss=seed_loss(mse),
            ssim=structural_similarity(np.clip(final, 0, 1), target),
            lpips=perceptual_distance(np.clip(final, 0, 1), target),
            fit_seconds=course.seconds, compile_seconds=course.compile_seconds, pairs=course.pairs,
            history=tuple(course.history), images=images, device=course.device, kernel="numba",
        )  # fmt: skip

    def _steps_that_fill(self, renderer: str, painting: str, seed: int) -> int:
        """Steps of the fixed count that take as long as growth took on the same painting and seed."""
        fixed, growth = (self.trials[trial_key(name, renderer, painting, seed)] for name in ("fixed", "growth"))
        return max(1, round(fixed.steps * growth.fit_seconds / fixed.fit_seconds))


def _after_what_it_needs(competing: Mapping[str, Contestant]) -> list[str]:
    """The keys, fixed-seconds after those that it takes its time from."""
    return sorted(competing, key=lambda key: key == "fixed-seconds")


@dataclass
class _Course:
    """How a fit went."""

    initial: Scene
    scene: Scene
    steps: int
    seconds: float
    compile_seconds: float
    pairs: float
    history: list[dict[str, float]]
    device: str


class _Pairs:
    """Counts pixel-circle pairs: those of the kernel's last call, times the steps since it was asked last."""

    def __init__(self) -> None:
        renderer: Any = load_renderer("cpu")
        self._kernel = renderer.kernel
        self.drawn = 0.0
        self.at_progress: list[float] = []
        self._step = 0

    def up_to(self, step: int) -> float:
        """The pairs that were drawn until this step."""
        self.drawn += (step - self._step) * self._kernel.pair_count
        self._step = step
        return self.drawn

    def see(self, event: Event, seconds: float) -> None:
        """Counts when progress is told, as an observer of a run."""
        del seconds
        if isinstance(event, Progress):
            self.at_progress.append(self.up_to(event.step))

    def close(self) -> None:
        """Nothing to do."""


def _run_course(target: Array, config: RunConfig) -> _Course:
    """A run of the plan that a configuration makes."""
    started = time.perf_counter()
    run = open_run(target, replace(config, device="cpu"))
    compile_seconds = time.perf_counter() - started
    pairs = _Pairs()
    result = carry_out(run, plan_of(config), config, [pairs], started)
    if result.reason == "interrupted":
        raise KeyboardInterrupt
    if not result.complete:
        raise Diverged(result.reason)
    history = [
        {"step": step, "circles": shapes, "seconds": seconds, "mse": mse, "pairs": drawn}
        for (step, shapes, seconds, mse), drawn in zip(result.history.curve, pairs.at_progress, strict=True)
    ]
    metrics = result.metrics
    assert metrics is not None
    return _Course(
        result.initial, result.scene, metrics.steps, metrics.fit_seconds, compile_seconds, pairs.drawn, history,
        metrics.device,
    )  # fmt: skip


def _optimiser_course(name: str, target: Array, config: RunConfig) -> _Course:
    """The tuned fixed count under an optimiser of optax or torch.optim."""
    started = time.perf_counter()
    fit = open_fixed(name, target, replace(config, device="cpu"))
    return _stepwise(fit.scene, fit.step, scales(config), time.perf_counter() - started)


def _baseline_course(renderer: str, target: Array, count: int, seed: int, steps: int) -> _Course:
    """The seed project's method."""
    started = time.perf_counter()
    baseline = open_baseline(renderer, target, count, seed)
    # It counts on values in [-1, 1].
    return _stepwise(baseline.scene, lambda _: baseline.step() / 4, [1.0] * steps, time.perf_counter() - started)


def _stepwise(
    scene: Callable[[], Scene], step: Callable[[float], float], scales: Sequence[float], compile_seconds: float
) -> _Course:
    """A fit that knows nothing but steps, each at a factor on its rates; `step` gives the loss before it."""
    initial, pairs, seconds = scene(), _Pairs(), 0.0
    history = []
    for number, scale in enumerate(scales, 1):
        before = time.perf_counter()
        mse = step(scale)
        seconds += time.perf_counter() - before
        if number % _TOLD_EVERY == 0 or number == len(scales):
            told = {"step": number, "circles": initial.count, "seconds": round(seconds, 4), "mse": mse}
            history.append({**told, "pairs": pairs.up_to(number)})
    return _Course(initial, scene(), len(scales), seconds, compile_seconds, pairs.drawn, history, "cpu")
