"""The number of drawing threads: the caller's, else ARTPIPE_THREADS, else the cores available to this process."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from .checks import whole_number

VARIABLE = "ARTPIPE_THREADS"
# More cores than any machine has; larger numbers are mistakes.
THREADS_MAX = 1024

_limit: ContextVar[int | None] = ContextVar("artpipe threads", default=None)  # set by `thread_limit`


def thread_count(asked: int | None = None) -> int:
    """The number of drawing threads.

    Args:
        asked: the caller's; None to follow `thread_limit`, then the environment's ARTPIPE_THREADS, then
            `usable_cores`.

    Raises:
        InputError: the number, or the variable's text, is not a whole number from 1 to `THREADS_MAX`.
    """
    if asked is not None:
        return check_threads(asked)
    if (limit := _limit.get()) is not None:
        return limit
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return usable_cores()
    try:
        return check_threads(int(text), VARIABLE)
    except ValueError:  # not a number: the check refuses the text
        return check_threads(text, VARIABLE)


def check_threads(threads: Any, name: str = "threads") -> int:
    """The number as an int.

    Args:
        threads: the number.
        name: for the message.

    Raises:
        InputError: it is not a whole number from 1 to `THREADS_MAX`.
    """
    return whole_number(name, threads, 1, THREADS_MAX)


@contextmanager
def thread_limit(threads: int | None) -> Iterator[None]:
    """Sets the default of `thread_count` in this thread while entered; None changes nothing.

    Raises:
        InputError: as `check_threads`.
    """
    token = _limit.set(_limit.get() if threads is None else check_threads(threads))
    try:
        yield
    finally:
        _limit.reset(token)


def usable_cores() -> int:
    """Cores available to this process, by its affinity and the CPU quota of its container, rounded up.

    Rounded up, since the serial parts of a step leave some of the quota to the parallel ones.
    """
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


@lru_cache(maxsize=1)
def cpu_quota(root: Path = Path("/")) -> float | None:
    """CPU quota of this process in cores, by Linux control groups (versions 1 and 2); None if there is no limit.

    The tightest limit of the process's group and its ancestors counts.

    Args:
        root: where /proc and /sys are.
    """
    quotas = []
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []  # no control groups here
    for line in lines:
        _, controllers, group = (*line.split(":", 2), "", "")[:3]
        if controllers == "":
            mounts, read = ["sys/fs/cgroup", "sys/fs/cgroup/unified"], _quota_v2
        elif "cpu" in controllers.split(","):
            mounts, read = [f"sys/fs/cgroup/{controllers}", "sys/fs/cgroup/cpu"], _quota_v1
        else:
            continue
        # In a container the mount's root may be its own group, and the path not exist there: all ancestors are tried.
        path = PurePosixPath(group.lstrip("/"))
        for mount in mounts:
            for inner in (path, *path.parents):
                if ".." not in inner.parts:
                    with suppress(OSError, ValueError, ZeroDivisionError):
                        quotas.append(read(root / mount / inner))
    return min((quota for quota in quotas if quota > 0), default=None)


def _quota_v2(group: Path) -> float:
    quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
    return int(quota) / int(period)  # the word "max" is a ValueError


def _quota_v1(group: Path) -> float:
    # No limit is -1.
    quota, period = (int((group / f"cpu.cfs_{name}_us").read_text(encoding="ascii")) for name in ("quota", "period"))
    return quota / period
