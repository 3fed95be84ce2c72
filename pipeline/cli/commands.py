"""The command line. This module loads only click; each command imports what it needs when it runs."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from artpipe import ArtpipeError, InputError
from artpipe.renderers.errors import printable
from artpipe.renderers.options import changed
from artpipe.renderers.threads import THREADS_MAX

from .chain import EXPORT_OPTIONS, STAGE_COMMANDS, run_chain, split_chain
from .notices import notices
from .options import OptionCommand, with_options
from .paths import FILE, FOLDER
from .streams import standard_streams
from .synonyms import suggested

RUN_CONFIG = "artpipe.pipeline.options:RunConfig"
BENCH_OPTIONS = "artpipe.pipeline.bench.options:BenchOptions"
SWEEP_OPTIONS = "artpipe.pipeline.bench.options:SweepOptions"
HABITS = "artpipe.pipeline.cli.habits:Habits"

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True}


class _Main(click.Group):
    """The root: prints deliberate errors in one line and splits the chain of stages after `load`."""

    command_class = OptionCommand

    def main(self, *args: Any, **options: Any) -> Any:
        with standard_streams():
            return super().main(*args, **options)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with _errors_in_one_line():
            if args and args[0] == "load":
                args, ctx.meta["artpipe.chain"] = split_chain(args, self.commands["load"])
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _errors_in_one_line():
                return super().invoke(ctx)
        except KeyboardInterrupt as error:
            click.echo("interrupted; no file is left incomplete", err=True)
            ctx.exit(128 + (error.args[0] if error.args else signal.SIGINT))  # as a shell reports a signal


@contextmanager
def _errors_in_one_line() -> Iterator[None]:
    """Converts deliberate errors and file errors to exceptions that click prints in one line."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:  # this is the help, in many lines
        raise
    except click.UsageError as error:
        if isinstance(error, click.NoSuchOption):
            error = suggested(error)
        raise click.UsageError(printable(error.format_message()), error.ctx) from error
    except ArtpipeError as error:
        raise click.ClickException(printable(error)) from error
    except OSError as error:
        if error.filename is None:  # not about a file of the user
            raise
        raise click.ClickException(printable(f"cannot use {error.filename}: {error.strerror}")) from error
    except MemoryError:
        raise click.ClickException("out of memory. Try a smaller --size or --width, or fewer shapes") from None


