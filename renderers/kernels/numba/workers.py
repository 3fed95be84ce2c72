"""Worker threads, each with its own queue of tasks, which is faster than an executor."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

Task = Callable[[int], object]
# A task and the number of the worker; None ends the worker.
_Order = tuple[Task, int] | None


class Workers:
    """Up to `count` threads, started on demand, and again after `close`, a fork or their death.

    They end when this object is garbage-collected.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._started: list[tuple[threading.Thread, SimpleQueue[_Order]]] = []
        self._errors: SimpleQueue[BaseException] = SimpleQueue()
        weakref.finalize(self, _end, self._started)

    def wake(self, task: Task, count: int) -> None:
        """Has workers call `task` with their numbers, starting at 1; does not wait for them.

        Args:
            task: may be called late, even after the caller has continued.
            count: number of workers; fewer may be available.
        """
        for number in range(1, min(count, self.count) + 1):
            orders = self._orders(number)
            if orders is None:
                break
            orders.put((task, number))

    def check(self) -> None:
        """Raises the oldest exception of a worker's task that was not raised yet, if any."""
        if not self._errors.empty():
            raise self._errors.get()

    def close(self) -> None:
        """Ends the threads and waits for them."""
        _end(self._started)
        for thread, _ in self._started:
            if thread.is_alive():
                thread.join()
        self._started.clear()

    def _orders(self, number: int) -> SimpleQueue[_Order] | None:
        """The queue of a worker; None if the system cannot start another thread."""
        at = slice(number - 1, number)
        for thread, orders in self._started[at]:
            if thread.is_alive():
                return orders
            orders.put(None)  # it may be running after all: an interrupt can hide a start
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
        task, number = order
        try:
            task(number)
        except BaseException as error:  # raised by the caller's thread, in `check`
            errors.put(error)
        del order, task  # frees the task's arrays before the next one


def _end(started: list[tuple[threading.Thread, Any]]) -> None:
    for _, orders in started:
        orders.put(None)
