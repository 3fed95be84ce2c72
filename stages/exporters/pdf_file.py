"""The container of a PDF: objects, compressed streams and the table of their places."""

from __future__ import annotations

import hashlib
import zlib

# PDF 1.4 (2001) is the first version with soft masks. The second line marks the file as binary.
_HEADER = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"


class PdfFile:
    """Objects in the order of their numbers, from 1."""

    def __init__(self) -> None:
        self._objects: list[bytes] = []

    def reserve(self) -> int:
        """Return the number of an object that is put later."""
        self._objects.append(b"null")
        return len(self._objects)

    def put(self, number: int, body: str) -> None:
        """Set an object that was reserved."""
        self._objects[number - 1] = body.encode("ascii")

    def add(self, body: str) -> int:
        """Append an object and return its number."""
        number = self.reserve()
        self.put(number, body)
        return number

    def add_stream(self, entries: str, content: bytes) -> int:
        """Append a stream with these dictionary entries, compressed if that makes it smaller; return its number."""
        packed, how = zlib.compress(content, 9), "/Filter/FlateDecode"
        if len(packed) + len(how) >= len(content):
            packed, how = content, ""
        head = f"<<{entries}{how}/Length {len(packed)}>>stream\n".encode("ascii")
        self._objects.append(head + packed + b"\nendstream")
        return len(self._objects)

    def as_bytes(self, catalogue: int, about: int) -> bytes:
        """Return the file; it holds no time, so that equal objects give equal bytes.

        Args:
            catalogue: number of the object /Catalog.
            about: number of the dictionary of title and producer.
        """
        parts, places, length = [_HEADER], [], len(_HEADER)
        for number, body in enumerate(self._objects, 1):
            places.append(length)
            parts.append(b"%d 0 obj\n%b\nendobj\n" % (number, body))
            length += len(parts[-1])
        parts.append(b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1))
        parts += [b"%010d 00000 n \n" % place for place in places]
        name = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest().encode()
        parts.append(
            b"trailer\n<</Size %d/Root %d 0 R/Info %d 0 R/ID[<%b><%b>]>>\nstartxref\n%d\n%%%%EOF\n"
            % (len(places) + 1, catalogue, about, name, name, length)
        )
        return b"".join(parts)


def text_string(text: str) -> str:
    """Return a string object that holds any text, as UTF-16."""
    data = b"\xfe\xff" + text.encode("utf-16-be")
    return f"<{data.hex()}>"
