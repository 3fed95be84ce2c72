"""Noticing that a framework was used before a fork, after which it would wait for ever."""

from __future__ import annotations

import os

from .errors import BackendUnavailable


class ForkGuard:
    """Refuses to use a framework in a process that was forked from one which had used it.

    A forked child has none of its parent's threads; JAX, and PyTorch's parallel operations, wait for theirs.

    Args:
        framework: its name, for the message.
    """

    def __init__(self, framework: str) -> None:
        self._framework = framework
        self._used = self._lost = False
        if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
            os.register_at_fork(after_in_child=self._note)

    def use(self) -> None:
        """Notes that the framework is about to be used.

        Raises:
            BackendUnavailable: it would hang here.
        """
        if self._lost:
            raise BackendUnavailable(
                f"{self._framework} was used before this process was forked, and would hang in it. Start processes "
                "with multiprocessing.get_context('spawn'), or use it only in the children"
            )
        self._used = True

    def _note(self) -> None:
        self._lost = self._used
