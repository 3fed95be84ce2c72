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
from ..stages.exporters.fidelity import need_rasteriser, svg_fidelity
from ..stages.exporters.options import ExportOptions
from ..stages.exporters.table import check_paths, export_files
from ..stages.picture import load_picture, parse_size
from ..stages.record import Record
from .config import RunConfig, parse_background
from .observers import Forward, Observer, ProgressBar, ProgressLines
from .rundir import load_config, load_record, new_folder, save_run
from .runner import carry_out, open_run

# What lands in a run folder unless exports are not wanted.
EXPORTED = ("painting.svg", "timelapse.gif", "viewer.html")


def paint(
    picture: Path,
    output: Path | None,
    config_file: Path | None,
    options: dict[str, Any],
    exports: Sequence[Path],
    export_default: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Carries out `artpipe run`.

    Raises:
        InputError: the picture or the configuration cannot be used, or a file or the folder cannot be made.
    """
    check_paths(exports)
    started = time.perf_counter()
    base = RunConfig() if config_file is None else load_config(config_file)
    config = with_options(base, options)
    target = _load(picture, config)
    plan = config.plan()
    steps = config.filled.steps or 0
    with _announced(quiet):
        run = open_run(target, config)
    run.title = picture.stem
    folder = new_folder(output or Path("outputs") / picture.stem)
    outcome = carry_out(run, plan, config, _display(steps, quiet), started)
    metrics = outcome.metrics
    save_run(folder, outcome.record, outcome.initial, metrics, str(picture), config)
    files = [*((folder / name for name in EXPORTED) if export_default else ()), *exports]
    for _ in _written(outcome.record, files, ExportOptions(), quiet):
        pass
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
    run.title = picture.stem
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


def write_exports(source: Path, files: Sequence[Path], options: dict[str, Any], check: bool, quiet: bool) -> None:
    """Carries out `artpipe export`; prints the files' paths, with `check` also their sizes and how true SVGs are.

    Raises:
        InputError: the source cannot be read, or a file cannot be written.
        BackendUnavailable: an extra is missing.
    """
    check_paths(files)
    wanted = ExportOptions(**options)
    if check:
        need_rasteriser()
    record = load_record(source)
    for path in _written(record, files, wanted, quiet):
        note = ""
        if check:
            note = f"  {path.stat().st_size / 1000:.0f} kB"
            if path.suffix.lower() in (".svg", ".svgz"):
                note += f", {svg_fidelity(path, record.scene):.1f} dB of the scene (drawn by resvg)"
        if check or not quiet:
            click.echo(f"{path}{note}")


def _written(record: Record, files: Sequence[Path], options: ExportOptions, quiet: bool) -> Iterator[Path]:
    """Writes the files, showing on a terminal which one is at work."""
    from rich.console import Console

    console = Console(stderr=True, quiet=quiet or not sys.stderr.isatty())
    for path in files:
        with console.status(f"writing {path.name}"):
            yield from export_files(record, [path], options)


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
