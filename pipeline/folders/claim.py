"""Claiming a run folder: made before the work begins, and held against other processes while it lasts."""

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
def new_folder(wanted: Path, tell: Callable[[str], object]) -> Iterator[Path]:
    """Makes the folder, or if something is in it already, the first free sibling, `name-2` and so on; and holds it.

    A folder in which nothing was written is removed at the end if it was made here, and so are those above it.

    Args:
        wanted: the folder.
        tell: told if a run that was cut off stands in the way.

    Raises:
        InputError: no folder can be made and written to there, or another run is at work in it.
    """
    for number in range(1, 10_000):
        folder = wanted if number == 1 else _sibling(wanted, number)
        made: list[Path] = []
        try:
            if not _is_free(folder, made, tell):
                continue
            with hold(folder, _ELSEWHERE):
                if not _is_fresh(folder):  # another run came and went
                    continue
                yield folder
                return
        finally:
            for path in made:
                with suppress(OSError):
                    path.rmdir()  # fails if something is in it, as it should
    raise InputError(f"{wanted} and 9998 siblings are taken; try another folder with -o")


def _is_free(folder: Path, made: list[Path], tell: Callable[[str], object]) -> bool:
    """Makes the folder, and lists in `made` what was missing of its path; whether nothing is in it."""
    try:
        made += (path for path in (folder, *folder.parents) if not path.exists())
        folder.mkdir(parents=True, exist_ok=True)
        if _is_fresh(folder):
            return True
        if _is_held(folder):
            raise _in_use(folder, _ELSEWHERE)
        if (folder / FOLDER / START).is_file():
            tell(f"{folder} holds a run that was cut off; artpipe resume {folder} goes on with it")
        return False
    except OSError as error:
        raise InputError(f"cannot use {folder} as output folder: {error.strerror or error}. Try -o") from None


def _sibling(wanted: Path, number: int) -> Path:
    path = Path(os.path.realpath(wanted)) if wanted.name in ("", "..") else wanted  # which `.`, `..` and `/` have
    if not path.name:
        raise InputError(f"{path} is not empty, and has no siblings. Try a folder in it with -o")
    return path.with_name(fitting(path.name, f"-{number}"))


@contextmanager
def hold(folder: Path, cure: str = "") -> Iterator[None]:
    """Keeps other processes from working in a run folder. A process that dies releases it.

    Args:
        folder: of the run.
        cure: what to try if it cannot be held; added to the message.

    Raises:
        InputError: another one holds it, or it cannot be written to.
    """
    inside = folder / FOLDER
    try:
        inside.mkdir(exist_ok=True)
        if inside.is_symlink():
            raise InputError(f"{inside} is a link; needs a folder that a run made")
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
            inside.rmdir()  # fails while checkpoints are in it


def _in_use(folder: Path, cure: str) -> InputError:
    return InputError(f"{folder} is in use by another run; wait for it{cure}")


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
    """Whether nothing is in it but what a run that had not begun may have left."""
    return all(
        entry.name == FOLDER and all(path.name.startswith(".") for path in entry.glob("*.bin"))
        for entry in folder.iterdir()
    )
