"""The errors that artpipe raises on purpose; the command line prints each in one line."""

from __future__ import annotations


class ArtpipeError(Exception):
    """Base of every deliberate error: its message says what was expected, what came, what to try."""


class InputError(ArtpipeError):
    """What the caller passed cannot be used as it is."""


class NotFinite(InputError, FloatingPointError):
    """Numbers to draw or to differentiate by are NaN or infinite; a fit reports it as `Diverged`."""


class BackendUnavailable(ArtpipeError):
    """A renderer's library is missing here; the message carries the command that installs it."""


class Diverged(ArtpipeError):
    """A fit left the finite numbers; its parameters are those of before the failing step."""


def one_line(text: object, most: int = 250) -> str:
    """What an error says, in one line of at most so many printable letters: it may quote what a file holds."""
    words = "".join(letter if letter.isprintable() else " " for letter in str(text)[: 4 * most]).split()
    line = " ".join(words)
    return line if len(line) <= most else line[: most - 1] + "…"
