"""Generates `docs/options.md`, the page of all options, from their dataclasses."""

from __future__ import annotations

from collections.abc import Iterator

from artpipe.renderers.options import Setting, settings_of
from artpipe.stages.exporters.options import ExportOptions
from artpipe.stages.grow import Grow
from artpipe.stages.refine import Refine, Settle
from artpipe.stages.relocate import Relocate, Search
from artpipe.stages.seed import Seed

from ..bench.options import BenchOptions, SweepOptions
from ..options import RunConfig
from .habits import Habits

_HEAD = """\
# Options

All options of artpipe, on the command line, in Python and in `run.json`. This page is generated from the dataclasses of
the options by `UPDATE=1 pytest tests/test_options_page.py`.
"""

_SECTIONS: dict[str, tuple[str, type]] = {
    "A run": (
        "`artpipe run PICTURE`, `artpipe.fit(picture, …)` and `run.json`. A dotted name is a nested field: "
        "`artpipe.fit(picture, rates=artpipe.Rates(position=1))`. `--param` and `--vary` of `artpipe bench` take these "
        "names. `artpipe load PICTURE` takes the groups picture, look, focus and rates, `artpipe bench command` all.",
        RunConfig,
    ),
    "Run and resume": ("`artpipe run` and `artpipe resume`.", Habits),
    "Exports": (
        "`artpipe export`, `export` in a chain of stages, and `artpipe.export(result, file, …)`.",
        ExportOptions,
    ),
    "Stage seed": ("In a chain: `artpipe load PICTURE seed …`; in Python `artpipe.stages.seed.Seed`.", Seed),
    "Stage grow": ("In Python `artpipe.stages.grow.Grow`.", Grow),
    "Stage refine": ("In Python `artpipe.stages.refine.Refine`.", Refine),
    "Stage relocate": ("In Python `artpipe.stages.relocate.Relocate`.", Relocate),
    "Stage search": ("In Python `artpipe.stages.relocate.Search`.", Search),
    "Stage settle": ("In Python `artpipe.stages.refine.Settle`.", Settle),
    "Bench": ("`artpipe bench`; in Python `artpipe.pipeline.bench.options.BenchOptions`.", BenchOptions),
    "Sweep": ("`artpipe bench sweep`; in Python `artpipe.pipeline.bench.options.SweepOptions`.", SweepOptions),
}


def options_page() -> str:
    """The page as Markdown."""
    return "\n".join([_HEAD, *(line for title, section in _SECTIONS.items() for line in _section(title, *section))])


def _section(title: str, where: str, options: type) -> Iterator[str]:
    yield from (f"## {title}", "", where, "")
    settings = settings_of(options)
    for group in dict.fromkeys(setting.option.group for setting in settings):
        if group:
            yield from (f"### {group.capitalize()}", "")
        yield from ("| command line | Python | what | default | accepted |", "|---|---|---|---|---|")
        yield from (_row(setting) for setting in settings if setting.option.group == group)
        yield ""


def _row(setting: Setting) -> str:
    option = setting.option
    flags = ", ".join(f"`{flag}`" for flag in setting.flags)
    what = f"{option.sentence} *Advanced.*" if option.advanced else option.sentence
    cells = (flags, f"`{setting.name}`", what, setting.shown_default or "off", option.accepted)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |".replace("|  |", "| |")
