"""Detects that JAX was used before a fork: in the child it would hang."""

from __future__ import annotations

import os

from ..errors import BackendUnavailable


class ForkGuard:
    """Refuses JAX in a process forked from one that had used it: JAX's threads do not exist in the child."""

    def __init__(self) -> None:
        self._used = self._is_forked = False
        if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
            os.register_at_fork(after_in_child=self._after_fork)

    def use(self) -> None:
        """Records that JAX is about to be used.

        Raises:
            BackendUnavailable: this process was forked after JAX was used.
        """
        if self._is_forked:
            raise BackendUnavailable(
                "JAX was used before this process was forked, and would hang in it. Start processes with "
                "multiprocessing.get_context('spawn'), or use JAX only in the children"
            )
        self._used = True

    def _after_fork(self) -> None:
        self._is_forked = self._is_forked or self._used
