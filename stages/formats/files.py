"""Reading of files up to a size limit, and atomic writing."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from artpipe.renderers import InputError

# Marks our temporary files.
_MARK = ".part"
_LEFTOVER = re.compile(r"\..*\.part(\.\w+)?")


@contextmanager
def whole_file(path: str | Path) -> Iterator[IO[bytes]]:
    """A binary file for writing that replaces `path` once it is complete.

    Raises:
        InputError: the folder is missing, read-only or full.
    """
    with whole_path(path) as temporary, temporary.open("wb") as file:
        yield file


@contextmanager
def whole_path(path: str | Path) -> Iterator[Path]:
    """Like `whole_file`, for writers that need a path: an empty file, with the same ending, beside `path`.

    Raises:
        InputError: the folder is missing, read-only or full.
    """
    path = Path(path)
    temporary = None
    try:
        temporary = _new_file(path.parent, path.suffix)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
        temporary = None
        _sync_folder(path.parent)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}. Try another folder") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _new_file(folder: Path, ending: str) -> Path:
    """An empty file under an unused name, short enough to be valid wherever the file's own name is."""
    while True:
        path = folder / f".{secrets.token_hex(8)}{_MARK}{ending}"
        with suppress(FileExistsError):
            # The system applies the umask; reading it would change it, for all threads.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666))
            return path


def _sync_folder(folder: Path) -> None:
    """Makes the new name survive a loss of power, where folders can be synced."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        pass  # some network file systems cannot
    finally:
        os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Removes the temporary files of a process that was killed while it wrote into this folder."""
    for path in folder.glob(".*"):
        if _LEFTOVER.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def read_at_most(path: str | Path, most: int) -> bytes:
    """A file's bytes, up to a limit; also of pipes and devices, which report no size.

    Raises:
        InputError: the file is missing, cannot be read, or has more than `most` bytes.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read(most + 1) if size == 0 else file.read() if size <= most else None
    except (OSError, ValueError) as error:  # ValueError: not a valid file name
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    if data is None or len(data) > most:
        raise InputError(f"{path} is larger than {most} bytes")
    return data


def write_text(path: str | Path, text: str) -> None:
    """Writes a text file atomically."""
    with whole_file(path) as file:
        file.write(text.encode(errors="backslashreplace"))  # file names in it may not be UTF-8
