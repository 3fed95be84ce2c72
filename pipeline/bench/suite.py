"""A bench in a folder: which trials are planned, and which are done. Each trial is on disk before the next begins."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from artpipe.renderers import InputError, load_fitting_renderer
from artpipe.renderers.alpha import WHITE
from artpipe.renderers.options import values_of
from artpipe.stages.formats.files import write_text
from artpipe.stages.formats.names import name_of_picture
from artpipe.stages.pictures.picture import load_picture, save_png
from artpipe.stages.pictures.sizes import parse_size

from ..folders.rundir import METRICS_BYTES_MAX, RUN_BYTES_MAX, read_json
from .machine import check_unchanged, environment, machine
from .options import BenchOptions
from .trial import Trial, fit, measured, trial_key

Array = np.ndarray[Any, Any]

FORMAT, VERSION = "artpipe-bench", 2
_FOLDERS = ("trials", "images")


@dataclass
class Bench:
    """A bench and its folder."""

    folder: Path
    options: BenchOptions
    targets: Mapping[str, Array]  # (H, W, 3) float32 by the picture's name
    trials: dict[str, Trial] = field(default_factory=dict)  # those that are done, by key
    machine: dict[str, Any] = field(default_factory=machine)  # when the bench was opened

    @classmethod
    def open(cls, folder: Path, options: BenchOptions, pictures: Sequence[Path]) -> Bench:
        """Start a bench, or resume the one in the folder.

        Raises:
            InputError: a picture cannot be read, two have one name, the folder holds something else, or its bench has
                other options, pictures, code, packages or another machine.
            BackendUnavailable: a framework is missing.
        """
        for name in options.renderers:
            load_fitting_renderer(name)  # reports a missing framework before the work
        size = parse_size(options.size)
        # Over white, since the baseline knows no transparency.
        targets = {name_of_picture(picture): load_picture(picture, size, WHITE) for picture in pictures}
        if not pictures or len(targets) < len(pictures):
            raise InputError("a bench needs at least one picture, and pictures with different names")
        bench = cls(folder, options, targets)
        bench._check_identity()
        for path in sorted((folder / "trials").glob("*.json")):
            trial = Trial.from_json(read_json(path, METRICS_BYTES_MAX))
            bench.trials[trial.key] = trial
        return bench

    def _check_identity(self) -> None:
        """Compare with what the folder's bench was started with; write it if the folder is new."""
        path, identity = self.folder / "options.json", {**self.identity, **environment()}
        if path.exists():
            former = read_json(path, RUN_BYTES_MAX)
            check_unchanged(f"the bench in {self.folder}", former if isinstance(former, dict) else {}, identity)
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not {entry.name for entry in self.folder.iterdir()} <= set(_FOLDERS):
                raise InputError(f"{self.folder} holds something other than a bench. Use another folder (-o)")
            for name in _FOLDERS:
                (self.folder / name).mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot use {self.folder} as output folder: {error.strerror or error}. Try -o") from None
        write_text(path, json.dumps(identity, indent=1) + "\n")

    @property
    def identity(self) -> dict[str, Any]:
        """Options and pictures by name, plain values; trials of benches that differ in one do not compare."""
        pictures = {name: zlib.crc32(target.tobytes()) for name, target in self.targets.items()}
        return {**values_of(self.options), "paintings": pictures}

    @property
    def planned(self) -> list[tuple[str, str, str, int]]:
        """Contestant, renderer, painting and seed of every trial; those that are compared run one after the other."""
        # After growth and fixed, whose seconds it needs.
        contestants = sorted(self.options.competing, key=lambda key: key == "fixed-seconds")
        return [
            (contestant, renderer, painting, seed)
            for seed in range(self.options.trials)
            for painting in self.targets
            for renderer in self.options.renderers
            for contestant in contestants
        ]

    def run(self) -> Iterator[Trial]:
        """Carry out the trials that are not done; each is on disk before it is yielded."""
        for planned in self.planned:
            key = trial_key(*planned)
            if key not in self.trials:
                trial = self._carry_out(planned)
                write_text(self.folder / "trials" / f"{key}.json", json.dumps(trial.to_json()) + "\n")
                self.trials[key] = trial
                yield trial

    def _carry_out(self, planned: tuple[str, str, str, int]) -> Trial:
        key, renderer, painting, seed = planned
        contestant, target = self.options.competing[key], self.targets[painting]
        config = self.options.config(renderer, seed)
        if contestant.configure is not None:
            config = contestant.configure(config)
        if key == "fixed-seconds":  # as many steps as fill the seconds of growth on the same painting and seed
            fixed, growth = (self.trials[trial_key(name, renderer, painting, seed)] for name in ("fixed", "growth"))
            config = replace(config, steps=max(1, round(fixed.steps * growth.fit_seconds / fixed.fit_seconds)))
        fitted = fit(contestant, target, config, self.options.baseline_steps)
        trial, pictures = measured(planned, fitted, target)
        for name, picture in pictures.items():
            save_png(picture, self.folder / name)
        return trial

    def content(self) -> dict[str, Any]:
        """What `bench.json` holds; trials in planned order."""
        keys = [trial_key(*planned) for planned in self.planned]
        trials = [self.trials[key].to_json() for key in keys if key in self.trials]
        about = {"format": FORMAT, "version": VERSION, "machine": self.machine, "options": self.identity}
        return {**about, "trials": trials}
