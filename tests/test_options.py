"""Options as dataclass fields: accepted values, JSON, documentation and command line."""

import inspect
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import click
import numpy as np
import pytest
from click.testing import CliRunner

from artpipe import InputError
from artpipe.pipeline.bench.options import BenchOptions, SweepOptions
from artpipe.pipeline.cli.habits import Habits
from artpipe.pipeline.cli.options import OptionCommand, with_options
from artpipe.pipeline.options import RunConfig
from artpipe.renderers.options import (
    changed,
    check_options,
    documented,
    from_json,
    nested,
    option,
    option_of,
    settings_of,
    to_json,
    values_of,
)
from artpipe.stages.exporters.options import ExportOptions
from artpipe.stages.grow import Grow
from artpipe.stages.refine import Refine, Settle
from artpipe.stages.relocate import Relocate, Search
from artpipe.stages.seed import Seed

OPTIONS = [RunConfig, ExportOptions, Habits, BenchOptions, SweepOptions, Seed, Grow, Refine, Relocate, Search, Settle]


def even(name, value):
    if not isinstance(value, (int, np.integer)) or value % 2:
        raise InputError(f"{name} is {value!r}; needs an even number")
    return value


@documented
@dataclass(frozen=True)
class Paint:
    """What paint is like.

    Raises:
        InputError: a value is not accepted.
    """

    thickness: float = option(0.5, "Thickness of a layer.", unit="millimetres", low=0.1, high=20, advanced=True)
    coats: int = option(1, "Layers.", low=1, high=9, flags=("-c", "--coats"))

    def __post_init__(self):
        check_options(self, "{} of the paint")


@documented
@dataclass(frozen=True)
class Brush:
    """How paint is laid on.

    Attributes:
        bristles: how many there are.
    """

    shape: tuple[str, ...] = option(("round",), "Shapes.", choices=("round", "flat", "fan"), group="form")
    width: float | None = option(None, "Width.", above=1, high=100, unset="as the shape has it", group="form")
    hard: bool = option(False, "Bristles that do not bend.")
    pressure: float = option(0.0, "Pressure; 0.75 if no amount follows.", low=0, high=1, alone=0.75)
    turns: int = option(2, "Half turns.", check=even)
    points: tuple[tuple[int, ...], ...] = option(
        (), "Points.", unset="none", check=lambda name, value: tuple(map(tuple, value)),
        read=lambda text: tuple(map(int, text.split("/"))),
    )  # fmt: skip
    samples: tuple[Path, ...] = option((), "Samples.", unset="none", metavar="FILE", flags=("--sample",))
    thickness: float = option_of(Paint, "thickness", high=5)
    paint: Paint = nested(Paint, "The paint.", prefix="paint")
    bristles: int = 300

    def __post_init__(self):
        check_options(self)


def test_an_invalid_value_is_refused_in_one_line():
    for name, value, *parts in (
        ("width", 0.5, "width is 0.5", "above 1, at most 100"), ("width", "wide", "width", "'wide'"),
        ("hard", 1, "hard"), ("width", np.nan, "width is nan"), ("pressure", None, "pressure is None", "0 to 1"),
        ("shape", ("round", "square"), "'square'", "round, flat, fan"), ("shape", "round", "shape", "a list"),
        ("turns", 3, "turns is 3", "even"), ("samples", [3], "samples", "path"), ("thickness", 6, "0.1 to 5"),
        ("paint.coats", 0, "coats of the paint is 0", "1 to 9"), ("colour", 1, "unknown option 'colour'"),
        ("paint.coat", 1, "did you mean paint.coats?"),
    ):  # fmt: skip
        with pytest.raises(InputError) as refusal:
            changed(Brush(), {name: value})
        message = str(refusal.value)
        assert "\n" not in message and all(part in message for part in parts), message
    with pytest.raises(InputError, match=r"paint is 3; needs .*Paint"):
        Brush(paint=3)


def test_values_are_converted_and_changes_reach_nested_options():
    brush = Brush(["flat"], np.float32(4), np.bool_(True), turns=np.int64(4), samples=["a.png"], bristles=7)
    assert brush.shape == ("flat",) and type(brush.width) is float and brush.hard is True
    assert brush.samples == (Path("a.png"),) and changed(brush, {}) == brush
    assert changed(brush, {"paint.coats": 4, "hard": False}) == replace(brush, hard=False, paint=Paint(coats=4))


