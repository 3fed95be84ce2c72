"""Metadata chunks of a PNG file, and a view of the file without them, since Pillow refuses long ones."""

from __future__ import annotations

import io
import struct
import zlib
from bisect import bisect_right
from dataclasses import dataclass
from typing import IO, Any

SIGNATURE = b"\x89PNG\r\n\x1a\n"

# Chunks that Pillow needs to decode the pixels.
_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
# Chunks that are read here, and their maximum bytes; longer and broken ones are ignored.
_READ = {b"cICP": 4, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32, b"iCCP": 1 << 24, b"eXIf": 1 << 24, b"IHDR": 13, b"tRNS": 256}
# Chunks that are ignored after the pixels, as in libpng.
_BEFORE_PIXELS = (b"cICP", b"sRGB", b"gAMA", b"cHRM", b"iCCP", b"tRNS")
_TEXT_MAX = 1 << 20
_PROFILE_MAX = 1 << 24
_EXIF_TEXT = b"Raw profile type exif\0"  # hexadecimal, as some programs wrote it before eXIf existed
_XMP_TEXT = b"XML:com.adobe.xmp\0\0\0"  # an iTXt chunk that is not compressed

_TEXTS, _KEYWORDS = (b"tEXt", b"zTXt", b"iTXt"), (_EXIF_TEXT, _XMP_TEXT)

# Bit depth to the factor from a stored grey to Pillow's value.
_GREY_SCALES = {1: 255, 2: 85, 4: 17, 8: 1, 16: 1}


@dataclass(frozen=True)
class PngChunks:
    """A PNG file, split into chunks.

    Attributes:
        file: a view of the file that holds only the chunks of `_PIXELS`.
        content: contents of the chunks of `_READ`.
        info: metadata under Pillow's names: "exif", "XML:com.adobe.xmp", "icc_profile".
    """

    file: IO[bytes]
    content: dict[bytes, bytes]
    info: dict[str, Any]

    @property
    def key(self) -> int | tuple[int, ...] | None:
        """The transparent grey (0..255, or 16 bits) or colour (of the file's bit depth), if there is one."""
        head, values = self.content.get(b"IHDR", b""), self.content.get(b"tRNS", b"")
        if len(head) < 13:
            return None
        depth, colour_type = head[8], head[9]
        most = (1 << depth) - 1
        if colour_type == 0 and len(values) >= 2 and depth in _GREY_SCALES:
            return (int.from_bytes(values[:2]) & most) * _GREY_SCALES[depth]
        if colour_type == 2 and len(values) >= 6:
            return tuple(value & most for value in struct.unpack(">HHH", values[:6]))
        return None


def read_chunks(file: IO[bytes]) -> PngChunks:
    """Splits a PNG file into chunks; whatever follows a broken chunk is left to the decoder.

    Args:
        file: open, at any position; stays open.
    """
    size = file.seek(0, io.SEEK_END)
    kept = [(0, len(SIGNATURE))]
    content: dict[bytes, bytes] = {}
    info: dict[str, Any] = {"exif": b""}
    texts: set[bytes] = set()
    pixels = False
    at = len(SIGNATURE)
    while at < size:
        file.seek(at)
        head = file.read(8)
        end = at + 12 + int.from_bytes(head[:4])
        kind = head[4:]
        if len(head) < 8 or end > size or not kind.isalpha():
            kept.append((at, size))
            break
        length = end - at - 12
        late = kind in _BEFORE_PIXELS and pixels
        pixels = pixels or kind == b"IDAT"
        if kind in _READ and kind not in content and length <= _READ[kind] and not late:
            data = file.read(length + 4)
            if zlib.crc32(kind + data[:length]) == int.from_bytes(data[length:]):
                content[kind] = data[:length]
        elif kind in _TEXTS:
            text = file.read(min(length, _TEXT_MAX))
            # Only the first of each: unpacking many could take minutes.
            if (keyword := next(filter(text.startswith, _KEYWORDS), None)) and keyword not in texts:
                texts.add(keyword)
                info.update(_text(kind, text))
        if kind in _PIXELS and not late:
            if kept[-1][1] == at:
                kept[-1] = (kept[-1][0], end)
            else:
                kept.append((at, end))
        at = end
        if kind == b"IEND":
            break
    if b"eXIf" in content:
        info["exif"] = content[b"eXIf"]
    if profile := _profile(content.get(b"iCCP", b"")):
        info["icc_profile"] = profile
    return PngChunks(io.BufferedReader(_Parts(file, kept)), content, info)


def _text(kind: bytes, data: bytes) -> dict[str, Any]:
    """Metadata in a text chunk that may hold the orientation; other texts are ignored."""
    if kind == b"iTXt" and data.startswith(_XMP_TEXT):
        return {"XML:com.adobe.xmp": data[len(_XMP_TEXT) :].decode("utf-8", "replace")}
    if kind == b"iTXt" or not data.startswith(_EXIF_TEXT):
        return {}
    data = data[len(_EXIF_TEXT) :]
    try:
        text = zlib.decompressobj().decompress(data[1:], _TEXT_MAX) if kind == b"zTXt" else data
        return {"exif": bytes.fromhex("".join(text.decode("latin-1").split("\n")[3:]))}
    except (zlib.error, ValueError):
        return {}


def _profile(data: bytes) -> bytes:
    """Profile in an iCCP chunk; empty if it is broken or too long."""
    _, _, packed = data[:80].partition(b"\0")
    if packed[:1] != b"\0":  # unknown compression
        return b""
    stream = zlib.decompressobj()
    try:
        profile = stream.decompress(data[len(data[:80]) - len(packed) + 1 :], _PROFILE_MAX)
    except zlib.error:
        return b""
    return profile if stream.eof else b""


class _Parts(io.RawIOBase):
    """Some parts of a file, concatenated, as a read-only file."""

    def __init__(self, file: IO[bytes], parts: list[tuple[int, int]]) -> None:
        self._file, self._parts, self._at = file, parts, 0
        self._starts = [0]
        for first, end in parts:
            self._starts.append(self._starts[-1] + end - first)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self._starts[-1])[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at >= self._starts[-1]:
            return 0
        index = bisect_right(self._starts, self._at) - 1
        self._file.seek(self._parts[index][0] + self._at - self._starts[index])
        piece = self._file.read(min(len(buffer), self._starts[index + 1] - self._at))
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def close(self) -> None:
        self._file.close()
        super().close()
