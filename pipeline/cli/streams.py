"""Standard output and standard error that a command can write to, whatever became of them.

A shell, a service manager or a window system may have closed them; the reader of a pipe may be gone; the disk that they
are redirected to may be full. None of that may end a fit or leave files unwritten.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

# What a shell reports of a program that SIGPIPE ended.
_READER_GONE = 141


class _Sink(io.FileIO):
    """A file descriptor whose first failed write is kept in `failure`, and which drops all that comes after it."""

    failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Writes some of the bytes, or drops them."""
        try:
            while self.failure is None:
                if (written := super().write(data)) is not None:
                    return written
                select.select([], [self], [])  # a pipe that another program made non-blocking is full
        except OSError as error:
            self.failure = error
        return len(data)


@contextmanager
def standard_streams() -> Iterator[None]:
    """While entered, `sys.stdout` and `sys.stderr` are there, and writing to them does not fail.

    Streams that a caller put in their place are left alone.

    Raises:
        SystemExit: with another code than the one it was left with, if that was 0 but stdout could not take all.
    """
    _open_closed_descriptors()
    former = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = out, err = _writable(sys.stdout, sys.__stdout__), _writable(sys.stderr, sys.__stderr__)
    try:
        yield
    except SystemExit as end:
        out.flush()
        raise SystemExit(end.code or _exit_code(out, err)) from None
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = former


def _open_closed_descriptors() -> None:
    """Opens /dev/null for those of 0, 1 and 2 that are closed: else a file would get the number, and what is logged."""
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(opened)


def _writable(stream: Any, own: Any) -> TextIO:
    """The stream, over a `_Sink` if it is the process's own."""
    if stream is None:  # closed, or a program without a console
        return open(os.devnull, "w", encoding="utf-8")
    if stream is not own or os.name != "posix":  # consoles of Windows are no plain files
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Sink(stream.fileno(), "w", closefd=False)),
        stream.encoding, "backslashreplace", line_buffering=stream.line_buffering or stream.write_through,
    )  # fmt: skip


def _exit_code(out: TextIO, err: TextIO) -> int:
    """0 if stdout took all that was written to it."""
    failure = getattr(getattr(getattr(out, "buffer", None), "raw", None), "failure", None)
    if failure is None:
        return 0
    if failure.errno == errno.EPIPE:
        return _READER_GONE
    err.write(f"Error: cannot write to standard output: {failure.strerror}\n")
    return 1
