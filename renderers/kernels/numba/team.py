"""How the threads of a call share its tasks: atomic counters, without locks or the GIL.

A call consists of phases, each of a number of independent tasks: even phases paint tiles, odd ones update rows. The
*ticket* holds the phase and the next task of it in one number, so that a thread that comes late takes either a task of
the current phase or none. The leader, the caller's thread, opens a phase when its data is ready, takes tasks too, and
goes on when all are done. Other threads wait for the next phase by spinning, up to a limit: without one, they would
take the cores of those that they wait for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from .cache import compiled

# Indices of the flags that the threads of one call share, a cache line apart: the ticket; the numbers of tasks done in
# all phases, and of tasks of the phases before the current; the needed size of a scratch; whether a task failed.
TICKET, DONE, BEFORE, SCRATCH_SIZE, FAILED = (np.int64(8 * k) for k in range(5))
FLAG_COUNT = 40
# Iterations of a spin-wait: about 50 µs, longer than it takes to paint a tile.
SPIN_LIMIT = 12_000
# Further iterations for each row, about 80 ns: twice as long as it takes to bin a circle of a large scene.
SPINS_EACH_ROW = 20

_CLOSED = np.int64(-(2**62))
_PHASE = np.int64(32)  # bits below the phase
_TASK = np.int64(2**32 - 1)
_ONE = np.int64(1)
_FLAGS = types.Array(types.int64, 1, "C")


def _read_modify_write(operation: str) -> Any:
    """`(flags, index, value) -> int`: applies LLVM's atomic operation to `flags[index]`; returns its previous value."""

    @intrinsic
    def apply(typing_context: Any, flags: Any, index: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
            return builder.atomic_rmw(operation, builder.gep(data, [arguments[1]]), arguments[2], "seq_cst")

        return types.int64(_FLAGS, types.int64, types.int64), generate

    return apply


_fetch_add, _exchange = _read_modify_write("add"), _read_modify_write("xchg")


@intrinsic
def _load(typing_context: Any, flags: Any, index: Any) -> Any:
    """Atomically reads `flags[index]`, sequentially consistent with the other operations here."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.load_atomic(builder.gep(data, [arguments[1]]), "seq_cst", 8, typ=ir.IntType(64))

    return types.int64(_FLAGS, types.int64), generate


def new_flags() -> Any:
    """Flags of a call before its first phase; each call needs new ones, since a late thread may still read the last."""
    flags = np.zeros(FLAG_COUNT, np.int64)
    flags[TICKET] = _TASK  # no task is left of phase 0
    return flags


@njit(inline="always")
def _pause(pace):
    """Takes about 4 ns: an addition and a division that depend on the previous call's. `pace` stays above 0."""
    return 1.0 / (1.0 + pace)


@njit(inline="always")
def open_phase(flags, phase, tasks_before):
    """Opens a phase; the data of its tasks must be ready.

    Args:
        flags: of the call.
        phase: its number, above that of the last.
        tasks_before: number of tasks of all phases before.
    """
    flags[BEFORE] = tasks_before
    _exchange(flags, TICKET, np.int64(phase) << _PHASE)


@njit(inline="always")
def claim(flags, even_count, odd_count):
    """Takes a task.

    Args:
        flags: of the call.
        even_count: number of tasks of an even phase.
        odd_count: number of tasks of an odd phase.

    Returns:
        The phase and the task; task -1 if none is left in the current phase, phase -1 if the call is closed.
    """
    ticket = _load(flags, TICKET)
    if ticket >= 0:
        if (ticket & _TASK) >= (odd_count if (ticket >> _PHASE) & 1 else even_count):
            return ticket >> _PHASE, np.int64(-1)
        ticket = _fetch_add(flags, TICKET, _ONE)
        if ticket >= 0:
            if (ticket & _TASK) >= (odd_count if (ticket >> _PHASE) & 1 else even_count):
                return ticket >> _PHASE, np.int64(-1)
            return ticket >> _PHASE, ticket & _TASK
    return np.int64(-1), np.int64(-1)


@njit(inline="always")
def finish_task(flags):
    """Counts a task as done."""
    _fetch_add(flags, DONE, _ONE)


@njit(nogil=True)
def wait_for_all(flags, count):
    """Spins until `count` tasks are done in all phases, up to a limit; returns whether they are."""
    pace = 1.0
    for _ in range(SPIN_LIMIT):
        if _load(flags, DONE) == count:
            return True
        if pace < 0.0:
            break
        pace = _pause(pace)
    return _load(flags, DONE) == count


@njit(nogil=True)
def wait_for_phase(flags, even_count, odd_count, rows):
    """Spins until there may be a task, or the call is closed, up to a limit; returns False at the limit.

    The limit rises with the number of rows, which the leader sorts into tiles meanwhile.
    """
    pace = 1.0
    for _ in range(SPIN_LIMIT + SPINS_EACH_ROW * rows):
        ticket = _load(flags, TICKET)
        if ticket < 0 or (ticket & _TASK) < (odd_count if (ticket >> _PHASE) & 1 else even_count):
            return True
        if pace < 0.0:
            break
        pace = _pause(pace)
    return False


@compiled()
def close(flags, even_count, odd_count):
    """Closes a call to late threads and spins, up to a limit, for active ones; returns whether all tasks are done."""
    ticket = _exchange(flags, TICKET, _CLOSED)
    taken = ticket & _TASK
    if ticket >= 0 and taken != _TASK:  # else it is closed already, or no phase was opened
        flags[BEFORE] += min(taken, odd_count if (ticket >> _PHASE) & 1 else even_count)
    return wait_for_all(flags, flags[BEFORE])
