"""Claims a run folder: creates it before the work begins and locks it against other processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from artpipe.renderers import InputError
from artpipe.stages.formats.files import remove_leftovers
from artpipe.stages.formats.names import fitting

from .checkpoints import FOLDER, START

_LOCK = "lock"
_ELSEWHERE = ". Try another folder with -o"


@contextmanager
def new_folder(wanted: Path, warn: Callable[[str], object]) -> Iterator[Path]:
    """Creates and locks the folder, or, if it is not empty, the first free sibling, `name-2` and so on.

    On exit, created folders that are still empty are removed, parents included.

    Args:
        wanted: the folder.
        warn: called with one line if the folder holds an interrupted run.

    Raises:
        InputError: no folder can be created and written there, or another run uses it.
    """
    for number in range(1, 10_000):
        folder = wanted if number == 1 else _sibling(wanted, number)
        made: list[Path] = []
        try:
            if not _is_free(folder, made, warn):
                continue
            with hold(folder, _ELSEWHERE):
                if not _is_fresh(folder):  # another run used it meanwhile
                    continue
                yield folder
                return
        finally:
            for path in made:
                with suppress(OSError):
                    path.rmdir()  # fails if it is not empty, as it should
    raise InputError(f"{wanted} and 9998 siblings are taken; try another folder with -o")


def _is_free(folder: Path, made: list[Path], warn: Callable[[str], object]) -> bool:
    """Creates the folder, appends the created parts of its path to `made`; returns whether it is empty."""
    try:
        made += (path for path in (folder, *folder.parents) if not path.exists())
        folder.mkdir(parents=True, exist_ok=True)
        if _is_fresh(folder):
            return True
        if _is_held(folder):
            raise _in_use(folder, _ELSEWHERE)
        if (folder / FOLDER / START).is_file():
            warn(f"{folder} holds an interrupted run; to continue it: artpipe resume {folder}")
        return False
    except OSError as error:
        raise InputError(f"cannot use {folder} as output folder: {error.strerror or error}{_ELSEWHERE}") from None


def _sibling(wanted: Path, number: int) -> Path:
    path = Path(os.path.realpath(wanted)) if wanted.name in ("", "..") else wanted  # of `.`, `..` and `/`
    if not path.name:
        raise InputError(f"{path} is not empty and has no siblings. Try a folder in it with -o")
    return path.with_name(fitting(path.name, f"-{number}"))


@contextmanager
def hold(folder: Path, cure: str = "") -> Iterator[None]:
    """Locks a run folder against other processes. The lock of a process that dies is released.

    Args:
        folder: the run folder.
        cure: advice to append to the error message.

    Raises:
        InputError: another process holds the lock, or the folder is not writable.
    """
    inside = folder / FOLDER
    try:
        inside.mkdir(exist_ok=True)
        if inside.is_symlink():
            raise InputError(f"{inside} is a link; needs a folder that a run created")
        lock = FileLock(inside / _LOCK, timeout=0)
        lock.acquire()
    except Timeout:
        raise _in_use(folder, cure) from None
    except OSError as error:
        raise InputError(f"cannot write in {folder}: {error.strerror or error}{cure}") from None
    try:
        remove_leftovers(inside)
        yield
    finally:
        remove_leftovers(folder)
        with suppress(OSError):
            (inside / _LOCK).unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):
            inside.rmdir()  # fails while it holds checkpoints


def _in_use(folder: Path, cure: str) -> InputError:
    return InputError(f"{folder} is in use by another run. Wait for it to end{cure}")


def _is_held(folder: Path) -> bool:
    path = folder / FOLDER / _LOCK
    if not path.exists():
        return False
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    lock.release()
    return False


def _is_fresh(folder: Path) -> bool:
    """Whether it is empty except for leftovers of a run that was killed before it began."""
    return all(
        entry.name == FOLDER and all(path.name.startswith(".") for path in entry.glob("*.bin"))
        for entry in folder.iterdir()
    )
