"""The errors that artpipe raises on purpose; the command line prints each in one line."""

from __future__ import annotations

import unicodedata
from typing import Any


class ArtpipeError(Exception):
    """Base of all deliberate errors; the message says what was expected, what was given and what to try.

    Attributes:
        result: the partial `Result` of an `artpipe.fit` that failed; None if there is none.
    """

    result: Any = None


class InputError(ArtpipeError):
    """An argument or a file is invalid."""


class NotFinite(InputError, FloatingPointError):
    """Values to draw or gradients are NaN or infinite; a fit reports it as `Diverged`."""


class BackendUnavailable(ArtpipeError):
    """A renderer's library or device is missing; the message gives the command that installs it."""


class Diverged(ArtpipeError):
    """A fit produced NaN or infinity; its parameters are those before the failing step."""


class Interrupted(ArtpipeError, KeyboardInterrupt):
    """Ctrl-C ended a fit between two steps; also caught as KeyboardInterrupt."""


class OutOfMemory(ArtpipeError, MemoryError):
    """A fit needed more memory than is available; also caught as MemoryError."""


class PictureWarning(UserWarning):
    """A picture or its canvas may not be as expected; the message is one line."""


def is_printable(letter: str) -> bool:
    """Whether a terminal shows a character as itself: not a control, bidi override or surrogate."""
    return letter.isprintable() or unicodedata.category(letter) == "Zs"


def printable(text: object) -> str:
    r"""Text in one line for a terminal, with characters that are not printable escaped, as `\x1b`."""
    return "".join(letter if is_printable(letter) else _escaped(letter) for letter in str(text))


def _escaped(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a surrogate escape: a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()


def one_line(text: object, most: int = 250) -> str:
    """An error's text in one line of at most `most` printable characters, since it may quote a file."""
    words = "".join(letter if letter.isprintable() else " " for letter in str(text)[: 4 * most]).split()
    line = " ".join(words)
    return line if len(line) <= most else line[: most - 1] + "…"
