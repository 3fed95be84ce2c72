"""Stages as commands that chain: `artpipe load p.jpg grow --max 2048 refine --steps 500 export out.png`.

click's chain mode allows neither options after an argument nor groups beside the chain. So the line is split at the
names of stages, and each piece is parsed by that stage's command. All pieces are parsed before any work begins.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import click

from artpipe import InputError
from artpipe.renderers.options import changed

from ..running.interruption import Interruption
from .options import OptionCommand, with_options
from .paths import FILE

Pieces = list[tuple[str, list[str]]]


def split_chain(args: list[str], first: click.Command) -> tuple[list[str], Pieces]:
    """Splits a command line at the names of stages, unless they are values of options.

    Args:
        args: the command line, starting with the name of the first command.
        first: the first command.

    Returns:
        The words of the first command, and (stage, arguments) in order.
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
    """Whether a word is an option of the command that takes the next word as its value."""
    return any(
        word in option.opts and not option.is_flag and not isinstance(option.flag_value, str)  # else it is optional
        for option in command.params
        if isinstance(option, click.Option)
    )


def run_chain(
    ctx: click.Context, picture: Path, options: dict[str, Any], pieces: Pieces, quiet: bool, interruption: Interruption
) -> None:
    """Parses the pieces into stages, loads the picture, and runs the stages.

    Raises:
        InputError: no stage is given, the picture cannot be read, or a file cannot be written.
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


EXPORT_OPTIONS = "artpipe.stages.exporters.options:ExportOptions"


def _stage(name: str, help: str, build: Callable[..., Any]) -> click.Command:
    """The command of a stage: returns the stage; works only in a chain."""

    @functools.wraps(build)
    def command(**values: Any) -> Any:
        if not click.get_current_context().meta.get("artpipe.chained"):
            raise InputError(f"{name} needs a picture; try: artpipe load P.JPG {name} export OUT.PNG")
        return build(**values)

    return click.command(name, cls=OptionCommand, help=f"Stage: {help}")(command)


def _stage_of(name: str, stage: str, help: str) -> click.Command:
    """The command of a stage that takes only options: `module:Name` is its dataclass."""

    def build(options: dict[str, Any]) -> Any:
        module, _, kind = stage.partition(":")
        return changed(getattr(import_module(module), kind)(), options)

    return _stage(name, help, with_options(stage)(build))


@click.argument("files", nargs=-1, required=True, type=FILE)
@with_options(EXPORT_OPTIONS)
def _export(files: tuple[Path, ...], options: dict[str, Any]) -> Any:
    from artpipe.stages.export import Export
    from artpipe.stages.exporters.options import ExportOptions

    return Export(files, ExportOptions(**options))


STAGE_COMMANDS: dict[str, click.Command] = {
    command.name or "": command
    for command in (
        _stage_of("seed", "artpipe.stages.seed:Seed", "add one batch of shapes where the error is."),
        _stage_of("grow", "artpipe.stages.grow:Grow", "seed a batch, refine all, repeat up to --max shapes."),
        _stage_of("refine", "artpipe.stages.refine:Refine", "move all shapes by gradient descent."),
        _stage_of(
            "relocate", "artpipe.stages.relocate:Relocate",
            "replace the shapes of least leave-one-out worth by new ones where the error is.",
        ),
        _stage_of("search", "artpipe.stages.relocate:Search", "alternate relocation and refinement."),
        _stage_of("settle", "artpipe.stages.refine:Settle", "refine with learning rates that fall almost to 0."),
        _stage(
            "export", "write the current scene in the formats of the endings (`artpipe export --help`).", _export
        ),
    )
}  # fmt: skip
"""Name to command of the stages that may follow `load`."""
