"""The work behind `artpipe bench paintings`: runs the trials, tells of them, writes what people read."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from artpipe.renderers import BackendUnavailable, InputError
from artpipe.renderers.errors import printable
from artpipe.stages.formats.files import write_text

from .plots import write_plots
from .readme import results_section, update_readme
from .report import write_report
from .suite import Bench
from .tables import markdown, rich_table, write_csv
from .trial import Trial

# Where pictures are sought when none is named.
SAMPLES = Path("images")
_ENDINGS = (".jpg", ".jpeg", ".png", ".webp")


def sample_pictures() -> list[Path]:
    """The sample paintings of a checkout.

    Raises:
        InputError: there are none here.
    """
    found = sorted(path for path in SAMPLES.glob("*_*") if path.suffix.lower() in _ENDINGS)
    if not found:
        raise InputError(f"no picture is named, and there is no {SAMPLES}/ here. Try: artpipe bench a.jpg b.jpg")
    return found


def read_published(path: Path) -> dict[str, float]:
    """Published losses by painting from a CSV with the columns `image` and `jax_seed_loss`.

    Raises:
        InputError: the file is missing or has other columns.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {row["image"]: float(row["jax_seed_loss"]) for row in csv.DictReader(file)}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"cannot read {path}: needs a CSV with the columns image and jax_seed_loss ({error})"
        ) from None


def bench_paintings(
    bench: Bench, readme: Path | None, published: dict[str, float] | None, quiet: bool, as_json: bool
) -> None:
    """Carries out what is left of a bench, and writes its files.

    Raises:
        InputError: a file cannot be written, or the README has no place for results.
    """
    from rich.console import Console

    left = len(bench.planned) - len(bench.trials)
    if not quiet and left < len(bench.planned):
        done_before = f"{len(bench.trials)} of {len(bench.planned)} trials stand in {bench.folder} already"
        click.echo(printable(done_before), err=True)
    interrupted = False
    try:
        for done, trial in enumerate(bench.run(), 1):
            if not quiet:
                click.echo(printable(f"[{done}/{left}] {_line(trial)}"), err=True)
    except KeyboardInterrupt:
        interrupted = True
        click.echo("interrupted; what is done is kept, and the same command goes on", err=True)
    if not bench.trials:
        raise SystemExit(130)
    content = bench.content()
    sentences = {key: contestant.sentence for key, contestant in bench.options.competing.items()}
    write_files(bench.folder, content, list(bench.trials.values()), sentences, published)
    if readme is not None and not interrupted:
        update_readme(readme, results_section(content, sentences))
    if as_json:
        click.echo(json.dumps(content))
    elif not quiet:
        Console(width=None if sys.stdout.isatty() else 160).print(
            rich_table(list(bench.trials.values()), sentences, "artpipe bench")
        )
        click.echo(printable(bench.folder / "report.html"))
    if interrupted:
        raise SystemExit(130)


def write_files(
    folder: Path, content: dict[str, object], trials: Sequence[Trial], sentences: dict[str, str],
    published: dict[str, float] | None,
) -> None:  # fmt: skip
    """Writes `bench.json bench.csv results.md report.html`, and plots where matplotlib is installed."""
    write_text(folder / "bench.json", json.dumps(content) + "\n")
    write_csv(trials, folder / "bench.csv")
    write_text(folder / "results.md", markdown(trials, sentences))
    write_report(folder, content, sentences, published)
    try:
        write_plots(trials, folder / "plots", sentences)
    except BackendUnavailable:
        pass  # an extra: the report has charts of its own


def _line(trial: Trial) -> str:
    return (
        f"{trial.painting}: {trial.contestant}, {trial.renderer}, seed {trial.seed}: {trial.psnr:.2f} dB, "
        f"{trial.steps} steps in {trial.fit_seconds:.1f} s"
    )
