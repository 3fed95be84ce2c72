"""`python -m artpipe`, and the command `artpipe`."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from contextlib import suppress


def start() -> None:
    """Runs the command line; while it loads, Ctrl-C ends the process at once without a message."""
    _collect_seldom()
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # a shell may have asked to ignore it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from artpipe.pipeline.cli.commands import main

    signal.signal(signal.SIGINT, handler)
    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, int) and end.code > 128:  # ended by a signal: half-loaded libraries crash at exit
            with suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(end.code)
        raise


def _collect_seldom() -> None:
    """Makes garbage collections rare: the million objects of the libraries live until the end.

    Going through them while they load, and once more at exit, took a fifth of the CPU time of a run.
    """
    gc.set_threshold(50_000, 50, 1000)
    atexit.register(gc.freeze)


if __name__ == "__main__":
    start()
