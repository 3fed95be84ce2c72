"""Noticing that JAX was used before a fork, after which it would wait for ever."""

from __future__ import annotations

import os

from ..errors import BackendUnavailable


class ForkGuard:
    """Refuses to use JAX in a process that was forked from one which had used it: the child has none of its threads."""

    def __init__(self) -> None:
        self._used = self._lost = False
        if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
            os.register_at_fork(after_in_child=self._note)

    def use(self) -> None:
        """Notes that JAX is about to be used.

        Raises:
            BackendUnavailable: it would hang here.
        """
        if self._lost:
            raise BackendUnavailable(
                "JAX was used before this process was forked, and would hang in it. Start processes with "
                "multiprocessing.get_context('spawn'), or use JAX only in the children"
            )
        self._used = True

    def _note(self) -> None:
        self._lost = self._lost or self._used