@click.group(cls=_Main, context_settings=CONTEXT)
@click.version_option(package_name="artpipe", prog_name="artpipe")
def main() -> None:
    """Turn a painting into soft shapes, grown where the picture is wrong.

    \b
    artpipe run painting.jpg
    artpipe run painting.jpg --growth 256 --max 2048 --renderer torch
    artpipe export outputs/painting painting.svg timelapse.webp
    artpipe load painting.jpg grow --max 512 refine --steps 200 export out.png
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    click.get_current_context().with_resource(notices())


def _limit_threads(ctx: click.Context, parameter: click.Parameter, threads: int | None) -> None:
    """Limits the threads of the command."""
    del parameter
    if threads is not None:
        from artpipe.renderers.threads import thread_limit

        ctx.with_resource(thread_limit(threads))


_THREADS = click.option(
    "--threads", type=click.IntRange(1, THREADS_MAX), callback=_limit_threads, expose_value=False,
    help="Drawing threads; the result does not depend on them.  [default: ARTPIPE_THREADS, or the usable cores]",
)  # fmt: skip


@main.command()
@click.argument("picture", type=FILE)
@click.option("-o", "--output", type=FOLDER, help="Run folder.  [default: outputs/NAME]")
@click.option("--config", type=FILE, help="Repeat the options of this run.json.")
@with_options(RUN_CONFIG)
@with_options(HABITS, into="habits")
@_THREADS
def run(
    picture: Path, output: Path | None, config: Path | None, options: dict[str, Any], habits: dict[str, Any]
) -> None:
    """Paint a picture with shapes and save all results in a folder.

    Ctrl-C saves the current state; `artpipe resume FOLDER` continues from there, also after a crash or kill.
    """
    from ..running.interruption import Interruption

    with Interruption() as interruption:
        with interruption.undisturbed():
            from .habits import Habits
            from .work import paint

        paint(picture, output, config, options, Habits(**habits), interruption)


@main.command()
@click.argument("folder", type=FOLDER)
@with_options(HABITS, into="habits")
@_THREADS
def resume(folder: Path, habits: dict[str, Any]) -> None:
    """Continue a run that was interrupted or killed, to the same scene, bit for bit."""
    from ..running.interruption import Interruption

    with Interruption() as interruption:
        with interruption.undisturbed():
            from .habits import Habits
            from .work import resume

        resume(folder, Habits(**habits), interruption)


for _name, _command in STAGE_COMMANDS.items():
    if _name != "export":  # the root's `export` takes a source; see below
        main.add_command(_command, _name)


@main.command()
@click.argument("picture", type=FILE)
@with_options(RUN_CONFIG, "picture", "look", "focus", "rates")
@_THREADS
@click.option("-q", "--quiet", is_flag=True, help="Show nothing but errors.")
@click.pass_context
def load(ctx: click.Context, /, picture: Path, quiet: bool, options: dict[str, Any]) -> None:
    """Load a picture, then run the stages that follow, in order.

    \b
    artpipe load painting.jpg grow --max 512 refine --steps 200 export out.png
    artpipe load painting.jpg --size 384 seed --count 64 refine relocate refine settle export a.png b.json
    """  # noqa: D301
    from ..running.interruption import Interruption

    with Interruption() as interruption:
        run_chain(ctx, picture, options, ctx.find_root().meta.get("artpipe.chain", []), quiet, interruption)


@main.command()
@click.argument("source", type=FOLDER)
@click.argument("files", nargs=-1, required=True, type=FILE)
@with_options(EXPORT_OPTIONS)
@_THREADS
@click.option(
    "--check", is_flag=True, help="Print file sizes, and the fidelity of SVGs drawn by resvg and ThorVG (extra svg)."
)
@click.option("-q", "--quiet", is_flag=True, help="Show nothing but errors.")
def export(source: Path, files: tuple[Path, ...], check: bool, quiet: bool, options: dict[str, Any]) -> None:
    """Write a run folder or a scene file in the formats of the FILES' endings.

    \b
    .png .jpg     the picture, drawn at any --width
    .svg .svgz    vector: a browser draws what was optimised; also --flat, --layers N, --animated
    .pdf          vector, for print; also --paper a3, --bleed 3mm
    .gif .webp    the growth as a film; also .apng, and .mp4 with the extra video
    %04d.png      the same frames as numbered files
    .lottie.json  the growth as an animation of vectors, for apps
    .lqip.html    a placeholder for a web page, about a kilobyte
    .js           a p5.js sketch, to be changed by hand
    .html         a viewer: one file with slider, zoom and the original for comparison
    .json .npz    the scene: JSON for other programs, NumPy arrays in less space

    \b
    artpipe export outputs/painting painting.svg timelapse.webp big.png --width 2048
    artpipe export outputs/painting cut.svg --flat --layers 8
    artpipe export outputs/painting poster.pdf --paper a3 --bleed 3mm
    """  # noqa: D301
    from .work import write_exports

    write_exports(source, files, options, check, quiet)


@main.command()
@click.argument("source", type=FOLDER)
@click.option("-o", "--output", type=FILE, required=True, help="PNG file to write.")
@with_options(EXPORT_OPTIONS, "width")
@_THREADS
def render(source: Path, output: Path, options: dict[str, Any]) -> None:
    """Draw a run folder or a scene file as a PNG at any size, from the shapes, not by enlarging pixels."""
    from artpipe.stages.exporters.options import ExportOptions
    from artpipe.stages.exporters.png import export_png
    from artpipe.stages.formats.scene_file import load_scene
    from artpipe.stages.result import Result

    from ..folders.rundir import scene_file

    if output.suffix.lower() != ".png":
        raise InputError(f"cannot write {output}: the name needs to end in .png")
    export_png(Result(load_scene(scene_file(source))), output, ExportOptions(**options))
    click.echo(printable(output))


class _Bench(click.Group):
    """Takes pictures and options without a command's name for those of `paintings`."""

    command_class = OptionCommand

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["paintings", *args]
        return super().parse_args(ctx, args)


@main.group(cls=_Bench, no_args_is_help=False)
def bench() -> None:
    """Compare growth with a fixed count, and time a step on this machine (extra bench).

    \b
    artpipe bench                                      the sample paintings, small, under 3 minutes
    artpipe bench a.jpg b.jpg --trials 3 --full
    artpipe bench sweep a.jpg --param growth=64,128,256
    artpipe bench renderers
    artpipe bench command a.jpg --max 64
    """  # noqa: D301


