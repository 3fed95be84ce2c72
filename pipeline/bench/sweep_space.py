"""What a sweep seeks: settings of a run, each between two numbers or among some choices."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from artpipe.renderers import InputError
from artpipe.renderers.options import changed, settings_of

from ..options import RunConfig

if TYPE_CHECKING:
    import optuna

Value = int | float | str

# A range this wide, high over low, is searched on a log scale.
_LOG_RATIO = 10

TUNABLE = {setting.name: setting for setting in settings_of(RunConfig) if setting.option.tunable}
"""Name to setting, of those that a sweep may vary."""


@dataclass(frozen=True)
class Range:
    """A setting sought between two numbers, whole ones if both are int.

    Attributes:
        name: a key of `TUNABLE`.
        low: the least.
        high: the most, included.
        log: whether ratios count, not differences.
    """

    name: str
    low: float
    high: float
    log: bool = False

    def __str__(self) -> str:
        return f"{self.name}={self.low!r}:{self.high!r}{':log' if self.log else ''}"

    def holds(self, value: Value) -> bool:
        """Whether a value is among those sought."""
        return not isinstance(value, str) and self.low <= value <= self.high

    def rounded(self, value: Value) -> Value:
        """What is tried for a value that was drawn: four digits, which is as fine as anyone reads."""
        if isinstance(value, str) or isinstance(self.low, int):
            return value
        return min(max(float(f"{value:.4g}"), self.low), self.high)

    def distribution(self) -> optuna.distributions.BaseDistribution:
        """As Optuna takes it."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if isinstance(self.low, int) and isinstance(self.high, int):
            return IntDistribution(self.low, self.high, log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Choices:
    """A setting sought among some values.

    Attributes:
        name: a key of `TUNABLE`.
        values: two or more.
    """

    name: str
    values: tuple[Value, ...]

    def __str__(self) -> str:
        return f"{self.name}={','.join(map(str, self.values))}"

    def holds(self, value: Value) -> bool:
        """Whether a value is among those sought."""
        return value in self.values

    def rounded(self, value: Value) -> Value:
        """The value itself."""
        return value

    def distribution(self) -> optuna.distributions.BaseDistribution:
        """As Optuna takes it."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)


def parse_param(text: str) -> Range | Choices:
    """What `--param` asks for: `NAME`, `NAME=LOW:HIGH`, `NAME=LOW:HIGH:log` or `NAME=A,B,C`.

    NAME alone asks for the range of the option's `tunable`, or for all its choices. A range is on a log scale too where
    HIGH is ten times LOW or more. Rates are spelt `rates.position`, `lr.position` or `rate-position`.

    Raises:
        InputError: there is no such setting, or it cannot have these values.

    Example:
        >>> parse_param("lr.position=0.2:1")
        Range(name='rates.position', low=0.2, high=1.0, log=False)
    """
    name, equals, values = (part.strip() for part in text.partition("="))
    name = re.sub(r"^(?:rates?|lr)[._]", "rates.", name.replace("-", "_"))
    if name not in TUNABLE:
        raise InputError(f"--param {text}: there is no setting {name!r} to sweep; there are {', '.join(TUNABLE)}")
    try:
        if not equals:
            return _own(name)
        parameter = (_parse_range if ":" in values else _parse_choices)(name, values)
        for value in (parameter.low, parameter.high) if isinstance(parameter, Range) else parameter.values:
            changed(RunConfig(), {name: value})
    except InputError as error:
        raise InputError(f"--param {text}: {error}") from None
    return parameter


def _own(name: str) -> Range | Choices:
    """The values in which a setting is sought if the user names none."""
    setting = TUNABLE[name]
    if isinstance(setting.option.tunable, tuple):
        return _range(name, *map(setting.kind, setting.option.tunable))
    return Choices(name, tuple(setting.option.choices))


def _range(name: str, low: float, high: float, log: bool = False) -> Range:
    return Range(name, low, high, log or (low > 0 and high / low >= _LOG_RATIO))


def _parse_range(name: str, text: str) -> Range:
    kind = TUNABLE[name].kind
    if kind is str:
        raise InputError(f"{name} has no range; needs choices, like {name}=A,B")
    words = text.split(":")
    if len(words) > 3 or words[2:] not in ([], ["log"]):
        raise InputError("a range is LOW:HIGH or LOW:HIGH:log")
    low, high = (_number(word, kind) for word in words[:2])
    if not low < high:
        raise InputError("needs LOW below HIGH")
    if words[2:] and low <= 0:
        raise InputError("a log scale needs LOW above 0")
    return _range(name, low, high, bool(words[2:]))


def _parse_choices(name: str, text: str) -> Choices:
    words = [word.strip() for word in text.split(",")]
    kind = TUNABLE[name].kind
    values = tuple(word if kind is str else _number(word, kind) for word in words)
    if len(values) < 2 or len(set(values)) < len(values):
        raise InputError("needs LOW:HIGH, or two or more choices, all different")
    return Choices(name, values)


def _number(word: str, kind: type) -> float:
    try:
        return int(word) if kind is int else float(word)
    except ValueError:
        raise InputError(f"{word!r} is not a {'whole ' if kind is int else ''}number") from None
