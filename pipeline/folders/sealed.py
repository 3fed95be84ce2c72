"""Files that hold a digest of themselves: a truncated or modified one is detected."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from artpipe.renderers import InputError
from artpipe.stages.formats.arrays import Field, pack, unpack
from artpipe.stages.formats.files import whole_file

# The number is the version of the format.
_KIND, _MARK = b"artpipe checkpoint ", b"artpipe checkpoint 3\n"
_DIGEST = hashlib.sha256
_HEAD = len(_MARK) + 2 * _DIGEST().digest_size + 1  # bytes of mark and digest


def seal(path: Path, values: Mapping[str, Any], table: Mapping[str, Field]) -> None:
    """Writes values after a digest of them."""
    packed = io.BytesIO()
    # Not deflated: that takes over a second and saves little on an optimiser's numbers.
    pack(values, table, packed, compressed=False)
    payload = packed.getbuffer()
    with whole_file(path) as file:
        file.write(_head(_DIGEST(payload)))
        file.write(payload)


def _head(digest: Any) -> bytes:
    """The header of a file whose payload has this digest."""
    return _MARK + digest.hexdigest().encode() + b"\n"


def digest_in(path: Path) -> str:
    """The digest in the header of a file.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)[len(_MARK) :].decode("ascii", "replace").strip()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None


def unseal(path: Path, table: Mapping[str, Field]) -> dict[str, Any]:
    """The values that `seal` wrote: all of the table; only `weights` is optional.

    Raises:
        ValueError: the file is truncated, modified, or not a checkpoint.
    """
    if not path.is_file():  # a pipe or a device may be endless
        raise ValueError("it is not a regular file")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            if head.startswith(_KIND) and not head.startswith(_MARK):
                raise ValueError("another version of artpipe wrote it")
            # The digest first: an invalid file of any size takes little memory.
            if head != _head(hashlib.file_digest(file, _DIGEST)):
                raise ValueError("it is truncated or modified")
            file.seek(_HEAD)
            payload = file.read()
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from None
    # Arrays are not deflated, so none is larger than the file.
    fields_of_it = {name: replace(field, most=len(payload) // field.size) for name, field in table.items()}
    values = unpack(payload, fields_of_it)
    missing = set(fields_of_it) - set(values) - {"weights"}
    if missing:
        raise ValueError(f"it lacks {', '.join(sorted(missing))}")
    return values
