"""Stages as commands that chain: `artpipe load p.jpg grow --max 2048 refine --steps 500 export out.png`.

click's own chain mode takes no options after an argument, and no groups beside the chain. So the line is
cut at the names of stages, and each piece is parsed by that stage's own command. All pieces are parsed
before any work begins.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import click

from artpipe import InputError

from ..running.interruption import Interruption
from .paths import FILE

Pieces = list[tuple[str, list[str]]]


def split_chain(args: list[str], first: click.Command) -> tuple[list[str], Pieces]:
    """Cuts a command line at the names of stages, where they are not values of options.

    Args:
        args: the line, the first command's name in front.
        first: the first command.

    Returns:
        What belongs to the first command, and (stage, arguments) in order.
    """
    pieces: Pieces = [(args[0], [])]
    command, words = first, iter(args[1:])
    options_end = False
    for word in words:
        if word in STAGE_COMMANDS:
            command, options_end = STAGE_COMMANDS[word], False
            pieces.append((word, []))
            continue
        pieces[-1][1].append(word)
        options_end = options_end or word == "--"
        if not options_end and _takes_the_next(command, word):
            pieces[-1][1].extend(islice(words, 1))
    (name, own), *chained = pieces
    return [name, *own], chained


def _takes_the_next(command: click.Command, word: str) -> bool:
    """Whether a word is an option of the command whose value is the next word."""
    return any(
        word in option.opts and not option.is_flag and not isinstance(option.flag_value, str)  # else it may be left out
        for option in command.params
        if isinstance(option, click.Option)
    )


def run_chain(
    ctx: click.Context, picture: Path, options: dict[str, Any], pieces: Pieces, quiet: bool, interruption: Interruption
) -> None:
    """Parses the pieces into stages, loads the picture, and carries the stages out.

    Raises:
        InputError: there is no stage, the picture cannot be read, or a file cannot be written.
    """
    if not pieces:
        raise InputError(
            f"load needs stages after it: {', '.join(STAGE_COMMANDS)}. Try: load P.JPG grow export OUT.PNG"
        )
    stages = []
    for name, arguments in pieces:
        command = STAGE_COMMANDS[name]
        with command.make_context(name, list(arguments), parent=ctx) as sub:
            sub.meta["artpipe.chained"] = True
            stages.append(command.invoke(sub))

    from .work import carry_out_chain

    carry_out_chain(picture, options, stages, quiet, interruption)


def _stage(name: str, *parameters: Callable[[Any], Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes a function from options to a stage into a command of `STAGE_COMMANDS`."""

    def decorate(build: Callable[..., Any]) -> Callable[..., Any]:
        def command(**values: Any) -> Any:
            if not click.get_current_context().meta.get("artpipe.chained"):
                raise InputError(f"{name} works on a picture; try: artpipe load P.JPG {name} export OUT.PNG")
            return build(**values)

        command.__doc__ = build.__doc__
        for parameter in reversed(parameters):
            command = parameter(command)
        STAGE_COMMANDS[name] = click.command(name, context_settings={"show_default": True})(command)
        return build

    return decorate


STAGE_COMMANDS: dict[str, click.Command] = {}

_SEEDER = click.option(
    "--seeder", type=click.Choice(["error", "gain", "random", "grid"]), default="error", help="Where they are sought."
)


@_stage("seed", click.option("--count", type=click.IntRange(1), default=256, help="Circles of the batch."), _SEEDER)
def _seed(count: int, seeder: str) -> Any:
    """Stage: add one batch of circles where the error is."""
    from artpipe.stages.placing.place import Newcomers
    from artpipe.stages.seed import Seed

    return Seed(count, Newcomers(seeder))