def test_options_survive_json():
    brush = Brush(("flat", "fan"), 4.0, samples=(Path("a.png"),), points=((1, 2),), paint=Paint(2.0, 3))
    values = json.loads(json.dumps(to_json(brush)))
    assert values["paint"] == {"thickness": 2.0, "coats": 3} and values["shape"] == ["flat", "fan"]
    del values["bristles"]
    assert from_json(Brush, values) == brush
    assert from_json(Brush, {}) == Brush()
    assert values_of(brush)["paint.coats"] == 3 and values_of(brush)["width"] == 4.0
    for strange, word in (({"size": 1}, "option 'size'"), ({"paint": {"size": 1}}, "paint 'size'"), ([], "object")):
        with pytest.raises(InputError, match=word):
            from_json(Brush, strange)


def test_the_documentation_names_every_field_once_with_default_and_range():
    text = inspect.getdoc(Brush)
    for field in Brush.__dataclass_fields__:
        assert text.count(f"\n    {field}: ") == 1
    assert "width: Width. Accepts above 1 to 100. Default: as the shape has it." in text
    assert "shape: Shapes. Accepts round, flat, fan. Default: ('round',)." in text
    paint = inspect.getdoc(Paint)
    assert "thickness: Thickness of a layer (millimetres). Accepts 0.1 to 20. Default: 0.5." in paint
    assert paint.index("Attributes:") < paint.index("coats:") < paint.index("\n\nRaises:\n")


# --- on the command line ---


@pytest.fixture
def command(monkeypatch):
    """A command that prints the values that were given."""
    module = ModuleType("studio")
    module.Brush = Brush
    monkeypatch.setitem(sys.modules, "studio", module)

    @click.command(cls=OptionCommand)
    @click.argument("picture")
    @with_options("studio:Brush")
    @click.option("--again", is_flag=True)
    def paint(picture, options, again):
        """Paint."""
        changed(Brush(), options)
        click.echo(repr(options))

    return paint


def given(command, *words):
    result = CliRunner().invoke(command, ["a.png", *words])
    assert result.exit_code == 0, result.output
    return eval(result.stdout, {"PosixPath": Path})


def test_a_command_receives_only_what_the_user_gave(command):
    for words, values in (
        ("", {}), ("--width 4", {"width": 4.0}), ("--hard", {"hard": True}), ("--pressure", {"pressure": 0.75}),
        ("--pressure 0", {"pressure": 0.0}), ("-c 3 --paint-thickness 2", {"paint.coats": 3, "paint.thickness": 2.0}),
        ("--shape flat,fan", {"shape": ("flat", "fan")}),
        ("--shape flat --shape fan,round", {"shape": ("flat", "fan", "round")}),
        ("--points 1/2 --points 3/4", {"points": ((1, 2), (3, 4))}), ("--sample b.png", {"samples": (Path("b.png"),)}),
        ("--thickness 0.5", {"thickness": 0.5}),
    ):  # fmt: skip
        assert given(command, *words.split()) == values


def test_invalid_values_on_the_command_line_are_usage_errors(command):
    for words in (("--width", "1"), ("--width", "nan"), ("--shape", "flat,square"), ("-c", "10"), ("--coats", "2.5")):
        result = CliRunner().invoke(command, ["a.png", *words])
        assert result.exit_code == 2 and "Error: " in result.stderr, words


def test_help_lists_the_options_in_place_with_default_and_range(command):
    text = " ".join(CliRunner().invoke(command, ["--help"], terminal_width=200).stdout.split())
    assert "--width FLOAT RANGE Width. [default: as the shape has it; range above 1 to 100]" in text
    assert "-c, --coats INTEGER RANGE Layers. [default: 1; range 1 to 9]" in text
    assert "--hard Bristles that do not bend. --" in text
    assert "Advanced: thickness of a layer (millimetres). [default: 0.5; range 0.1 to 20]" in text
    assert text.index("--shape") < text.index("--paint-thickness") < text.index("--again")


# --- all of them ---


@pytest.mark.parametrize("options", OPTIONS, ids=lambda one: one.__name__)
def test_every_option_is_described_and_its_default_accepted(options):
    flags = []
    for setting in settings_of(options):
        text = setting.option.help
        assert text[0].isupper() and text.endswith(".") and "\n" not in text, setting.name
        assert setting.checked(setting.default) == setting.default
        assert setting.kind not in (int, float) or setting.option.range or setting.option.check or setting.option.read
        flags += setting.flags
    assert flags and len(set(flags)) == len(flags)
    assert f"{settings_of(options)[0].name}: " in inspect.getdoc(options)
