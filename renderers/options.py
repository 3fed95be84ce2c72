"""Options as dataclass fields: one field holds the default, the help, the unit and the range of an option.

It defines the checks of the dataclass, its JSON, its documentation, the command-line options and the space of a sweep.

    @documented
    @dataclass(frozen=True)
    class Brush:
        \"\"\"How paint is laid on.\"\"\"

        width: float = option(3.0, "Width of a stroke.", unit="pixels", low=0.1, high=500)

        def __post_init__(self) -> None:
            check_options(self)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from .checks import check_path, choice, flag, instance, real_number, several, text, unknown, whole_number
from .errors import InputError

Class = TypeVar("Class", bound=type)
Options = TypeVar("Options")

_OPTION, _NESTED = "option", "nested"  # keys of the metadata of a field


@dataclass(frozen=True)
class Option:
    """Meaning and accepted values of an option.

    Attributes:
        help: a sentence.
        unit: of a number, such as "pixels".
        low: the smallest number that is accepted.
        above: in place of `low`, an exclusive lower bound.
        high: the largest.
        choices: the words that are accepted, often the keys of a table.
        unset: what happens without a value, shown in place of the default.
        group: the name under which related options are listed together.
        flags: on the command line; the name of the field with dashes if empty.
        metavar: how the command line names the value.
        alone: the value of the flag alone; None if the flag needs a value.
        advanced: whether few users need it.
        tunable: whether a sweep may vary it; for a number, the default range of the search.
        check: `(name, value) -> value` in place of the checks of type and range; raises `InputError`.
        read: `text -> value`, parses text of the command line; raises `InputError`.
    """

    help: str
    unit: str = ""
    low: float | None = None
    above: float | None = None
    high: float | None = None
    choices: Collection[str] = ()
    unset: str = ""
    group: str = ""
    flags: tuple[str, ...] = ()
    metavar: str = ""
    alone: float | None = None
    advanced: bool = False
    tunable: bool | tuple[float, float] = False
    check: Callable[[str, Any], Any] | None = None
    read: Callable[[str], Any] | None = None

    @property
    def sentence(self) -> str:
        """The help with the unit."""
        return f"{self.help.removesuffix('.')} ({self.unit})." if self.unit else self.help

    @property
    def range(self) -> str:
        """The accepted numbers in words; empty if there is no range, or if the option is parsed by `read`."""
        if self.high is None or self.read is not None:
            return ""
        least = f"above {shown_number(self.above)}" if self.above is not None else shown_number(self.low or 0)
        return f"{least} to {shown_number(self.high)}"

    @property
    def accepted(self) -> str:
        """The accepted values in words: the choices or the range; empty if `help` says all."""
        return ", ".join(self.choices) or self.range


@dataclass(frozen=True)
class Nested:
    """A field that is itself a dataclass of options.

    Attributes:
        kind: the dataclass.
        help: a sentence.
        prefix: prefix of its options on the command line, such as "rate" in `--rate-position`.
        group: of all its options.
    """

    kind: type
    help: str
    prefix: str = ""
    group: str = ""


@dataclass(frozen=True)
class Setting:
    """An option as a field of a dataclass.

    Attributes:
        name: of the field; if nested, after the name of the outer field and a dot, as in "rates.position".
        option: its meaning.
        kind: bool, int, float, str or `Path`; of a tuple, the kind of its items.
        many: whether the value is a tuple.
        optional: whether None is accepted.
        default: the value if none is given.
        prefix: see `Nested`.
    """

    name: str
    option: Option
    kind: type
    many: bool
    optional: bool
    default: Any
    prefix: str = ""

    @property
    def flags(self) -> tuple[str, ...]:
        """The option on the command line."""
        words = [*filter(None, [self.prefix]), *self.name.split(".")[-1].split("_")]
        return self.option.flags or ("--" + "-".join(words),)

    @property
    def shown_default(self) -> str:
        """The default in words; empty for a flag that is off."""
        if self.option.unset:
            return self.option.unset
        if self.default is False:
            return ""
        if self.many:
            return ", ".join(map(str, self.default))
        return shown_number(self.default) if isinstance(self.default, float) else str(self.default)

    def checked(self, value: Any, name: str = "") -> Any:
        """The value, if the option accepts it, converted to the type of the field.

        Args:
            value: what was given.
            name: of the option, for the message.

        Raises:
            InputError: it does not.
        """
        name, option = name or self.name, self.option
        if value is None and self.optional:
            return None
        if option.check is not None:
            return option.check(name, value)
        if self.many:
            return tuple(self._checked_item(name, item) for item in several(name, value))
        return self._checked_item(name, value)

    def _checked_item(self, name: str, value: Any) -> Any:
        option = self.option
        if self.kind is bool:
            return flag(name, value)
        if self.kind in (int, float):
            low = option.low if option.above is None else option.above
            assert low is not None and option.high is not None, f"{name} has no range"
            if self.kind is int:
                return whole_number(name, value, int(low), int(option.high))
            return real_number(name, value, low, option.high, is_open=option.above is not None)
        if self.kind is Path:
            return check_path(name, value)
        return choice(name, value, option.choices) if option.choices else text(name, value)


def option(default: Any, help: str, **attributes: Any) -> Any:
    """A dataclass field that is an option.

    Args:
        default: its value, or a function that makes it.
        help: a sentence.
        **attributes: of `Option`.
    """
    return _field(default, Option(help, **attributes))


def option_of(options: type, name: str, **changes: Any) -> Any:
    """A dataclass field that copies an option of another dataclass.

    Args:
        options: the other dataclass.
        name: of its field.
        **changes: attributes of `Option` that differ; "default" for another default.
    """
    other = _fields_of(options)[name]
    default = changes.pop("default", other.default)
    return _field(default, replace(other.metadata[_OPTION], **changes))


def nested(kind: type, help: str, prefix: str = "", group: str = "") -> Any:
    """A dataclass field that holds options of its own; see `Nested`."""
    return field(default_factory=kind, metadata={_NESTED: Nested(kind, help, prefix, group)})


def _field(default: Any, of: Option) -> Any:
    made: Any = {"default_factory": default} if callable(default) else {"default": default}
    return field(**made, metadata={_OPTION: of})


def _fields_of(options: type) -> dict[str, Field[Any]]:
    assert is_dataclass(options)
    return {one.name: one for one in fields(options)}


def _default(of: Field[Any]) -> Any:
    return of.default if of.default_factory is MISSING else of.default_factory()


def settings_of(options: Any) -> tuple[Setting, ...]:
    """The options of a dataclass, those of nested dataclasses included, in the order of the fields."""
    return _settings_of(options)


@cache
def _settings_of(options: type) -> tuple[Setting, ...]:
    return tuple(_settings(options))


def _settings(options: type) -> Iterator[Setting]:
    hints = get_type_hints(options)
    for name, one in _fields_of(options).items():
        if inner := one.metadata.get(_NESTED):
            for setting in settings_of(inner.kind):
                of = replace(setting.option, group=inner.group or setting.option.group)
                yield replace(setting, name=f"{name}.{setting.name}", option=of, prefix=inner.prefix)
        elif _OPTION in one.metadata:
            kind, many, optional = _kind(hints[name])
            yield Setting(name, one.metadata[_OPTION], kind, many, optional, _default(one))


def _kind(hint: Any) -> tuple[type, bool, bool]:
    """Kind, many and optional of a setting, from the annotation of its field."""
    kinds = list(get_args(hint)) if get_origin(hint) in (Union, UnionType) else [hint]
    optional = NoneType in kinds
    kinds = [kind for kind in kinds if kind is not NoneType]
    first = Path if Path in kinds else kinds[0]
    if get_origin(first) is tuple:
        return _kind(get_args(first)[0])[0], True, optional
    return (str if get_origin(first) is Literal else get_origin(first) or first), False, optional


def check_options(options: Any, label: str = "{}") -> None:
    """Checks the options of a frozen dataclass, and converts their values to the types of their fields.

    Args:
        options: the dataclass, in its `__post_init__`.
        label: what an option is called in messages; `{}` is the name of its field.

    Raises:
        InputError: a value is not accepted.
    """
    for setting in settings_of(type(options)):
        if "." not in setting.name:
            value = setting.checked(getattr(options, setting.name), label.format(setting.name))
            object.__setattr__(options, setting.name, value)
    for name, one in _fields_of(type(options)).items():
        if inner := one.metadata.get(_NESTED):
            instance(name, getattr(options, name), inner.kind)


def changed(options: Options, values: Mapping[str, Any]) -> Options:
    """The options with these values changed.

    Args:
        options: a dataclass.
        values: by the names of settings; those of nested options have a dot.

    Raises:
        InputError: there is no such option, or a value is not accepted.
    """
    known = [setting.name for setting in settings_of(type(options))]
    own: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        if name not in known:
            raise unknown("option", [name], known)
        outer, dot, rest = name.partition(".")
        if dot:
            inner.setdefault(outer, {})[rest] = value
        else:
            own[name] = value
    made: Any = options
    return replace(made, **own, **{name: changed(getattr(made, name), own) for name, own in inner.items()})


def values_of(options: Any) -> dict[str, Any]:
    """The values of all settings, by their names, as plain values for JSON."""
    found = {}
    for setting in settings_of(type(options)):
        value = options
        for name in setting.name.split("."):
            value = getattr(value, name)
        found[setting.name] = _plain(value)
    return found


def to_json(options: Any) -> dict[str, Any]:
    """The options as plain values for JSON."""
    return {one.name: _plain(getattr(options, one.name)) for one in fields(options)}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return to_json(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def from_json(kind: type[Options], values: Any, what: str = "option") -> Options:
    """The options from what `to_json` gave.

    Args:
        kind: the dataclass.
        values: a JSON object; missing options have their defaults.
        what: what one of them is called in messages.

    Raises:
        InputError: it is not an object, a name is unknown, or a value is not accepted.
    """
    if not isinstance(values, dict):
        raise InputError(f"{what}s need to be a JSON object")
    known = _fields_of(kind)
    if strange := sorted(set(values) - set(known), key=str):
        raise unknown(what, map(str, strange), known)
    given = dict(values)
    for name in values:
        if (inner := known[name].metadata.get(_NESTED)) and isinstance(values[name], Mapping):
            given[name] = from_json(inner.kind, dict(values[name]), inner.prefix or what)
    return kind(**given)


def documented(options: Class) -> Class:
    """Adds the options of a dataclass to the section "Attributes" of its docstring."""
    lines = []
    for name, one in _fields_of(options).items():
        if inner := one.metadata.get(_NESTED):
            lines.append(f"    {name}: {inner.help}")
        elif of := one.metadata.get(_OPTION):
            default = of.unset or repr(_default(one))
            accepted = f" Accepts {of.accepted}." if of.accepted else ""
            lines.append(f"    {name}: {of.sentence}{accepted} Default: {default}.")
    section = "\n".join(["Attributes:", *lines])
    text = inspect.cleandoc(options.__doc__ or "")
    if "\nAttributes:\n" in text:
        options.__doc__ = text.replace("Attributes:", section, 1)
    else:
        before, raises, after = text.partition("\n\nRaises:\n")
        options.__doc__ = f"{before}\n\n{section}{raises}{after}\n"
    return options


def shown_number(number: float) -> str:
    """A number in few digits, without an exponent where it is whole."""
    return str(int(number)) if number == int(number) else f"{number:g}"
