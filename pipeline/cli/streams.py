"""Standard output and standard error that never fail on write.

A shell, a service manager or a window system may have closed them, a pipe's reader may be gone, the disk may be full.
None of these may end a fit or leave files unwritten.
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

# Exit code that a shell reports for a program ended by SIGPIPE.
_READER_GONE = 141


class _Sink(io.FileIO):
    """A file descriptor that stores the first write error in `failure` and then drops all data."""

    failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Writes or drops bytes; returns how many."""
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
    """Inside, `sys.stdout` and `sys.stderr` exist and writing to them does not fail.

    Streams that the caller installed are not replaced.

    Raises:
        SystemExit: with a non-zero code where the block exits with 0 but a write to stdout failed.
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
    """Opens /dev/null for closed descriptors 0, 1 and 2; else a file could get the number and receive log output."""
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(opened)


def _writable(stream: Any, own: Any) -> TextIO:
    """The stream, over a `_Sink` if it belongs to the process."""
    if stream is None:  # closed, or a program without a console
        return open(os.devnull, "w", encoding="utf-8")
    if stream is not own or os.name != "posix":  # Windows consoles are not plain files
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Sink(stream.fileno(), "w", closefd=False)),
        stream.encoding, "backslashreplace", line_buffering=stream.line_buffering or stream.write_through,
    )  # fmt: skip


def _exit_code(out: TextIO, err: TextIO) -> int:
    """0 if no write to stdout failed."""
    failure = getattr(getattr(getattr(out, "buffer", None), "raw", None), "failure", None)
    if failure is None:
        return 0
    if failure.errno == errno.EPIPE:
        return _READER_GONE
    err.write(f"Error: cannot write to standard output: {failure.strerror}\n")
    return 1
