"""Command-line options from the fields of dataclasses."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from artpipe.renderers.options import Option, Setting, settings_of

from .paths import FILE


class OptionCommand(click.Command):
    """A command that creates the options of dataclasses on first use: the group's help needs no import."""

    _params: list[click.Parameter]

    @property
    def params(self) -> list[click.Parameter]:
        """Arguments and options, in the order of the help."""
        self._params = [
            made for one in self._params for made in (one.options() if isinstance(one, OptionTable) else [one])
        ]
        return self._params

    @params.setter
    def params(self, params: list[click.Parameter]) -> None:
        self._params = params


class OptionTable(click.Option):
    """Placeholder for the options of a dataclass among the parameters of an `OptionCommand`.

    Args:
        table: returns the settings that become options.
    """

    def __init__(self, *declarations: Any, table: Callable[[], list[Setting]], **attributes: Any) -> None:
        super().__init__(*declarations, **attributes)
        self._table = table

    def options(self) -> list[click.Parameter]:
        """The options."""
        return [SettingOption(setting) for setting in self._table()]


def with_options(options: str, *parts: str, into: str = "options") -> Callable[[Any], Any]:
    """Adds the options of a dataclass to a command.

    The command receives only the values that the user gave, by setting name, so that a preset, a file or the dataclass
    decides the others.

    Args:
        options: the dataclass, imported on first use: `package.module:Name`.
        parts: groups or fields to include; all if empty.
        into: the parameter of the command that receives the values.
    """

    @functools.cache
    def table() -> list[Setting]:
        module, _, name = options.partition(":")
        settings = settings_of(getattr(import_module(module), name))
        return [one for one in settings if not parts or {one.name, one.option.group} & set(parts)]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def call(*arguments: Any, **values: Any) -> Any:
            context = click.get_current_context()
            given = {}
            for setting in table():
                value = values.pop(_parameter(setting))
                if context.get_parameter_source(_parameter(setting)) is not ParameterSource.DEFAULT:
                    given[setting.name] = tuple(chain(*value)) if _is_several(setting) else value
            return command(*arguments, **values, **{into: given})

        return click.option(f"--{into}", cls=OptionTable, table=table)(call)

    return decorate


class SettingOption(click.Option):
    """The command-line option of a setting: flags, help, type, range and default."""

    def __init__(self, setting: Setting) -> None:
        option = setting.option
        words = option.sentence
        attributes: dict[str, Any] = {"default": setting.default, "is_flag": setting.kind is bool}
        if option.alone is not None:
            attributes["flag_value"] = str(option.alone)
        super().__init__(
            [_parameter(setting), *setting.flags],
            type=_type(setting),
            multiple=setting.many,
            metavar=option.metavar or None,
            help=f"Advanced: {words[0].lower()}{words[1:]}" if option.advanced else words,
            show_default=True,
            **attributes,
        )
        self._setting = setting

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Default and range, shown in brackets after the help."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        if default := self._setting.shown_default:
            extra["default"] = default
        if self._setting.option.range:
            extra["range"] = f"range {self._setting.option.range}"
        return extra


def _parameter(setting: Setting) -> str:
    return setting.name.replace(".", "_")


def _is_several(setting: Setting) -> bool:
    return setting.many and bool(setting.option.choices) and setting.option.read is None


def _type(setting: Setting) -> click.ParamType[Any]:
    option = setting.option
    if option.read is not None:
        return _Read(option.read)
    if option.choices:
        return _Several(option.choices) if setting.many else click.Choice(list(option.choices))
    if setting.kind is bool:
        return click.BOOL
    if setting.kind is int:
        return click.IntRange(_whole(option.low), _whole(option.high))
    if setting.kind is float:
        return _Real(option)
    return FILE if setting.kind is Path else click.STRING


def _whole(limit: float | None) -> int | None:
    return None if limit is None else int(limit)


class _Real(click.FloatRange):
    """A number in the range of an option. The error explains an optional value that took the next word."""

    def __init__(self, option: Option) -> None:
        is_open = option.above is not None
        super().__init__(option.above if is_open else option.low, option.high, min_open=is_open)
        self._is_optional = option.alone is not None

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            is_number = not math.isnan(float(value))
        except ValueError:
            is_number = False
        if not is_number:
            cure = ". Give one, or put the option last" if self._is_optional else ""
            self.fail(f"{value!r} is not a number{cure}", param, ctx)
        return super().convert(value, param, ctx)


class _Several(click.ParamType):  # type: ignore[type-arg]
    """One or several of the choices, separated by commas."""

    name = "choice"

    def __init__(self, choices: Iterable[str]) -> None:
        self._choice = click.Choice(list(choices))

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        return f"{self._choice.get_metavar(param, ctx)}[,...]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return tuple(self._choice.convert(word.strip(), param, ctx) for word in str(value).split(","))


class _Read(click.ParamType):  # type: ignore[type-arg]
    """A value parsed from text."""

    name = "text"

    def __init__(self, read: Callable[[str], Any]) -> None:
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return self._read(value) if isinstance(value, str) else value
