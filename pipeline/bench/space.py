"""The search space of a sweep, from the options that are `tunable`."""

from __future__ import annotations

import re
from typing import Any

from artpipe.renderers import InputError
from artpipe.renderers.options import changed, settings_of

from ..options import RunConfig

# A range this wide, high over low, is searched on a log scale.
_LOG_RATIO = 10

TUNABLE = {setting.name: setting for setting in settings_of(RunConfig) if setting.option.tunable}
"""Name to setting, of the settings that a sweep may vary."""


def parse_param(text: str) -> tuple[str, Any]:
    """A setting's name and Optuna distribution from `NAME`, `NAME=LOW:HIGH`, `NAME=LOW:HIGH:log` or `NAME=A,B,C`.

    NAME alone means the range of the option's `tunable`, or all its choices. A range is also on a log scale where HIGH
    is ten times LOW or more. Rates are spelt `rates.position`, `lr.position` or `rate-position`.

    Raises:
        InputError: there is no such setting, or it cannot have these values.

    Example:
        >>> parse_param("growth=64,128")
        ('growth', CategoricalDistribution(choices=(64, 128)))
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    name, equals, given = (part.strip() for part in text.partition("="))
    name = re.sub(r"^(?:rates?|lr)[._]", "rates.", name.replace("-", "_"))
    if name not in TUNABLE:
        raise InputError(f"--param {text}: {name!r} cannot be swept; choose one of {', '.join(TUNABLE)}")
    setting, log = TUNABLE[name], False
    try:
        values: list[Any]
        if equals:
            is_range, log, values = _values(given, setting.kind)
        else:
            is_range = isinstance(setting.option.tunable, tuple)
            own: Any = setting.option.tunable if is_range else setting.option.choices
            values = [setting.kind(value) for value in own]
        for value in values:
            changed(RunConfig(), {name: value})
    except InputError as error:
        raise InputError(f"--param {text}: {error}") from None
    if not is_range:
        return name, CategoricalDistribution(values)
    low, high = values
    kind = IntDistribution if setting.kind is int else FloatDistribution
    return name, kind(low, high, log=log or (low > 0 and high / low >= _LOG_RATIO))


def suggest(trial: Any, name: str, distribution: Any) -> Any:
    """A trial's value of a setting; four digits of a number."""
    if (choices := getattr(distribution, "choices", None)) is not None:
        return trial.suggest_categorical(name, choices)
    low, high = distribution.low, distribution.high
    if isinstance(low, int):
        return trial.suggest_int(name, low, high, log=distribution.log)
    return min(max(float(f"{trial.suggest_float(name, low, high, log=distribution.log):.4g}"), low), high)


def holds(distribution: Any, value: Any) -> bool:
    """Whether a distribution has a value."""
    choices = getattr(distribution, "choices", None)
    return value in choices if choices is not None else distribution.low <= value <= distribution.high


def _values(text: str, kind: type) -> tuple[bool, bool, list[Any]]:
    """Whether a text is a range, whether it asks for a log scale, and its values."""
    is_range = ":" in text
    words = [word.strip() for word in text.split(":" if is_range else ",")]
    log = is_range and words[2:] == ["log"]
    if is_range and (len(words) != 2 + log or kind is str):
        raise InputError("needs choices A,B,C" if kind is str else "needs LOW:HIGH or LOW:HIGH:log")
    try:
        values = [kind(word) for word in words[: 2 if is_range else None]]
    except ValueError:
        raise InputError(f"needs {'whole ' if kind is int else ''}numbers, got {text!r}") from None
    if is_range and not values[0] < values[1]:
        raise InputError("needs LOW below HIGH")
    if log and values[0] <= 0:
        raise InputError("a log scale needs LOW above 0")
    if not is_range and (len(values) < 2 or len(set(values)) < len(values)):
        raise InputError("needs LOW:HIGH, or at least two different choices")
    return is_range, log, values
