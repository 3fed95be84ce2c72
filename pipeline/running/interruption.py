"""Ctrl-C and SIGTERM: the first asks the run to stop, the second ends the process."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_NOTICE = "\nsaving and stopping; a second signal quits at once\n"
_SHOW_CURSOR = "\x1b[?25h"


class Interruption:
    """Inside, the first signal asks the run to stop, and the second ends the process at once.

    Before `defer`, the first signal raises KeyboardInterrupt with its number as argument: there is nothing to save yet.
    After `defer`, it only sets `signal`, which the run checks between parts.

    Files are always complete on disk, so at most the work since the last checkpoint is lost. In threads other than the
    main one, which receive no signals, this class does nothing.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        """The first signal received, if any."""
        self._deferred = False
        self._former: dict[int, Any] = {}
        self._former_hook = sys.unraisablehook
        self._pipe: tuple[int, int] | None = None
        self._former_pipe = -1

    @property
    def exit_code(self) -> int:
        """The conventional exit code for a signal: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self.signal or 0)

    def defer(self) -> None:
        """From now on the first signal only sets `signal`.

        Raises:
            KeyboardInterrupt: a signal came earlier, and a library swallowed the exception.
        """
        self._deferred = True
        if self.signal is not None:
            raise KeyboardInterrupt(self.signal)

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Inside, a signal ends the process: some libraries abort with a traceback if one raises during import."""
        for number in self._former:
            signal.signal(number, signal.SIG_DFL)
        try:
            yield
        finally:
            for number in self._former:
                signal.signal(number, self._note)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._former_hook, sys.unraisablehook = sys.unraisablehook, self._tell_unraisable
            if os.name == "posix":
                self._pipe = reads, writes = os.pipe()
                os.set_blocking(writes, False)
                self._former_pipe = signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
                threading.Thread(target=self._watch, args=(reads,), daemon=True).start()
            for number in _SIGNALS:
                self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        if self._former:
            sys.unraisablehook = self._former_hook
        if self._pipe is not None:
            signal.set_wakeup_fd(self._former_pipe)
            os.close(self._pipe[1])  # ends the thread
        if isinstance(error, Exception) and self.signal is not None and not self._deferred:
            # A library that was interrupted during import raised another error.
            raise KeyboardInterrupt(self.signal) from None

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.signal is not None and self._pipe is None:
            _quit(number)
        first, self.signal = self.signal is None, self.signal or number
        if first and not self._deferred:
            raise KeyboardInterrupt(number)

    def _watch(self, reads: int) -> None:
        """Reads signals at once; Python handlers such as `_note` wait for the end of a step."""
        count = 0
        while numbers := os.read(reads, 1):
            count += 1
            if count > 1:
                _quit(numbers[0])
            if self._deferred:
                _say(_NOTICE)
        os.close(reads)

    def _tell_unraisable(self, unraisable: Any) -> None:
        """Hides interrupts that were raised in a callback, which `defer` raises again, and errors that follow them."""
        follows = self.signal is not None and not self._deferred
        if not follows and not issubclass(unraisable.exc_type, KeyboardInterrupt):
            self._former_hook(unraisable)


class NotedInterrupt:
    """Inside, the first Ctrl-C only sets `signal`, which a fit checks between parts; a second raises KeyboardInterrupt.

    For fits called from a program or a notebook: SIGTERM, a custom SIGINT handler and threads other than the main one
    are left alone. On exit the default handler is restored.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        """The first signal received, if any."""
        self._entered = self._raised = False

    def __enter__(self) -> Self:
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            signal.signal(signal.SIGINT, self._note)
            self._entered = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._entered:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._raised and isinstance(error, Exception):
            # A library that was interrupted during a step raised another error.
            raise KeyboardInterrupt from None

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.signal is not None:
            self._raised = True
            raise KeyboardInterrupt
        self.signal = number


def _quit(number: int) -> None:
    """Ends the process. Not by sys.exit, which running code may catch and which waits for threads."""
    _say(_SHOW_CURSOR if sys.stderr.isatty() else "")
    os._exit(128 + number)


def _say(text: str) -> None:
    """Writes to stderr by the system call: a signal may arrive while Python's buffer is in use."""
    try:
        os.write(2, text.encode())
    except OSError:
        pass  # stderr is closed
