"""The work of `artpipe bench`: run the trials, show progress, write the files."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from artpipe.renderers import InputError
from artpipe.renderers.errors import one_line, printable
from artpipe.stages.formats.files import write_text

from ..options import RunConfig
from .suite import Bench
from .sweep import Sweep
from .whole_command import measure

SAMPLES = Path("images")
_ENDINGS = (".jpg", ".jpeg", ".png", ".webp")


def sample_pictures() -> list[Path]:
    """The sample paintings of a checkout.

    Raises:
        InputError: there are none here.
    """
    found = sorted(path for path in SAMPLES.glob("*_*") if path.suffix.lower() in _ENDINGS)
    if not found:
        raise InputError(f"no picture is given, and there is no {SAMPLES}/ here. Try: artpipe bench a.jpg b.jpg")
    return found


def read_published(path: Path) -> dict[str, float]:
    """Published losses by painting, from a CSV with the columns `image` and `jax_seed_loss`.

    Raises:
        InputError: the file is missing or has other columns.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {row["image"]: float(row["jax_seed_loss"]) for row in csv.DictReader(file)}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a CSV with the columns image and jax_seed_loss: {one_line(error)}") from None


def bench_paintings(bench: Bench, published: Mapping[str, float], quiet: bool, as_json: bool) -> None:
    """Carry out the trials that are not done, and write the files of the bench; Ctrl-C exits with 130.

    Raises:
        InputError: a file cannot be written.
    """
    total = len(bench.planned)
    if not quiet and bench.trials:
        click.echo(printable(f"resuming {bench.folder}: {len(bench.trials)} of {total} trials are done"), err=True)
    interrupted = False
    try:
        for trial in bench.run():
            result = f"{trial.psnr:.2f} dB, {trial.steps} steps in {trial.fit_seconds:.1f} s"
            line = f"{trial.painting}: {trial.contestant}, {trial.renderer}, seed {trial.seed}: {result}"
            if not quiet:
                click.echo(printable(f"[{len(bench.trials)}/{total}] {line}"), err=True)
    except KeyboardInterrupt:
        interrupted = True
        click.echo("interrupted; finished trials are kept, and the same command resumes", err=True)
    if bench.trials:
        means = write_files(bench, published)
        if as_json:
            click.echo(json.dumps(bench.content()))
        elif not quiet:
            click.echo("\n".join(map(printable, means.to_string(index=False).splitlines())))
            click.echo(printable(bench.folder / "report.html"))
    if interrupted:
        raise SystemExit(130)


def write_files(bench: Bench, published: Mapping[str, float]) -> Any:
    """Write `bench.json`, `bench.csv` and `report.html`; return the table of means."""
    from . import tables
    from .report import write_report

    folder, trials, content = bench.folder, list(bench.trials.values()), bench.content()
    descriptions = {key: contestant.description for key, contestant in bench.options.competing.items()}
    rows = tables.frame(trials, descriptions)
    write_text(folder / "bench.json", json.dumps(content) + "\n")
    write_text(folder / "bench.csv", rows.to_csv(index=False))
    write_report(folder, content, trials, descriptions, published)
    return tables.means_table(rows)


def show_sweep(sweep: Sweep, quiet: bool, as_json: bool) -> None:
    """Carry out a sweep: progress on stderr, the result on stdout; Ctrl-C exits with 130.

    Raises:
        InputError: no trial was finished.
    """
    interrupted = False
    try:
        for trial in sweep.run():
            values = ", ".join(f"{name}={value}" for name, value in trial.values.items())
            outcome = f"loss {trial.loss:.4g}" if trial.verdict == "finished" else trial.verdict
            if not quiet:
                done = len(sweep.result().trials)
                click.echo(printable(f"[{done}/{sweep.options.trials}] {outcome} ({values})"), err=True)
    except KeyboardInterrupt:
        interrupted = True
        click.echo("interrupted; finished trials are kept, and the same command resumes", err=True)
    result = sweep.result()
    if as_json:
        click.echo(json.dumps(result.to_json()))
    if not quiet and result.best is not None:
        was = {name: f" (was {value})" for name, value in result.start.values.items()} if result.start else {}
        lines = [f"{name}: {value}{was.get(name, '')}" for name, value in result.best.values.items()]
        lines.append(f"loss: {result.best.loss:.4g}" + (f" (was {result.start.loss:.4g})" if result.start else ""))
        figures = {"gain": result.gain, "spread over seeds": result.spread}
        lines += [f"{name}: {'unknown' if value is None else f'{value:.2%}'}" for name, value in figures.items()]
        lines.append(f"artpipe run PICTURE --config {sweep.config_file}")
        click.echo("\n".join(map(printable, lines)), err=as_json)
    if interrupted:
        raise SystemExit(130)
    if result.best is None:
        raise InputError(f"no trial was finished; see {sweep.folder / 'trials.csv'}")


def show_command(pictures: Sequence[Path], config: RunConfig, repeats: int, as_json: bool) -> None:
    """Time whole runs, and print the seconds of their parts by picture.

    Raises:
        InputError: a run fails.
    """
    from rich.console import Console
    from rich.table import Table

    found: dict[str, dict[str, float]] = {}
    with Console(stderr=True).status(f"measuring, {repeats + 1} runs for each of {len(pictures)} pictures"):
        for picture, parts in measure(pictures, config, repeats):
            found[picture.stem] = parts
    if as_json:
        rows = [{"picture": name, "seconds": parts} for name, parts in found.items()]
        click.echo(json.dumps(rows, indent=1))
        return
    table = Table("seconds", *map(printable, found), title="artpipe bench command")
    for part in next(iter(found.values())):
        table.add_row(part, *(f"{parts[part]:.3f}" for parts in found.values()))
    Console().print(table)
