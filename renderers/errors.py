"""The errors that artpipe raises on purpose; the command line prints each in one line."""

from __future__ import annotations

import unicodedata
from typing import Any


class ArtpipeError(Exception):
    """Base of every deliberate error: its message says what was expected, what came, what to try.

    Attributes:
        result: the `Result` that `artpipe.fit` had reached when it failed; None where there is nothing to keep.
    """

    result: Any = None


class InputError(ArtpipeError):
    """What the caller passed cannot be used as it is."""


class NotFinite(InputError, FloatingPointError):
    """Numbers to draw or to differentiate by are NaN or infinite; a fit reports it as `Diverged`."""


class BackendUnavailable(ArtpipeError):
    """A renderer's library is missing here; the message carries the command that installs it."""


class Diverged(ArtpipeError):
    """A fit left the finite numbers; its parameters are those of before the failing step."""


class Interrupted(ArtpipeError, KeyboardInterrupt):
    """Ctrl-C ended a fit between two steps; also caught as KeyboardInterrupt."""


class OutOfMemory(ArtpipeError, MemoryError):
    """A fit needed more memory than there is; also caught as MemoryError."""


class PictureWarning(UserWarning):
    """Something about a picture or its canvas that is not as it seems; the message is one line."""


def is_printable(letter: str) -> bool:
    """Whether a terminal shows a character as itself: no control, no bidi override, no half of a broken encoding."""
    return letter.isprintable() or unicodedata.category(letter) == "Zs"


def printable(text: object) -> str:
    r"""Text in one line for a terminal: characters that it would not show as themselves are escaped, as `\x1b`."""
    return "".join(letter if is_printable(letter) else _escaped(letter) for letter in str(text))


def _escaped(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # how Python holds a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()


def one_line(text: object, most: int = 250) -> str:
    """What an error says, in one line of at most so many printable letters: it may quote what a file holds."""
    words = "".join(letter if letter.isprintable() else " " for letter in str(text)[: 4 * most]).split()
    line = " ".join(words)
    return line if len(line) <= most else line[: most - 1] + "…"
