"""Ctrl-C and SIGTERM: the first asks to stop, the second ends the process."""

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
_NOTICE = "\nstopping when what stands is saved; once more quits at once\n"
_SHOW_CURSOR = "\x1b[?25h"


class Interruption:
    """While it is entered, the first signal asks to stop, and the second ends the process at once.

    Until `defer` is called, the first raises KeyboardInterrupt, with its number as argument: what is loaded and
    compiled before a fit has nothing to save. From then on it is only noted, and who fits asks for it.

    Files are written so that they are whole at any moment, so nothing is lost but the work since the last checkpoint.
    In other threads than the main one, where no signals arrive, it does nothing.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        """The signal that came, if any."""
        self._deferred = False
        self._former: dict[int, Any] = {}
        self._former_hook = sys.unraisablehook
        self._pipe: tuple[int, int] | None = None
        self._former_pipe = -1

    @property
    def exit_code(self) -> int:
        """What a shell expects of a program that a signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self.signal or 0)

    def defer(self) -> None:
        """From now on the first signal is only noted.

        Raises:
            KeyboardInterrupt: one came before, and got lost in a library.
        """
        self._deferred = True
        if self.signal is not None:
            raise KeyboardInterrupt(self.signal)

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """While libraries load: a signal just ends the process. Some abort, with a traceback, if it raises in them."""
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
            os.close(self._pipe[1])  # which ends the watch
        if isinstance(error, Exception) and self.signal is not None and not self._deferred:
            # A library that was interrupted while it loaded made something else of it.
            raise KeyboardInterrupt(self.signal) from None

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.signal is not None and self._pipe is None:
            _quit(number)
        first, self.signal = self.signal is None, self.signal or number
        if first and not self._deferred:
            raise KeyboardInterrupt(number)

    def _watch(self, reads: int) -> None:
        """Takes each signal as it comes; handlers in Python, as `_note`, wait for the step of a large picture."""
        came = 0
        while numbers := os.read(reads, 1):
            came += 1
            if came > 1:
                _quit(numbers[0])
            if self._deferred:
                _say(_NOTICE)
        os.close(reads)

    def _tell_unraisable(self, unraisable: Any) -> None:
        """An interrupt that got lost in a callback is no news: `defer` raises it once more."""
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            self._former_hook(unraisable)


class NotedInterrupt:
    """Inside, the first Ctrl-C only sets `signal`, which a fit checks between parts; a second raises KeyboardInterrupt.

    For fits called from a program or a notebook: SIGTERM, a custom SIGINT handler and threads other than the main one
    are left alone. On exit the default handler is restored.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        """The signal that came, if any."""
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
            # What was interrupted in the middle of a step made something else of it.
            raise KeyboardInterrupt from None

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.signal is not None:
            self._raised = True
            raise KeyboardInterrupt
        self.signal = number


def _quit(number: int) -> None:
    """Ends the process. Not by sys.exit: what is at work might catch it, or wait for threads."""
    _say(_SHOW_CURSOR if sys.stderr.isatty() else "")
    os._exit(128 + number)


def _say(text: str) -> None:
    """Writes to stderr by the system's own call: a signal may come while Python's buffer is in use."""
    try:
        os.write(2, text.encode())
    except OSError:
        pass  # nobody listens
