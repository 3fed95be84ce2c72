"""The table of styles. A style is a row here and a TOML file beside it, whose keys are options of a run."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from artpipe.renderers import InputError
from artpipe.renderers.checks import shown, unknown
from artpipe.renderers.errors import one_line
from artpipe.stages.formats.files import read_at_most

STYLES = {
    "photo": "smooth ellipses of any size: as close to the picture as it gets",
    "bokeh": "large translucent discs with crisp rims",
    "poster": "flat shapes in six colours",
    "pointillist": "small opaque dots in sixteen colours on a warm ground",
    "strokes": "hard strokes of a wide brush",
    "lowpoly": "opaque triangles",
    "ink": "an ink wash: translucent black strokes on paper",
    "plush": "large discs with very soft edges",
}
"""Name to description; `NAME.toml` in this folder holds the options."""

BYTES_MAX = 100_000
# Options that exclude each other: giving one replaces the style's other.
_RIVALS = {"hard": "softness", "softness": "hard"}


def check_style(name: str, value: Any) -> str:
    """The name of a style, or the path of a style file as text.

    Raises:
        InputError: it is neither.
    """
    text = str(value) if isinstance(value, Path) else value
    if isinstance(text, str) and (text in STYLES or text.lower().endswith(".toml")):
        return text
    if isinstance(text, str):
        raise InputError(f"{unknown('style', [text], STYLES)}, or a file of your own: mine.toml")
    raise InputError(f"{name} is {shown(value)}; needs one of {', '.join(STYLES)}, or a file such as mine.toml")


def styled(options: Mapping[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """Options with those of their style, where they do not say otherwise; a dotted name is a nested option.

    Args:
        options: what the user gave, by name.
        known: the options that a style may set.

    Raises:
        InputError: the file cannot be read, is no TOML, or has an unknown key.
    """
    style = options.get("style")
    if style is None:
        return dict(options)
    own = style_options(check_style("style", style), known)
    for name in options:
        own.pop(_RIVALS.get(name, ""), None)
    return {**own, **options}


def style_options(style: str, known: Iterable[str]) -> dict[str, Any]:
    """The options of a style, by name, as in its file."""
    if style in STYLES:
        data = files(__package__).joinpath(f"{style}.toml").read_bytes()
    else:
        data = read_at_most(style, BYTES_MAX)
    try:
        values = dict(_flat(tomllib.loads(data.decode())))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f'{style} is not a style file: {one_line(error)}; needs lines such as shape = "stroke"'
        ) from None
    accepted = sorted(set(known) - {"style"})
    if strange := [name for name in values if name not in accepted]:
        raise InputError(f"{style} has {one_line(unknown('option', strange, accepted))}")
    return values


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names, with underscores and with dots for tables, and values."""
    for name, value in values.items():
        full = prefix + name.replace("-", "_")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{full}.")
        else:
            yield full, value
