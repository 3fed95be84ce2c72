"""PNG at any size: the scene itself drawn band by band, each compressed while the next is drawn.

Pillow takes a picture only as a whole; at 16384 pixels a side that is a gigabyte.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from artpipe.renderers import Scene
from artpipe.renderers.alpha import picture_bands
from artpipe.renderers.bands import BAND_STEP
from artpipe.renderers.threads import thread_count

from ..formats.files import whole_file
from ..pictures.picture import as_bytes
from ..result import Result
from .options import ExportOptions

Array = np.ndarray[Any, Any]

# Pixels of a band: as float32 and in the kernel's planes they take some 60 MB.
BAND_PIXELS = 2_000_000
# zlib's; 6 makes soft shapes 4 % smaller in twice the time.
COMPRESSION = 4


def export_png(result: Result, path: Path, options: ExportOptions) -> None:
    """Writes the picture at the scene's own width, or at `options.width`."""
    write_png(result.scene if options.width is None else result.scene.scaled(options.width), path)


def write_png(scene: Scene, path: Path) -> None:
    """Draws the scene into a PNG of the canvas's size, 8 bits of sRGB, with alpha on a transparent canvas.

    Memory: a few bands, whatever the size.
    """
    canvas = scene.canvas
    channels, colour_type = (4, 6) if canvas.transparent else (3, 2)
    rows_each = max(BAND_STEP, BAND_PIXELS // canvas.width // BAND_STEP * BAND_STEP)
    with whole_file(path) as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.write(_chunk(b"IHDR", struct.pack(">IIBBBBB", canvas.width, canvas.height, 8, colour_type, 0, 0, 0)))
        file.write(_chunk(b"sRGB", b"\0"))
        file.write(_chunk(b"IDAT", b"\x78\x5e"))  # zlib's header; the bands follow, the check sum ends it
        check_sum = 1
        for lines, compressed in _compressed(_filtered(band, channels) for band in picture_bands(scene, rows_each)):
            check_sum = zlib.adler32(lines, check_sum)
            file.write(_chunk(b"IDAT", compressed))
        last = zlib.compressobj(COMPRESSION, zlib.DEFLATED, -15).flush()
        file.write(_chunk(b"IDAT", last + struct.pack(">I", check_sum)))
        file.write(_chunk(b"IEND", b""))


def _filtered(image: Array, channels: int) -> bytes:
    """Lines of bytes, each less its left neighbour's (PNG's filter 1), which soft pictures compress well by."""
    pixels = as_bytes(image)
    lines = np.empty((pixels.shape[0], 1 + pixels.shape[1] * channels), np.uint8)
    lines[:, 0] = 1
    flat = pixels.reshape(pixels.shape[0], -1)
    lines[:, 1 : 1 + channels] = flat[:, :channels]
    np.subtract(flat[:, channels:], flat[:, :-channels], out=lines[:, 1 + channels :])  # modulo 256
    return lines.tobytes()


def _compressed(parts: Iterator[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Each part and its deflate stream, which ends on a whole byte so that streams can follow one another."""
    threads = thread_count()
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[tuple[bytes, Future[bytes]]] = deque()
        for part in parts:
            waiting.append((part, pool.submit(_deflated, part)))
            if len(waiting) > threads:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()


def _deflated(part: bytes) -> bytes:
    stream = zlib.compressobj(COMPRESSION, zlib.DEFLATED, -15)
    return stream.compress(part) + stream.flush(zlib.Z_FULL_FLUSH)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
