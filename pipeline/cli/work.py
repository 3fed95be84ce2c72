"""The work of `run`, `resume`, `load` and `export`: from options to files and printed lines."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import click

from artpipe.renderers import InputError
from artpipe.renderers.errors import printable
from artpipe.renderers.options import changed
from artpipe.stages.base import Run, Stage
from artpipe.stages.events import Event, Exported
from artpipe.stages.exporters.fidelity import need_rasteriser, rasterisers, svg_fidelity
from artpipe.stages.exporters.options import ExportOptions
from artpipe.stages.exporters.table import check_paths, distinct_paths, export_files
from artpipe.stages.formats.names import name_of_picture
from artpipe.stages.formats.scene_file import save_scene
from artpipe.stages.limits import COUNT_MAX
from artpipe.stages.metrics import Metrics
from artpipe.stages.pictures.picture import picture_size, save_png
from artpipe.stages.pictures.weights import weights_picture
from artpipe.stages.refine import Settle
from artpipe.stages.result import Result

from ..folders.checkpoints import Keeper, Start, clear, load_start, restore
from ..folders.claim import hold, new_folder
from ..folders.rundir import is_finished, load_config, load_result, metrics_of, save_options, save_run
from ..options import STOP_RULES, RunConfig
from ..running.clock import Clock
from ..running.interruption import Interruption
from ..running.observers import Forward, Observer, ProgressBar, ProgressLines
from ..running.plan import Plan, plan_of
from ..running.runner import (
    carry_out,
    fitting_the_canvas,
    load_target,
    open_renderer,
    open_run,
)
from .habits import Habits

# Files exported to the run folder by default.
EXPORTED = ("painting.svg", "timelapse.gif", "viewer.html")


def paint(
    picture: Path, output: Path | None, config_file: Path | None, options: dict[str, Any], habits: Habits,
    interruption: Interruption,
) -> None:  # fmt: skip
    """Runs `artpipe run`.

    Raises:
        InputError: the picture or the configuration is invalid, or the folder or a file cannot be created.
    """
    started, clock = time.perf_counter(), Clock()
    check_paths(habits.exports)
    base = RunConfig() if config_file is None else load_config(config_file)
    config = RunConfig.of_style(options, base).resolved
    wanted = output or Path("outputs") / name_of_picture(picture)
    if _is_picture(picture):  # if not, it is refused below, without waiting for the framework
        with clock.part("framework"):
            _load_framework(config, interruption)  # before the folder exists: an interrupted import leaves nothing
    with new_folder(wanted, _warn) as folder:
        with clock.part("decode"):
            target = load_target(picture, config, habits.memory)
            config = fitting_the_canvas(config, target)
            start = Start(config, str(picture), target, config.weights(target, picture))
        with clock.part("warm-up"):
            run = _opened(start, habits)
        interruption.defer()
        keeper = Keeper(folder, habits.checkpoint_every, _warn)
        keeper.begin(start)
        save_options(folder, start.picture, config, run.fit.device_name)
        _finish(folder, run, plan_of(config), start, keeper, habits, started, clock, interruption)


def resume(folder: Path, habits: Habits, interruption: Interruption) -> None:
    """Runs `artpipe resume`.

    Raises:
        InputError: there is no run to continue, another run uses the folder, or a file cannot be written.
    """
    started, clock = time.perf_counter(), Clock()
    check_paths(habits.exports)
    if not os.path.isdir(folder):  # Path.is_dir raises for names that are too long
        raise InputError(f"there is no run folder {folder}")
    if is_finished(folder):
        _warn(f"{folder} is finished; there is nothing to resume")
        return
    with hold(folder):
        start = load_start(folder)
        with clock.part("framework"):
            _load_framework(start.config, interruption)
        with clock.part("warm-up"):
            run = _opened(start, habits)
        interruption.defer()
        plan = restore(folder, run, plan_of(start.config), _warn)
        if not habits.quiet:
            _warn(f"resuming at step {run.step}, {run.scene.count} shapes")
        keeper = Keeper(folder, habits.checkpoint_every, _warn)
        _finish(folder, run, plan, start, keeper, habits, started, clock, interruption)


def _is_picture(picture: Path) -> bool:
    try:
        picture_size(picture)
    except InputError:
        return False
    return True


def _load_framework(config: RunConfig, interruption: Interruption) -> None:
    """Imports the framework of a run."""
    with interruption.undisturbed():
        open_renderer(config)


def _opened(start: Start, habits: Habits) -> Run:
    """The run before its first step."""
    with _announced(habits.quiet):
        title = name_of_picture(start.picture)
        return open_run(start.target, start.config, weights=start.weights, memory=habits.memory, title=title)


def _finish(
    folder: Path, run: Run, plan: Plan, start: Start, keeper: Keeper, habits: Habits, started: float, clock: Clock,
    interruption: Interruption,
) -> None:  # fmt: skip
    """Runs the rest of a plan and saves all results."""
    config, quiet = start.config, habits.quiet
    display = _display(*config.extent, quiet)
    with clock.part("fit"):
        result = carry_out(run, plan, config, display, started, interruption, lambda: keeper.offer(run, plan))
    cut_off = result.reason == "interrupted"
    if cut_off:
        keeper.save(run, plan)
    with clock.part("save"):
        _save(folder, result, start)
    files = distinct_paths([*((folder / name for name in EXPORTED) if not habits.no_export else ()), *habits.exports])
    written = _written(result, files, ExportOptions(), quiet, together=True, around=lambda path: clock.file(path.name))
    with clock.part("exports"):
        for number, _ in enumerate(written, 1):
            if interruption.signal is not None and not cut_off and number < len(files):
                # Interrupted after the fit: `resume` writes the remaining files.
                cut_off = True
                written.close()  # finishes the current files
                keeper.save(run, plan)
                break
    if not cut_off and not result.resumable:
        clear(folder)
    if habits.as_json:
        click.echo(json.dumps({**metrics_of(result), "timings": clock.to_json()}))
    metrics = result.metrics
    if metrics is not None and not quiet:
        click.echo(
            f"{metrics.shapes} shapes{_colours(metrics)}, {_likeness(metrics)}, "
            f"{metrics.steps} steps in {metrics.fit_seconds:.1f} s, "
            f"{plan.elapsed + time.perf_counter() - started:.1f} s in all{_why(result.reason, config)}\n"
            f"{printable(folder)}",
            err=habits.as_json,
        )
    if cut_off:
        _warn(f"interrupted; the current scene is saved. To continue: artpipe resume {folder}")
        raise SystemExit(interruption.exit_code)
    if not result.complete:
        raise InputError(f"{result.reason}. The last good scene is saved in {folder}")


def _save(folder: Path, result: Result, start: Start) -> None:
    """Saves a run in its folder; if that fails, saves the scene in the temporary folder."""
    try:
        save_run(folder, result, start.picture, start.config)
        if start.weights is not None:
            save_png(weights_picture(start.weights), folder / "mask.png")
    except InputError as error:
        spare = Path(tempfile.mkdtemp(prefix="artpipe-")) / "scene.json"
        save_scene(result.scene, spare)
        raise InputError(f"{error}. The scene is saved as {spare}; later, try: artpipe resume {folder}") from None


def _why(reason: str, config: RunConfig) -> str:
    """The option of the stop rule that ended a run, for the last line."""
    rule = reason.replace("-", "_")
    return f", ended by --{reason} {getattr(config, rule):g}" if rule in STOP_RULES else ""


def _warn(line: str) -> None:
    click.echo(printable(line), err=True)


def carry_out_chain(
    picture: Path, options: dict[str, Any], stages: Sequence[Stage], quiet: bool, interruption: Interruption
) -> None:
    """Runs `artpipe load … stage …`."""
    started = time.perf_counter()
    # The stages' own counts bound the scene; there is no pool.
    most = max(accumulate(stages, lambda shapes, stage: stage.leaves(shapes), initial=0))
    if most > COUNT_MAX:
        raise InputError(f"the stages make {most} shapes; needs at most {COUNT_MAX}. Try a smaller --count or --max")
    config = replace(changed(RunConfig(), options).resolved, count=max(1, most), pool=1.0)
    stages = [
        replace(stage, loss=config.settle_loss) if isinstance(stage, Settle) and stage.loss is None else stage
        for stage in stages
    ]
    settle_losses = [stage.loss for stage in stages if isinstance(stage, Settle) and stage.loss is not None]
    if config.settle_loss is not None and not settle_losses:
        raise InputError(f"{config.settle_loss} acts while settling; the chain has no stage settle. Add one")
    target = load_target(picture, config)
    _load_framework(config, interruption)
    steps = sum(getattr(stage, "steps", 0) for stage in stages)
    with _announced(quiet):
        run = open_run(target, config, picture, title=name_of_picture(picture), settle_losses=settle_losses)
    interruption.defer()
    observers = [] if quiet else [Forward(_name_file), *_display(steps, "steps", quiet)]
    result = carry_out(run, Plan(stages), config, observers, started, interruption)
    metrics = result.metrics
    if metrics is not None and not quiet:
        click.echo(
            f"{metrics.shapes} shapes{_colours(metrics)}, {_likeness(metrics)}, {metrics.fit_seconds:.1f} s", err=True
        )
    if result.reason == "interrupted":
        raise SystemExit(interruption.exit_code)
    if not result.complete:
        raise InputError(result.reason)


def write_exports(source: Path, files: Sequence[Path], options: dict[str, Any], check: bool, quiet: bool) -> None:
    """Runs `artpipe export`; prints the paths, with `check` also file sizes and the fidelity of SVGs.

    Raises:
        InputError: the source cannot be read, or a file cannot be written.
        BackendUnavailable: an extra is missing.
    """
    files, wanted = distinct_paths(files), ExportOptions(**options)
    check_paths(files, wanted)
    if check:
        need_rasteriser()
    result = load_result(source)
    for path in _written(result, files, wanted, quiet):
        note = ""
        if (check or wanted.made_for) and path.is_file():  # not a pattern of frames
            note = f"  {path.stat().st_size / 1000:.0f} kB"
            if check and path.suffix.lower() in (".svg", ".svgz") and not wanted.outline:
                for name in rasterisers():
                    note += f", {svg_fidelity(path, result.scene, name):.1f} dB of the scene (drawn by {name})"
        if check or not quiet:
            click.echo(f"{printable(path)}{note}")


def _written(result: Result, files: Sequence[Path], options: ExportOptions, quiet: bool, **how: Any) -> Generator[Path]:
    """Writes distinct files as `export_files` does, showing the current one on a terminal."""
    written = export_files(result, files, options, **how)
    if quiet or not sys.stderr.isatty():
        yield from written
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    for path in files:
        with console.status(Text(f"writing {printable(path.name)}")):
            yield next(written)


def _colours(metrics: Metrics) -> str:
    if metrics.colours is None:
        return ""
    return f" in {metrics.colours} colour{'s' if metrics.colours != 1 else ''}"


def _likeness(metrics: Metrics) -> str:
    return "an exact picture" if metrics.psnr is None else f"{metrics.psnr:.2f} dB, SSIM {metrics.ssim:.3f}"


@contextmanager
def _announced(quiet: bool) -> Iterator[None]:
    """Prints a line if the block takes long, as when the kernel is compiled."""

    def announce() -> None:
        click.echo("compiling the CPU kernel, once on this machine (about half a minute) …", err=True)

    timer = threading.Timer(2.5, announce)
    if not quiet:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _display(planned: float, unit: str, quiet: bool) -> list[Observer]:
    if quiet:
        return []
    return [ProgressBar(planned, unit) if sys.stderr.isatty() else ProgressLines(planned, unit)]


def _name_file(event: Event) -> None:
    if isinstance(event, Exported):
        click.echo(printable(event.path))
