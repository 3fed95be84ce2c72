"""Argument checks of public functions; each error is one line that names the argument.

Public functions check type, rank, width, dtype and range here once; inner code trusts its arguments.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from .errors import InputError, one_line

Array = np.ndarray[Any, Any]
Kind = TypeVar("Kind")


def shown(value: object) -> str:
    """The value's `repr` in one short line, for a message."""
    return one_line(repr(value), 80)


def instance(name: str, value: object, kind: type[Kind]) -> Kind:
    """The value, if it is of this class.

    Raises:
        InputError: it is not.
    """
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise InputError(f"{name} is {shown(value)}; needs {article} {kind.__name__}")
    return value


def choice(name: str, value: object, choices: Iterable[str]) -> str:
    """The value, if it is one of these words.

    Raises:
        InputError: it is not; the message lists them.
    """
    known = list(choices)
    if not isinstance(value, str) or value not in known:
        raise InputError(f"{name} {shown(value)} is unknown; choose one of {', '.join(known)}")
    return value


def whole_number(name: str, value: Any, low: int, high: int, unit: str = "") -> int:
    """The value as an int, if it is a whole number in this range, of Python or of NumPy.

    Args:
        name: of the argument.
        value: what was passed; booleans are refused.
        low: smallest accepted value.
        high: largest accepted value.
        unit: words that follow "a whole number".

    Raises:
        InputError: it is something else.
    """
    if isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.timedelta64)) and low <= value <= high:
        return int(value)
    raise InputError(f"{name} is {shown(value)}; needs a whole number{unit}, {low} to {high}")


def real_number(name: str, value: Any, low: float, high: float, is_open: bool = False) -> int | float:
    """The value as an int or a float, if it is a real number in this range, of Python or of NumPy.

    Args:
        name: of the argument.
        value: what was passed.
        low: smallest accepted value.
        high: largest accepted value.
        is_open: whether `low` itself is refused.

    Raises:
        InputError: it is something else, such as a boolean, NaN or an array.
    """
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, (bool, np.timedelta64)):
        number = int(value) if isinstance(value, (int, np.integer)) else float(value)
        if low <= number <= high and not (is_open and number == low):
            return number
    least = f"above {low:g}, at most" if is_open else f"{low:g} to"
    raise InputError(f"{name} is {shown(value)}; needs a number, {least} {high:g}")


def flag(name: str, value: object) -> bool:
    """The value as a bool, if it is True or False, of Python or of NumPy.

    Raises:
        InputError: it is something else, such as a number.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise InputError(f"{name} is {shown(value)}; needs True or False")
    return bool(value)


def text(name: str, value: object) -> str:
    """The value, if it is a string.

    Raises:
        InputError: it is not.
    """
    if not isinstance(value, str):
        raise InputError(f"{name} is {shown(value)}; needs text")
    return value


def several(name: str, value: object) -> tuple[Any, ...]:
    """The items of a list or a tuple.

    Raises:
        InputError: it is something else, such as a single string.
    """
    if not isinstance(value, (list, tuple)):
        raise InputError(f"{name} is {shown(value)}; needs a list")
    return tuple(value)


def real_array(name: str, value: Any, needs: str, kinds: str = "iuf") -> Array:
    """The value as an array of real numbers, in its own dtype.

    Args:
        name: of the argument.
        value: an array of any library that NumPy can read, or nested sequences of numbers.
        needs: what the message asks for.
        kinds: the kinds of dtype that are accepted, as `numpy.dtype.kind` names them.

    Raises:
        InputError: it cannot be read as an array, has masked values, or has another dtype.
    """
    if np.ma.is_masked(value):
        raise InputError(f"{name} has masked values; fill them first (numpy.ma.filled)")
    try:
        array = np.asarray(value)
    except Exception as error:  # ragged, traced by JAX, part of a graph of PyTorch: each library raises its own
        raise InputError(f"{name} cannot be read as an array ({one_line(error, 80)}); needs {needs}") from None
    if array.dtype.kind not in kinds:
        what = f"has dtype {array.dtype}" if hasattr(value, "dtype") else f"is {shown(value)}"
        raise InputError(f"{name} {what}; needs {needs}")
    return array


def check_path(name: str, value: object) -> Path:
    """The value as a path, if it is a string or a path.

    Raises:
        InputError: it is something else, such as a number, which `open` would use as a file descriptor.
    """
    if not isinstance(value, (str, os.PathLike)) or not isinstance(os.fspath(value), str):
        raise InputError(f"{name} is {shown(value)}; needs a path")
    return Path(value)


def unknown(what: str, names: Iterable[str], known: Iterable[str]) -> InputError:
    """The error for names that do not exist; for each it suggests the nearest that does.

    Args:
        what: the word for them, such as "option".
        names: those that do not exist.
        known: those that do.
    """
    known = sorted(known)
    words = []
    for name in names:
        near = difflib.get_close_matches(name, known, 1)
        words.append(f"{shown(name)} (did you mean {near[0]}?)" if near else shown(name))
    plural = "s" if len(words) > 1 else ""
    return InputError(f"unknown {what}{plural} {', '.join(words)}; known are {', '.join(known)}")
