"""Named arrays in an .npz file, checked against a table of their types, shapes and sizes.

`numpy.load(path)["name"]` reads these files, and files that numpy wrote are read here, but not trusted: sizes are
checked before unpacking, and only numbers and text are accepted, so that a file can neither fill the memory nor run
code (as pickled object arrays do).

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
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from artpipe.renderers.errors import one_line

# zlib level: two thirds of the time of 6, which numpy uses, for 2 % more bytes of scenes.
COMPRESSION = 2
# The start of every zip file, and of no JSON text.
ZIP_MARK = b"PK"

_NPY_MARK = b"\x93NUMPY\x01\x00"
# Bytes; numpy writes headers of 118, or slightly more for long shapes.
_HEADER_MAX = 1024
# Signature of an entry in a zip file's directory, and the most entries; each takes about 1 KB of memory.
_ENTRY_MARK, _ENTRIES_MAX = b"PK\x01\x02", 1000
_FIELD = r"'(?:descr': *'[^']*'|fortran_order': *(?:True|False)|shape': *\((?:[0-9]+, ?)*[0-9]*\))"
_HEADER = re.compile(rf"\{{(?:[ ,]*{_FIELD}){{3}}[ ,]*\}}\s*")
_VALUE = re.compile(r"'(descr|fortran_order|shape)': *('[^']*'|True|False|\([0-9, ]*\))")


@dataclass(frozen=True)
class Field:
    """Required type, shape and size of an array in a file.

    Attributes:
        dtype: as numpy writes it, little-endian on every machine: `<f4 <f8 <i8 |u1`, or `<U` for text of any length.
        shape: length of each dimension. A word stands for any length, the same one in all arrays of a file. Text has at
            most one dimension.
        most: maximum number of items; of text, characters, each item counted at the length of the longest.
    """

    dtype: str
    shape: tuple[int | str, ...]
    most: int

    @property
    def size(self) -> int:
        """Bytes of an item, or of a character of text."""
        return 4 if self.dtype == "<U" else np.dtype(self.dtype).itemsize


def pack(values: Mapping[str, Any], table: Mapping[str, Field], file: IO[bytes], compressed: bool = True) -> None:
    """Writes arrays; the same values give the same bytes (numpy dates every member 1980).

    Args:
        values: by name: arrays, or anything that `numpy.asarray` accepts. Names of the table may be missing.
        table: the field of each name.
        file: open for writing.
        compressed: whether to deflate them; not worth the time for noise, as in an optimiser's state.

    Raises:
        ValueError: an array has another shape or size than in the table.
    """
    arrays: dict[str, Any] = {name: np.asarray(value, table[name].dtype) for name, value in values.items()}
    lengths: dict[str, int] = {}
    for name, array in arrays.items():
        _check_shape(name, array.shape, table[name], lengths)
        _check_size(name, array.nbytes // table[name].size, table[name])
    if not compressed:
        np.savez(file, **arrays)
        return
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, (1, 0), allow_pickle=False)


def unpack(data: bytes, table: Mapping[str, Field], names: Iterable[str] | None = None) -> dict[str, Any]:
    """The values that `pack` wrote, using no more memory than the table allows.

    Args:
        data: the bytes of the file.
        table: the field of each name.
        names: names to read; all of the table if None. Names that the file lacks are left out; other members are never
            read.

    Returns:
        By name: a number or a string for shape (), a list of strings for other text, and otherwise a read-only array.

    Raises:
        ValueError: the file is broken, or an array has another type, shape or size than in the table.
    """
    if data.count(_ENTRY_MARK) > _ENTRIES_MAX:
        raise ValueError(f"it holds more than {_ENTRIES_MAX} arrays")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            held = set(archive.namelist())
            wanted = [name for name in (table if names is None else names) if f"{name}.npy" in held]
            members = {name: _member(archive, name, table[name]) for name in wanted}
    # Raised by zipfile for broken bytes; NotImplementedError for features of newer zip files.
    except (
        zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, OverflowError, ValueError, NotImplementedError
    ) as error:  # fmt: skip
        raise ValueError(f"it cannot be unpacked: {one_line(error)}") from None
    lengths: dict[str, int] = {}
    return {name: _value(name, content, table[name], lengths) for name, content in members.items()}


def _member(archive: zipfile.ZipFile, name: str, field: Field) -> bytes:
    """The bytes of an array's .npy file, never more than the array may have."""
    entry = archive.getinfo(f"{name}.npy")
    most = len(_NPY_MARK) + 2 + _HEADER_MAX + field.size * field.most
    if entry.file_size > most:
        raise ValueError(f"{name} has {entry.file_size} bytes; needs at most {most}")
    if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is encrypted or has an unknown compression; needs deflate, as numpy writes")
    with archive.open(entry) as member:
        # Limited: a plain read() would unpack everything before checking the stated size.
        return member.read(entry.file_size + 1)


def _value(name: str, content: bytes, field: Field, lengths: dict[str, int]) -> Any:
    """The value of an .npy file, checked against its field; arrays are views of `content`."""
    start = len(_NPY_MARK) + 2
    end = start + int.from_bytes(content[len(_NPY_MARK) : start], "little")
    if not content.startswith(_NPY_MARK) or end - start > _HEADER_MAX:
        raise ValueError(f"{name} is not an .npy array, format 1.0")
    # A Python literal, always of these three fields: matched, not evaluated.
    header = content[start:end].decode("latin-1")
    fields = dict(_VALUE.findall(header)) if _HEADER.fullmatch(header) else {}
    held = fields.get("descr", "an unknown type").strip("'")
    if not (re.fullmatch(r"<U[1-9]\d{0,8}", held) if field.dtype == "<U" else held == field.dtype):
        raise ValueError(f"{name} has type {reprlib.repr(held)}; needs {field.dtype}")
    shape = tuple(int(side) for side in re.findall(r"\d+", fields.get("shape", "")))
    _check_shape(name, shape, field, lengths)
    characters = int(held[2:]) if field.dtype == "<U" else 1
    items = characters * math.prod(shape)
    _check_size(name, items, field)
    if len(content) - end != field.size * items:
        raise ValueError(f"{name} has {len(content) - end} bytes; {held} of shape {shape} has {field.size * items}")
    if field.dtype == "<U":
        step = 4 * characters
        words = [content[at : at + step].decode("utf-32-le").rstrip("\0") for at in range(end, len(content), step)]
        return words if shape else words[0]
    order: Any = "F" if fields.get("fortran_order") == "True" else "C"
    array = np.frombuffer(content, field.dtype, offset=end).reshape(shape, order=order)
    return array if shape else array.item()


def _check_shape(name: str, shape: tuple[int, ...], field: Field, lengths: dict[str, int]) -> None:
    """Checks a shape against its field and the named lengths known so far, to which it adds new ones.

    Raises:
        ValueError: it differs.
    """
    wanted = tuple(lengths.get(side, side) if isinstance(side, str) else side for side in field.shape)
    fits = len(shape) == len(wanted) and all(
        side <= field.most if isinstance(need, str) else side == need for side, need in zip(shape, wanted, strict=True)
    )
    if not fits:
        needs = str(wanted).replace("'", "")
        raise ValueError(f"{name} has shape {reprlib.repr(shape)}; needs {needs} of at most {field.most} items")
    lengths.update((side, length) for side, length in zip(field.shape, shape, strict=True) if isinstance(side, str))


def _check_size(name: str, items: int, field: Field) -> None:
    if items > field.most:
        unit = "characters" if field.dtype == "<U" else "items"
        raise ValueError(f"{name} has {items} {unit}; needs at most {field.most}")
