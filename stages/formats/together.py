"""Writes files two at a time: compression and drawing release the GIL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


def in_pairs(jobs: Sequence[Callable[[], T]]) -> Iterator[T]:
    """Does two jobs at a time, the next two when both are done; yields the results in order.

    The second of a pair runs in this thread, where it uses memory again that was freed here. A caller who stops
    iterating, like an error, ends the work after the current pair.
    """
    with ThreadPoolExecutor(1) as pool:
        for k in range(0, len(jobs), 2):
            beside, *own = jobs[k : k + 2]
            # In a copy of the caller's context, for its limit of threads.
            waiting = pool.submit(copy_context().run, beside)
            results = [job() for job in own]
            yield waiting.result()
            yield from results
