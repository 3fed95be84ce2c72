"""PNG at any size: the scene is drawn in bands, and each is compressed while the next is drawn.

Pillow needs the whole picture, a gigabyte at 16384 pixels a side.
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

from artpipe.renderers import Canvas, Scene
from artpipe.renderers.alpha import picture_bands
from artpipe.renderers.bands import BAND_STEP
from artpipe.renderers.threads import thread_count

from ..formats.files import whole_file
from ..pictures.picture import as_bytes
from ..result import Result
from .options import ExportOptions

Array = np.ndarray[Any, Any]

# Pixels of a band: some 60 MB as float32 and in the kernel's planes.
BAND_PIXELS = 2_000_000
# zlib level; 6 saves 4 % on soft shapes in twice the time.
COMPRESSION = 4


def export_png(result: Result, path: Path, options: ExportOptions) -> None:
    """Write the picture at `options.width`."""
    write_png(options.resized(result.scene), path)


def write_png(scene: Scene, path: Path) -> None:
    """Write a PNG of the canvas's size, 8-bit sRGB, with alpha on a transparent canvas.

    Needs memory for a few bands at any size.
    """
    canvas = scene.canvas
    channels, colour_type = (4, 6) if canvas.transparent else (3, 2)
    rows_each = band_rows(canvas)
    with whole_file(path) as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.write(_chunk(b"IHDR", struct.pack(">IIBBBBB", canvas.width, canvas.height, 8, colour_type, 0, 0, 0)))
        file.write(_chunk(b"sRGB", b"\0"))
        file.write(_chunk(b"IDAT", b"\x78\x5e"))  # zlib header; the bands and a checksum follow
        checksum = 1
        for lines, compressed in _compressed(_filtered(band, channels) for band in picture_bands(scene, rows_each)):
            checksum = zlib.adler32(lines, checksum)
            file.write(_chunk(b"IDAT", compressed))
        last = zlib.compressobj(COMPRESSION, zlib.DEFLATED, -15).flush()
        file.write(_chunk(b"IDAT", last + struct.pack(">I", checksum)))
        file.write(_chunk(b"IEND", b""))


def band_rows(canvas: Canvas) -> int:
    """Return how many rows of pixels of a canvas are drawn together."""
    return max(BAND_STEP, BAND_PIXELS // canvas.width // BAND_STEP * BAND_STEP)


def _filtered(image: Array, channels: int) -> bytes:
    """Apply PNG filter 1, the difference to the left neighbour, which suits soft pictures."""
    pixels = as_bytes(image)
    lines = np.empty((pixels.shape[0], 1 + pixels.shape[1] * channels), np.uint8)
    lines[:, 0] = 1
    flat = pixels.reshape(pixels.shape[0], -1)
    lines[:, 1 : 1 + channels] = flat[:, :channels]
    np.subtract(flat[:, channels:], flat[:, :-channels], out=lines[:, 1 + channels :])  # modulo 256
    return lines.tobytes()


def _compressed(parts: Iterator[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield each part and its deflate stream; streams end on a byte boundary, so that they can be concatenated."""
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
