"""Threads that work beside the caller's, each woken by a queue of its own, which is faster than an executor."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

Task = Callable[[int], object]
# A task, the number of the worker, and where it says that it has returned from the task; None ends the worker.
_Order = tuple[Task, int, "SimpleQueue[None]"] | None


class Workers:
    """Up to `count` threads, started when they are first needed, and again after `close`, a fork or their death.

    They end when this object is no longer used.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._started: list[tuple[threading.Thread, SimpleQueue[_Order]]] = []
        self._errors: SimpleQueue[BaseException] = SimpleQueue()
        weakref.finalize(self, _end, self._started)

    def wake(self, task: Task, count: int, returned: SimpleQueue[None]) -> None:
        """Has workers call `task` with their numbers, from 1 on; does not wait for them.

        Args:
            task: may still be called when the caller has long gone on.
            count: of workers; fewer may come.
            returned: each worker puts None there when it is back from the task.
        """
        for number in range(1, min(count, self.count) + 1):
            orders = self._orders(number)
            if orders is None:
                break
            orders.put((task, number, returned))

    def check(self) -> None:
        """Raises what a task has raised in a worker, if anything, once."""
        if not self._errors.empty():
            raise self._errors.get()

    def close(self) -> None:
        """Ends the threads, and waits until they have ended."""
        _end(self._started)
        for thread, _ in self._started:
            if thread.is_alive():
                thread.join()
        self._started.clear()

    def _orders(self, number: int) -> SimpleQueue[_Order] | None:
        """The queue of a worker; None if the system gives no more threads."""
        at = slice(number - 1, number)
        for thread, orders in self._started[at]:
            if thread.is_alive():
                return orders
            orders.put(None)  # an interrupt may have hidden that it has started
        orders = SimpleQueue()
        thread = threading.Thread(target=_serve, args=(orders, self._errors), name="artpipe-kernel", daemon=True)
        self._started[at] = [(thread, orders)]
        try:
            thread.start()
        except RuntimeError:
            return None
        return orders


def _serve(orders: SimpleQueue[_Order], errors: SimpleQueue[BaseException]) -> None:
    while (order := orders.get()) is not None:
        task, number, returned = order
        try:
            task(number)
        except BaseException as error:  # for the caller's thread to raise
            errors.put(error)
        returned.put(None)
        del order, task, returned  # not to hold the task's arrays until the next one


def _end(started: list[tuple[threading.Thread, Any]]) -> None:
    for _, orders in started:
        orders.put(None)