@_stage(
    "grow",
    click.option("--max", "count", type=click.IntRange(1), default=2048, help="Circles at its end."),
    click.option("--growth", type=click.IntRange(1), default=256, help="Circles of a batch."),
    click.option("--steps", type=click.IntRange(0), default=200, help="Optimiser steps, shared by the batches."),
    _SEEDER,
)
def _grow(count: int, growth: int, steps: int, seeder: str) -> Any:
    """Stage: seed a batch, refine all, repeat until enough stand."""
    from artpipe.stages.grow import Grow
    from artpipe.stages.placing.place import Newcomers

    return Grow(count, growth, steps, Newcomers(seeder))


@_stage("refine", click.option("--steps", type=click.IntRange(0), default=100, help="Optimiser steps."))
def _refine(steps: int) -> Any:
    """Stage: move all circles by gradient descent."""
    from artpipe.stages.refine import Refine

    return Refine(steps)


@_stage(
    "relocate",
    click.option(
        "--fraction", type=click.FloatRange(0, 1), default=0.2, help="Share of circles, the least worth first."
    ),
    click.option("--max", "count", type=click.IntRange(1), help="Circles afterwards.  [default: as many as before]"),
)
def _relocate(fraction: float, count: int | None) -> Any:
    """Stage: replace the circles worth least by others where the error is."""
    from artpipe.stages.relocate import Relocate

    return Relocate(fraction, count)


@_stage(
    "search",
    click.option("--steps", type=click.IntRange(1), default=1000, help="Optimiser steps in all."),
    click.option("--every", type=click.IntRange(1), default=30, help="Steps between relocations."),
    click.option("--fraction", type=click.FloatRange(0, 1), default=0.4, help="Share relocated at first; falls to 0."),
    click.option("--max", "count", type=click.IntRange(1), help="Circles at its end.  [default: as many as before]"),
)
def _search(steps: int, every: int, fraction: float, count: int | None) -> Any:
    """Stage: relocate and refine by turns, ever fewer circles."""
    from artpipe.stages.relocate import Search

    return Search(steps, count, every, fraction)


@_stage("settle", click.option("--steps", type=click.IntRange(0), default=100, help="Optimiser steps."))
def _settle(steps: int) -> Any:
    """Stage: refine with rates that fall to almost nothing."""
    from artpipe.stages.refine import Settle

    return Settle(steps)


EXPORT_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--width",
        type=click.IntRange(1, 65536),
        help="Pixels; the height follows.  [default: the scene's; films at most 1024 a side]",
    ),
    click.option("--title", help="Name of the painting, in SVG and HTML.  [default: the picture's]"),
    click.option("--fps", type=click.FloatRange(0.1, 50), default=12.0, help="Films: frames a second."),
    click.option("--seconds", type=click.FloatRange(0.1, 300), default=5.0, help="Films, --animated: time to grow."),
    click.option("--hold", type=click.FloatRange(0, 300), default=2.0, help="Seconds that the result then stands."),
    click.option("--loop", type=click.IntRange(0, 65535), default=0, help="How often it plays; 0 for ever."),
    click.option("--animated", is_flag=True, help="SVG that grows by itself."),
    click.option("--flat", is_flag=True, help="SVG of hard discs: small, for cutters and old programs."),
    click.option("--layers", type=click.IntRange(1, 24), help="SVG in layers, one a palette colour.  [default: none]"),
    click.option(
        "--matte",
        metavar="white|black|#rrggbb",
        help="GIF, MP4: colour beneath half-transparent pixels.  [default: white; MP4: the scene's background]",
    ),
    click.option(
        "--alpha-threshold",
        type=click.FloatRange(0, 1),
        help="GIF: alpha from which on a pixel is opaque.  [default: one that few pixels are near to, at most 0.25]",
    ),
)


@_stage("export", click.argument("files", nargs=-1, required=True, type=FILE), *EXPORT_OPTIONS)
def _export(files: tuple[Path, ...], **options: Any) -> Any:
    """Stage: write the scene as it stands; the files' endings say how (`artpipe export --help`)."""
    from artpipe.stages.export import Export
    from artpipe.stages.exporters.options import ExportOptions

    return Export(files, ExportOptions(**options))