@bench.command()
@click.argument("pictures", nargs=-1, type=FILE)
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    default=Path("outputs/bench"),
    help="Output folder; a bench that is in it is resumed.",
)
@click.option(
    "--full", is_flag=True, help="2048 shapes, 256x256 pixels, 4096 steps of the baseline: the published size."
)
@with_options(BENCH_OPTIONS)
@click.option("--published", type=FILE, help="CSV of published losses to compare the baseline with.")
@click.option("-q", "--quiet", is_flag=True, help="Show nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="Print bench.json on stdout.")
def paintings(
    pictures: tuple[Path, ...],
    output: Path,
    full: bool,
    published: Path | None,
    quiet: bool,
    as_json: bool,
    options: dict[str, Any],
) -> None:
    """Run every contestant on every picture, and report what each reached and when.

    Contestants: baseline, fixed, fixed-seconds, growth, growth-no-relocation, growth-fixed-softness; the
    report describes them. An interrupted bench keeps its finished trials; the same command resumes it.
    """
    from ..bench.machine import require

    require("pandas", "jinja2", "matplotlib")
    from ..bench.command import bench_paintings, read_published, sample_pictures
    from ..bench.options import FULL, BenchOptions
    from ..bench.suite import Bench

    wanted = changed(FULL if full else BenchOptions(), options)
    losses = {} if published is None else read_published(published)
    opened = Bench.open(output, wanted, list(pictures) or sample_pictures())
    bench_paintings(opened, losses, quiet, as_json)


@bench.command()
@click.argument("pictures", nargs=-1, required=True, type=FILE)
@click.option(
    "--param", "params", multiple=True, metavar="NAME[=LOW:HIGH|A,B,C]",
    help="Setting to vary, such as rates.position=0.2:1.0 or growth=64,128,256; without values, over its usual range; "
    "may be given again.",
)  # fmt: skip
@with_options(SWEEP_OPTIONS, into="habits")
@click.option(
    "-o", "--output", type=FOLDER, default=Path("outputs/sweep"),
    help="Output folder; a sweep that is in it is resumed.",
)  # fmt: skip
@click.option("--config", type=FILE, help="Start from the options of this run.json.")
@with_options(RUN_CONFIG, "growth", "picture", "search", "rates")
@click.option("-q", "--quiet", is_flag=True, help="Show nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")
def sweep(
    pictures: tuple[Path, ...],
    params: tuple[str, ...],
    habits: dict[str, Any],
    output: Path,
    config: Path | None,
    quiet: bool,
    as_json: bool,
    options: dict[str, Any],
) -> None:
    """Search for good settings for some pictures with Optuna (extra bench); resumes after an interruption.

    \b
    artpipe bench sweep a.jpg b.jpg --param rates.position=0.2:1.0 --param growth=64,128,256
    artpipe bench sweep images/*.jpg --param lr.opacity=0.05:0.5:log --preset draft --repeats 3
    artpipe run painting.jpg --config outputs/sweep/best.json
    """  # noqa: D301
    from ..bench.command import show_sweep
    from ..bench.options import SweepOptions
    from ..bench.sweep import Sweep
    from ..folders.rundir import load_config
    from ..options import RunConfig

    base = changed(RunConfig() if config is None else load_config(config), options)
    show_sweep(Sweep(pictures, params, output, base, SweepOptions(**habits)), quiet, as_json)


@bench.command()
@click.option("--dense", is_flag=True, help="Time the dense kernels too (minutes).")
@click.option("--repeats", type=click.IntRange(1), default=100, help="Timings to take each median of.")
@_THREADS
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON on stdout.")
def renderers(dense: bool, repeats: int, as_json: bool) -> None:
    """Time a step of 2048 shapes on 256 x 256 pixels, by renderer and shape."""
    from rich.console import Console
    from rich.table import Table

    from ..bench.renderers import measure

    found: dict[str, dict[str, float]] = {}
    with Console(stderr=True).status("measuring (first: compiling the CPU kernel, once)"):
        for renderer, shape, milliseconds in measure(repeats, dense):
            found.setdefault(renderer, {})[shape] = milliseconds
    if as_json:
        rows = [
            {"renderer": renderer, "shape": shape, "milliseconds": value}
            for renderer, values in found.items() for shape, value in values.items()
        ]  # fmt: skip
        click.echo(json.dumps(rows, indent=1))
    else:
        table = Table("ms a step", *found["kernel"], title="artpipe bench renderers")
        for renderer, values in found.items():
            table.add_row(renderer, *(f"{value:.2f}" for value in values.values()))
        Console().print(table)


@bench.command()
@click.argument("pictures", nargs=-1, type=FILE)
@click.option("--repeats", type=click.IntRange(1), default=7, help="Runs to take each median of.")
@with_options(RUN_CONFIG)
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON on stdout.")
def command(pictures: tuple[Path, ...], repeats: int, as_json: bool, options: dict[str, Any]) -> None:
    """Time whole runs of `artpipe run`, each in a process of its own, by part; by default of the sample paintings."""
    from ..bench.command import sample_pictures, show_command
    from ..options import RunConfig

    show_command(list(pictures) or sample_pictures(), changed(RunConfig(), options), repeats, as_json)
