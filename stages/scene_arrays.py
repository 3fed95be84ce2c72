"""The scene as plain arrays in an .npz file: the compact twin of the JSON file, with the same names and meanings.

`numpy.load("scene.npz")["rows"]` is all that a reader needs. Reading here trusts nothing: sizes are checked before
anything is unpacked, and only numbers and text are understood, so that a file can neither fill the memory nor run
code (as the pickles of object arrays do).

Format of a member: numpy.lib.format, version 1.0, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import io
import math
import re
import reprlib
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from typing import IO, Any

import numpy as np

from ..renderers.primitives import CIRCLE

# The largest scene that is written or read: some 100 times what a fit has. Its rows and ids fill 10 MB.
ROWS_MAX = 250_000

# How every zip file begins, and no JSON text does.
ZIP_MARK = b"PK"

# Each array: its dtype, little-endian on every machine ("<U" is text of any length), and its shape, where None is
# the number of rows. The ids are kept as they are: their differences would save 2 % of a file of 2048 rows.
ARRAYS: dict[str, tuple[str, tuple[int | None, ...]]] = {
    "format": ("<U", ()),
    "version": ("<i8", ()),
    "width": ("<i8", ()),
    "height": ("<i8", ()),
    "background": ("<f4", (3,)),
    "edge": ("<U", ()),
    "order": ("<U", ()),
    "columns": ("<U", (len(CIRCLE.columns),)),
    "kinds": ("<U", (1,)),
    "next_id": ("<i8", ()),
    "ids": ("<i8", (None,)),
    "rows": ("<f4", (None, len(CIRCLE.columns))),
}

_NPY_MARK = b"\x93NUMPY\x01\x00"
# Characters. numpy writes headers of 118, and the longest name has 13.
_HEADER_MAX, _TEXT_MAX = 1024, 64
_FIELD = re.compile(r"'(descr|fortran_order|shape)': *('[^']*'|True|False|\([\d, ]*\))")


def pack(content: Mapping[str, Any], file: IO[bytes]) -> None:
    """Writes the values of `ARRAYS`; the same values give the same bytes (numpy dates every member 1980)."""
    arrays: dict[str, Any] = {name: np.asarray(content[name], dtype) for name, (dtype, _) in ARRAYS.items()}
    np.savez_compressed(file, **arrays)


def unpack(data: bytes, names: Iterable[str] = ARRAYS) -> dict[str, Any]:
    """The values that `pack` wrote: `rows` as an array, all else as Python's own numbers, words and lists.

    Args:
        data: the bytes of the file.
        names: keys of `ARRAYS`. One that the file lacks is left out; what else the file holds is never read.

    Raises:
        ValueError: the file is broken, or an array is of another type, shape or size than `ARRAYS` tells.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            held = set(archive.namelist())
            members = {name: _member(archive, name) for name in names if f"{name}.npy" in held}
    # What zipfile raises for broken bytes; NotImplementedError for what newer zip files may hold.
    except (
        zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, OverflowError, ValueError, NotImplementedError
    ) as error:  # fmt: skip
        raise ValueError(f"it does not unpack: {error}") from None
    return {name: _value(name, content) for name, content in members.items()}


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of an array's .npy file, never more than the array may have."""
    entry = archive.getinfo(f"{name}.npy")
    dtype, shape = ARRAYS[name]
    item = 4 * _TEXT_MAX if dtype == "<U" else np.dtype(dtype).itemsize
    most = len(_NPY_MARK) + 2 + _HEADER_MAX + item * math.prod(ROWS_MAX if side is None else side for side in shape)
    if entry.file_size > most:
        raise ValueError(f"{name} has {entry.file_size} bytes; a scene has at most {ROWS_MAX} rows")
    if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is encrypted or packed in an unknown way; needs deflate, as numpy writes")
    with archive.open(entry) as member:
        # Asked for by size: a plain read() would unpack all that is there before it looks at the size promised.
        return member.read(entry.file_size + 1)


def _value(name: str, content: bytes) -> Any:
    """What an .npy file holds, if that is as `ARRAYS` tells."""
    dtype, wanted = ARRAYS[name]
    start = len(_NPY_MARK) + 2
    end = start + int.from_bytes(content[len(_NPY_MARK) : start], "little")
    if not content.startswith(_NPY_MARK) or end - start > _HEADER_MAX:
        raise ValueError(f"{name} is no array that numpy wrote")
    # A Python literal, but only ever of these three fields: so nothing is evaluated.
    fields = dict(_FIELD.findall(content[start:end].decode("latin-1")))
    held = fields.get("descr", "an unknown type").strip("'")
    if not (re.fullmatch(r"<U\d{1,4}", held) if dtype == "<U" else held == dtype):
        raise ValueError(f"{name} has type {reprlib.repr(held)}; needs {dtype}")
    shape = tuple(int(side) for side in re.findall(r"\d+", fields.get("shape", "")))
    if len(shape) != len(wanted) or any(need not in (None, side) for side, need in zip(shape, wanted, strict=True)):
        raise ValueError(f"{name} has shape {reprlib.repr(shape)}; needs {str(wanted).replace('None', 'N')}")
    if None in wanted and shape[0] > ROWS_MAX:
        raise ValueError(f"{name} has {reprlib.repr(shape[0])} rows; a scene has at most {ROWS_MAX}")
    size = 4 * int(held[2:]) if dtype == "<U" else np.dtype(dtype).itemsize
    if not size or len(content) - end != size * math.prod(shape):
        raise ValueError(
            f"{name} has {len(content) - end} bytes; {held} of shape {shape} has {size * math.prod(shape)}"
        )
    if dtype == "<U":
        words = [content[at : at + size].decode("utf-32-le").rstrip("\0") for at in range(end, len(content), size)]
        return words if shape else words[0]
    order: Any = "F" if fields.get("fortran_order") == "True" else "C"
    array = np.frombuffer(content, dtype, offset=end).reshape(shape, order=order)
    return array if array.ndim == 2 else array.tolist()
