"""Picture files on disk, in memory, or behind a file object."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from artpipe.renderers import InputError
from artpipe.renderers.errors import printable

# Most that is read from a file object, bytes.
BYTES_MAX = 1_400_000_000


@dataclass(frozen=True)
class Source:
    """A picture file that can be opened as often as needed.

    Attributes:
        name: for messages; printable.
        content: its path, or its bytes.
    """

    name: str
    content: Path | bytes

    def open(self) -> IO[bytes]:
        """Open it for reading, at its start."""
        return BytesIO(self.content) if isinstance(self.content, bytes) else self.content.open("rb")

    @property
    def byte_count(self) -> int:
        """Size of the file, bytes."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size


def is_file_like(given: object) -> bool:
    """Whether `source_of` accepts it: a path, bytes, or an object with `read`."""
    return isinstance(given, (str, os.PathLike, bytes, bytearray, memoryview, Source)) or hasattr(given, "read")


def source_of(given: Any, argument: str = "picture") -> Source:
    """The picture file that an argument stands for.

    Args:
        given: a path; the content as bytes; or a binary file object, which is read from its start if it is seekable,
            otherwise from its current position. A `Source` is returned unchanged.
        argument: its name, for messages.

    Raises:
        InputError: there is no such file, or it cannot be read.
    """
    if isinstance(given, Source):
        return given
    if isinstance(given, (bytes, bytearray, memoryview)):
        content = bytes(given)
        return _not_empty(Source(f"{argument}, {len(content)} bytes,", content))
    if hasattr(given, "read"):
        return _not_empty(Source(_name_of(given, argument), _all_of(given, argument)))
    return _on_disk(given)


def _not_empty(source: Source) -> Source:
    if not source.byte_count:
        raise InputError(f"{source.name} is empty; needs a picture")
    return source


def _name_of(file: Any, argument: str) -> str:
    name = getattr(file, "name", None)
    return printable(name) if isinstance(name, str) and name else f"the file object given as {argument}"


def _all_of(file: Any, argument: str) -> bytes:
    try:
        seekable = getattr(file, "seekable", None)
        if seekable is None or seekable():
            file.seek(0)
    except (OSError, AttributeError):  # a pipe or a stream: read the rest
        pass
    except ValueError as error:  # it is closed
        raise InputError(f"cannot read {argument}: {error}") from None
    parts, count = [], 0
    try:
        while part := file.read(1 << 24):
            if isinstance(part, str):
                raise InputError(f"{argument} is a file in text mode; open it with 'rb'")
            parts.append(bytes(part))
            count += len(part)
            if count > BYTES_MAX:
                raise InputError(f"{argument} holds more than {BYTES_MAX / 1e9:.1f} GB; needs a picture file")
    except UnicodeDecodeError:
        raise InputError(f"{argument} is a file in text mode; open it with 'rb'") from None
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"cannot read {argument}: {printable(error)}") from None
    return b"".join(parts)


def _on_disk(given: str | os.PathLike[str]) -> Source:
    """Accept regular files only: a pipe may block for ever, and a device never ends."""
    name = printable(given)
    try:
        path = Path(os.fsdecode(given))
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise InputError(f"{name} is a folder; needs a picture file")
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{name} is a pipe or a device; save the picture to a file first")
        if status.st_size == 0:
            raise InputError(f"{name} is empty; needs a picture")
        with path.open("rb"):
            return Source(name, path)
    except FileNotFoundError:
        raise InputError(f"there is no file {name}") from None
    except (OSError, ValueError) as error:  # ValueError: not a valid file name
        raise InputError(f"cannot read {name}: {getattr(error, 'strerror', None) or error}") from None
