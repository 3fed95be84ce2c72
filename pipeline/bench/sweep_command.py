"""The work behind `artpipe bench sweep`: what is shown while it seeks, and what it found, in words."""

from __future__ import annotations

import json
import sys

import click

from artpipe.renderers import InputError
from artpipe.renderers.errors import printable
from artpipe.stages.formats.names import name_of_picture

from .sweep import Sweep, SweepResult, SweepTrial


def carry_out_sweep(at_work: Sweep, quiet: bool, as_json: bool) -> None:
    """Carries out `artpipe bench sweep`: progress on stderr, the result on stdout; Ctrl-C ends it with exit 130.

    Raises:
        InputError: nothing could be fitted to the end, or not in the seconds given.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, quiet=quiet)
    bar = Progress(
        SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=None), TextColumn("fit"),
        MofNCompleteColumn(), TimeRemainingColumn(compact=True),
        console=console, transient=True, disable=quiet or not sys.stderr.isatty(),
    )  # fmt: skip
    wanted = at_work.options.trials
    task = bar.add_task("", total=wanted * at_work.fit_count)

    def show(number: int, picture: str) -> None:
        bar.update(task, description=f"trial {number}: {name_of_picture(picture)}", advance=1)

    def show_line(text: str) -> None:
        console.print(printable(text), soft_wrap=True, markup=False, highlight=False)

    done = len(at_work.result().trials)
    bar.update(task, completed=done * at_work.fit_count)
    if done:
        show_line(f"goes on in {at_work.folder}: {_counted(done)} done")
    interrupted = False
    try:
        with bar:
            while (trial := at_work.next_trial(show)) is not None:
                result = at_work.result()
                bar.update(task, completed=len(result.trials) * at_work.fit_count)
                show_line(f"{len(result.trials)} of {wanted}: {_told(trial, result)}")
    except KeyboardInterrupt:
        interrupted = True
    result = at_work.result()
    if as_json:
        click.echo(json.dumps(result.to_json()))
    if not quiet and result.best is not None:
        click.echo("\n".join(map(printable, _summary(result, at_work))), err=as_json)
    if interrupted:
        click.echo(f"interrupted; {_counted(len(result.trials))} kept, the same command goes on", err=True)
        raise SystemExit(130)
    if result.best is None:
        raise InputError(f"no trial was finished; {at_work.folder / 'trials.csv'} says why")


def _told(trial: SweepTrial, result: SweepResult) -> str:
    """A trial in a line."""
    values = ", ".join(f"{name}={value}" for name, value in trial.values.items())
    if trial.verdict != "finished":
        return f"{trial.verdict} ({values})"
    best = ", the best so far" if result.best is not None and trial.number == result.best.number else ""
    return f"loss {trial.loss:.4g}{best} ({values}{', as it was' if trial.start else ''})"


def _summary(result: SweepResult, at_work: Sweep) -> list[str]:
    """What was found, in words."""
    best, start = result.best, result.start
    assert best is not None
    pictures, seeds = len(at_work.pictures), at_work.options.repeats
    lines = [
        f"best of {len(result.trials)} trials: loss {best.loss:.4g}, geometric mean over {pictures} "
        f"picture{'s' * (pictures > 1)}, {seeds} seed{'s' * (seeds > 1)} each"
    ]
    width = max(map(len, best.values))
    for name, value in best.values.items():
        lines.append(f"  {name:<{width}}  {value}" + ("" if start is None else f"  (was {start.values[name]})"))
    if start is None or result.gain is None:
        lines.append("the settings that it began with could not be fitted")
    elif best.number == start.number:
        lines.append("nothing was better than the settings as they were")
    else:
        lines.append(
            f"{abs(result.gain):.2%} {'lower' if result.gain >= 0 else 'higher'} than {start.loss:.4g} with the "
            "settings as they were"
        )
        if result.spread is None:
            lines.append("warning: whether that is noise is unknown; --repeats 3 fits each picture with 3 seeds")
        elif result.is_noise:
            lines.append(f"warning: that is noise, the spread over seeds is {result.spread:.2%}")
        else:
            lines.append(f"the spread over seeds is {result.spread:.2%}")
    return [*lines, str(result.config_file), f"artpipe run PICTURE --config {result.config_file}"]


def _counted(trials: int) -> str:
    return "1 trial is" if trials == 1 else f"{trials} trials are"
