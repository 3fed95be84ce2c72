"""The work behind `artpipe run` and `artpipe load`: from options to files and what is printed."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ..renderers import InputError
from ..stages.base import Stage
from ..stages.events import Event, Exported
from ..stages.picture import load_picture, parse_size
from .config import RunConfig, parse_background
from .observers import Forward, Observer, ProgressBar, ProgressLines, SnapshotKeeper
from .rundir import load_config, new_folder, save_run
from .runner import carry_out, open_run


def paint(
    picture: Path, output: Path | None, config_file: Path | None, options: dict[str, Any], quiet: bool, as_json: bool
) -> None:
    """Carries out `artpipe run`.

    Raises:
        InputError: the picture or the configuration cannot be used, or the folder cannot be made.
    """
    started = time.perf_counter()
    base = RunConfig() if config_file is None else load_config(config_file)
    config = with_options(base, options)
    target = _load(picture, config)
    plan = config.plan()
    steps = config.filled.steps or 0
    with _announced(quiet):
        run = open_run(target, config)
    folder = new_folder(output or Path("outputs") / picture.stem)
    keeper = SnapshotKeeper(steps)
    outcome = carry_out(run, plan, config, [keeper, *_display(steps, quiet)], started)
    save_run(folder, outcome, keeper.kept, target, str(picture), config)
    metrics = outcome.metrics
    if as_json:
        click.echo(json.dumps(metrics))
    if not quiet:
        click.echo(
            f"{metrics['circles']} circles, {_decibels(metrics)} (mse {metrics['mse']:.3e}), "
            f"{metrics['steps']} steps in {metrics['fit_seconds']:.1f} s, "
            f"{time.perf_counter() - started:.1f} s in all\n{folder}",
            err=as_json,
        )
    if outcome.reason == "interrupted":
        click.echo("interrupted; what stood is saved", err=True)
        raise SystemExit(130)
    if outcome.reason != "finished":
        raise InputError(f"{outcome.reason}. The last good scene is saved in {folder}")


def carry_out_chain(picture: Path, options: dict[str, Any], stages: Sequence[Stage], quiet: bool) -> None:
    """Carries out `artpipe load … stage …`."""
    started = time.perf_counter()
    config = with_options(RunConfig(), options)
    target = _load(picture, config)
    steps = sum(getattr(stage, "steps", 0) for stage in stages)
    with _announced(quiet):
        run = open_run(target, config)
    run.most = None  # each stage says how many it leaves
    observers = [] if quiet else [Forward(_name_file), *_display(steps, quiet)]
    outcome = carry_out(run, stages, config, observers, started)
    if not quiet:
        metrics = outcome.metrics
        click.echo(f"{metrics['circles']} circles, {_decibels(metrics)}, {metrics['fit_seconds']:.1f} s", err=True)
    if outcome.reason == "interrupted":
        raise SystemExit(130)
    if outcome.reason != "finished":
        raise InputError(outcome.reason)


def with_options(config: RunConfig, options: dict[str, Any]) -> RunConfig:
    """The configuration with the options that were given (those not None) in place of its own."""
    given = {name: value for name, value in options.items() if value is not None}
    rates = {name.removeprefix("rate_"): given.pop(name) for name in list(given) if name.startswith("rate_")}
    return replace(config, **given, rates=replace(config.rates, **rates))


def _decibels(metrics: dict[str, Any]) -> str:
    return "an exact picture" if metrics["psnr"] is None else f"{metrics['psnr']:.2f} dB"


def _load(picture: Path, config: RunConfig) -> Any:
    size = None if config.size is None else parse_size(config.size)
    return load_picture(picture, size, parse_background(config.background))


@contextmanager
def _announced(quiet: bool) -> Iterator[None]:
    """Says that the kernel is being compiled, if that takes long enough to wonder."""

    def announce() -> None:
        click.echo("compiling the CPU kernel, once on this machine (some seconds) …", err=True)

    timer = threading.Timer(2.5, announce)
    if not quiet:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _display(steps: int, quiet: bool) -> list[Observer]:
    if quiet:
        return []
    return [ProgressBar(steps) if sys.stderr.isatty() else ProgressLines(steps)]


def _name_file(event: Event) -> None:
    if isinstance(event, Exported):
        click.echo(event.path)
