"""`colr` boxes of AVIF and JPEG 2000 files (ISO base media file format), which Pillow does not report."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO

# The longest top-level box that is read, bytes.
BOX_MAX = 1 << 24
# Only this many top-level boxes are read.
BOXES_MAX = 10_000

Box = tuple[bytes, bytes]  # kind, content


def colour_boxes(file: IO[bytes]) -> list[bytes]:
    """Contents of the `colr` boxes of the displayed picture: primary item, else first track; the header in JPEG 2000.

    Args:
        file: open, at any position; stays open.
    """
    tops = dict(_top_boxes(file))
    if b"jp2h" in tops:
        return [content for kind, content in _boxes(tops[b"jp2h"]) if kind == b"colr"]
    found = _of_primary_item(tops[b"meta"][4:]) if b"meta" in tops else []
    return found or (_of_first_track(tops[b"moov"]) if b"moov" in tops else [])


def _top_boxes(file: IO[bytes]) -> Iterator[Box]:
    """Top-level boxes of the kinds that are used, in reverse order, so that the first of each kind wins in a dict."""
    size = file.seek(0, io.SEEK_END)
    at, found = 0, []
    for _ in range(BOXES_MAX):
        if at + 8 > size:
            break
        file.seek(at)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4]), head[4:8]
        start = 16 if length == 1 else 8
        length = int.from_bytes(head[8:16]) if length == 1 else length or size - at
        if length < start or at + length > size:
            break
        if kind in (b"meta", b"moov", b"jp2h") and length <= BOX_MAX:
            file.seek(at + start)
            found.append((kind, file.read(length - start)))
        at += length
    return reversed(found)


def _boxes(content: bytes) -> Iterator[Box]:
    at = 0
    while at + 8 <= len(content):
        length, kind = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8]
        length = length or len(content) - at
        if length < 8:
            return
        yield kind, content[at + 8 : at + length]
        at += length


def _inside(content: bytes, *kinds: bytes) -> bytes:
    """Content of the first box along a path of kinds; empty if there is none."""
    for kind in kinds:
        content = next((inner for found, inner in _boxes(content) if found == kind), b"")
    return content


def _of_primary_item(meta: bytes) -> list[bytes]:
    primary = _inside(meta, b"pitm")
    item = int.from_bytes(primary[4 : 8 if primary[:1] == b"\1" else 6])
    properties = list(_boxes(_inside(meta, b"iprp", b"ipco")))
    owned = [
        properties[index - 1]
        for kind, content in _boxes(_inside(meta, b"iprp"))
        if kind == b"ipma"
        for index in _properties_of(content, item)
        if 1 <= index <= len(properties)
    ]
    return [content for kind, content in owned if kind == b"colr"]


def _properties_of(associations: bytes, item: int) -> Iterator[int]:
    """Indices, from 1, of the properties that an `ipma` box associates with an item."""
    version, wide = associations[:1] >= b"\1", bool(associations[3:4] and associations[3] & 1)
    at = 8
    for _ in range(int.from_bytes(associations[4:8])):
        if at >= len(associations):
            return
        number = int.from_bytes(associations[at : at + (4 if version else 2)])
        at += 4 if version else 2
        count = associations[at] if at < len(associations) else 0
        at += 1
        for place in range(at, at + count * (2 if wide else 1), 2 if wide else 1):
            index = int.from_bytes(associations[place : place + (2 if wide else 1)])
            if number == item:
                yield index & (0x7FFF if wide else 0x7F)
        at += count * (2 if wide else 1)


def _of_first_track(moov: bytes) -> list[bytes]:
    entries = _inside(moov, b"trak", b"mdia", b"minf", b"stbl", b"stsd")[8:]
    for _, entry in _boxes(entries):
        # A visual sample entry has 78 bytes of its own before its boxes.
        return [content for kind, content in _boxes(entry[78:]) if kind == b"colr"]
    return []
