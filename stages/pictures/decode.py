"""Decoding of picture files: accepted formats, memory limits, and errors in one line."""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import UnsupportedOperation
from pathlib import Path
from typing import Any

from artpipe.renderers import InputError
from artpipe.renderers.errors import PictureWarning, printable

from .colour_spaces import ColourSpace
from .colours import deep_alpha
from .png_chunks import SIGNATURE, read_chunks
from .scan import SCANNED, Scan, can_scan
from .sources import Source
from .stated import Stated, png_chunks_of, stated_colour

Size = tuple[int, int]  # width and height, pixels

# Pillow's names. Left out are formats that start other programs (EPS), match any bytes (TGA) or show their size only
# when decoded (ICO).
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "PPM", "JPEG2000")
NAMES = "JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF, PNM or JPEG 2000"
# Formats whose colour information Pillow reports only in part.
PARTLY_REPORTED = ("PNG", "AVIF", "BMP", "JPEG2000")
SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+", b"BM", b"GIF8")
SCALE_DOWN = "scale it down with another program first"

# Memory that reading a picture may take, bytes: a process that also fits it stays below 2 GB.
MEMORY_MAX = 1_400_000_000
# Larger pictures are never opened.
PIXELS_MAX = 1_500_000_000

# Bytes a pixel that Pillow stores, by mode (4 if not listed), and that decoders also take; measured on 20 megapixels.
STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2}
BESIDES = {"WEBP": 14, "AVIF": 8, "JPEG2000": 16}

# A picture that is shrunk during decoding keeps this multiple of its final size, best first; a larger one blurs less.
MARGINS = (4, 2, 1)

# TIFF tags; the first is also an Exif tag.
ORIENTATION_TAG, BITS_TAG, SAMPLES_TAG, STRIP_TAG, TILE_WIDTH_TAG, TILE_HEIGHT_TAG = 274, 258, 277, 278, 322, 323

# Highest expansion of a deflate stream: 258 bytes from two bits.
DEFLATE_MOST = 1032

# Pillow's raw modes that keep the upper byte of each 16-bit value of a PNG, to those that keep the lower one.
LOW_BYTES = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L"}

# Pillow's limit and warning filters are global to the process.
_pillow = threading.RLock()


@dataclass(frozen=True)
class Decoded:
    """A picture as stored in its file, or already shrunk.

    Attributes:
        image: a loaded Pillow image of any mode; profile and transparency are in its `info`.
        orientation: Exif orientation, 1 to 8, that is still to be applied.
        size: of the whole picture, upright.
        extent: width and height of the picture in pixels of `image`; fractional where it covers only a part of the last
            column or row.
        low: image of the lower bytes of 16-bit values; `image` then holds the upper ones.
        space: colour space of its values; None for sRGB, or where its profile applies.
        owned: whether the image may be closed after use.
    """

    image: Any
    orientation: int
    size: Size
    extent: tuple[float, float]
    low: Any = None
    space: ColourSpace | None = None
    owned: bool = True


@contextmanager
def pillow() -> Iterator[None]:
    """Pillow with our pixel limit and without its warnings, which are either harmless here or raised as errors."""
    from PIL import Image

    with _pillow, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        handler, limit = logging.NullHandler(), Image.MAX_IMAGE_PIXELS
        logging.getLogger("PIL").addHandler(handler)
        Image.MAX_IMAGE_PIXELS = PIXELS_MAX // 2  # it raises at twice as many
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit
            logging.getLogger("PIL").removeHandler(handler)


def decode(source: Source, wanted: Callable[[Size], Size]) -> Decoded:
    """The first picture in a file.

    Args:
        source: a file of any of `FORMATS`, recognised by content.
        wanted: maps the size of the upright picture to its final size.

    Raises:
        InputError: the file is not a picture, is broken, or takes too much memory.
    """
    with pillow(), _opened(source) as (opened, stated):
        decoded = _decoded(opened, source, wanted, stated.space)
    _complain(source.name, stated)
    return decoded


def decode_image(image: Any, name: str) -> Decoded:
    """A Pillow image, with its profile, orientation and transparency; it is loaded, but not changed.

    Raises:
        InputError: its pixels cannot be loaded.
    """
    with pillow(), in_one_line(name):
        _check_size(image, name)
        orientation = _orientation(image)
        image.load()
        stated = stated_colour(image, None, png_chunks_of(image.info))
        decoded = Decoded(
            image, orientation, _upright(image.size, orientation), image.size, space=stated.space, owned=False
        )
    _complain(name, stated)
    return decoded


def unread_file(image: Any, name: str) -> Source | None:
    """The file of a Pillow image that is opened but not loaded, if Pillow reports its colours only in part; else None.

    Raises:
        InputError: the file is closed.
    """
    if not getattr(image, "tile", None) or getattr(image, "fp", None) is None or image.tell() != 0:
        return None
    if image.format not in PARTLY_REPORTED:
        return None
    with in_one_line(name):
        place = image.fp.tell()
        image.fp.seek(0)
        content = image.fp.read()
        image.fp.seek(place)
        return Source(name, content)


def decoded_size(source: Source) -> Size:
    """Width and height of the picture in a file, upright, without decoding it.

    Raises:
        InputError: there is no picture in the file.
    """
    with pillow(), _opened(source) as (opened, _):
        return _upright(opened.size, _orientation(opened))


def image_size(image: Any, name: str) -> Size:
    """Width and height of a Pillow image, upright.

    Raises:
        InputError: it has no pixels.
    """
    _check_size(image, name)
    return _upright(image.size, _orientation(image))


def _check_size(image: Any, name: str) -> None:
    if 0 in image.size:  # Pillow can create such images
        raise InputError(f"{name} is {image.width} x {image.height} pixels; needs at least one")


def _decoded(opened: Any, source: Source, wanted: Callable[[Size], Size], space: ColourSpace | None) -> Decoded:
    stored, extent = opened.size, None
    orientation = _orientation(opened)
    target = wanted(_upright(stored, orientation))
    if opened.format in ("JPEG", "MPO") and _memory(opened, stored, target) > MEMORY_MAX:
        extent = _draft(opened, _upright(target, orientation))
    if opened.format == "PNG" and _unpacked(opened) > DEFLATE_MOST * source.byte_count:
        raise ValueError(f"it is too short for {stored[0]} x {stored[1]} pixels")
    memory = _memory(opened, stored, target)
    if memory > MEMORY_MAX:
        return _scanned(opened, source, stored, wanted, memory, space)
    low = _low_bytes(opened, source) if memory + _low_memory(opened) <= MEMORY_MAX or _has_deep_key(opened) else None
    with _silent_libtiff() if opened.format == "TIFF" and not _is_standard_error(opened.fp) else nullcontext():
        opened.load()
    if low is not None and "transparency" in opened.info:
        _key_to_alpha(opened, low)
    size = stored if extent else opened.size  # Pillow turns a TIFF when it loads it
    return Decoded(opened, orientation, _upright(size, orientation), extent or opened.size, low, space)


def _complain(name: str, stated: Stated) -> None:
    if stated.complaint:
        warnings.warn(
            f"{name}: some of its colour information is ignored: {stated.complaint}",
            PictureWarning,
            stacklevel=4,
        )


@contextmanager
def _opened(source: Source) -> Iterator[tuple[Any, Stated]]:
    """An opened, not decoded Pillow image and its colour information; errors in the body become one line."""
    from PIL import Image

    with in_one_line(source.name, source), source.open() as file:
        prefix = file.read(len(SIGNATURE))
        chunks = read_chunks(file) if prefix == SIGNATURE else None
        # From a path, Pillow memory-maps uncompressed pixels.
        place = chunks.file if chunks else source.content if isinstance(source.content, Path) else file
        file.seek(0)
        with Image.open(place, formats=FORMATS) as opened:
            if chunks:
                opened.info.update(chunks.info)
                if (key := chunks.key) is not None:
                    opened.info["transparency"] = key
            stated = stated_colour(opened, file, chunks.content if chunks else {})
            if stated.profile is not None:
                opened.info["icc_profile"] = stated.profile
            if isinstance(alphas := opened.info.get("transparency"), bytes):
                opened.info["transparency"] = alphas[:256]  # Pillow fails on values beyond the palette
            file.seek(0)
            yield opened, stated


@contextmanager
def in_one_line(name: str, source: Source | None = None) -> Iterator[None]:
    """Turns any exception raised while a picture is read into an InputError of one line."""
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except InputError:
        raise
    except UnidentifiedImageError:
        if source is not None and _starts_as_known(source):
            raise InputError(f"cannot read {name}: it is broken or unsupported. Try saving it again") from None
        raise InputError(f"{name} is not an image that can be read; needs {NAMES}") from None
    except Image.DecompressionBombError:
        most = PIXELS_MAX / 1e9
        raise InputError(f"{name} has more than {most:.1f} billion pixels; {SCALE_DOWN}") from None
    except MemoryError:
        raise InputError(f"{name} takes more memory than is available; {SCALE_DOWN}") from None
    # On broken files, decoders raise anything, such as struct.error and KeyError.
    except Exception as error:
        reason = printable(error)[:120].rstrip(". ") or type(error).__name__
        raise InputError(f"cannot read {name}: {reason}. Is the file complete?") from None


def _starts_as_known(source: Source) -> bool:
    with source.open() as file:
        return file.read(8).startswith(SIGNATURES)


def _is_standard_error(file: Any) -> bool:
    """Whether a file uses the descriptor of standard error, as happens if that was closed."""
    try:
        return bool(file.fileno() <= 2)
    except UnsupportedOperation:  # it is in memory
        return False


@contextmanager
def _silent_libtiff() -> Iterator[None]:
    """Discards output to standard error, where libtiff reports broken data, bypassing Python."""
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _orientation(opened: Any) -> int:
    """The orientation in a picture's metadata, 1 to 8; 1 if there is none, or if Pillow applies it."""
    if opened.format == "TIFF":
        return 1
    try:
        value = opened.getexif().get(ORIENTATION_TAG)
    except Exception:  # broken metadata can raise anything; the picture is still usable
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(size: Size, orientation: int) -> Size:
    """The size after applying an orientation; its own inverse."""
    return (size[1], size[0]) if orientation >= 5 else size


def _memory(opened: Any, stored: Size, target: Size) -> float:
    """Bytes of memory for decoding an opened picture and resampling it.

    Args:
        opened: the picture, possibly in draft size.
        stored: its size in the file.
        target: its final size, upright.
    """
    pixels = opened.size[0] * opened.size[1]
    decoding = pixels * (STORED.get(opened.mode, 4) + BESIDES.get(opened.format, 0))
    if opened.format in ("JPEG", "MPO") and opened.info.get("progressive"):
        # All coefficients are held, two bytes each.
        whole = max(layer[1] for layer in opened.layer) * max(layer[2] for layer in opened.layer)
        decoding += stored[0] * stored[1] * 2 * sum(layer[1] * layer[2] for layer in opened.layer) / max(whole, 1)
    if opened.format == "TIFF":
        decoding += _strip_memory(opened)
        if opened.tag_v2.get(ORIENTATION_TAG, 1) != 1:
            decoding *= 2
    if _has_deep_key(opened):
        decoding += _low_memory(opened)
    deep = opened.has_transparency_data or opened.mode.startswith(("I", "F"))
    height = _upright(opened.size, _orientation(opened))[1]
    strips = target[0] * height * (16 if deep else 4)
    result = target[0] * target[1] * (16 if deep else 12)
    return max(decoding + strips, strips + result)


def _unpacked(opened: Any) -> float:
    """Minimum bytes of the pixels of a PNG before compression."""
    packed = isinstance(raw := opened.tile[0][3], str) and (raw == "1" or ";" in raw) and opened.mode in ("1", "L", "P")
    depth = 1 / 8 if packed else {"LA": 2, "I;16": 2, "RGB": 3, "RGBA": 4}.get(opened.mode, 1)
    return float(opened.size[0] * opened.size[1] * depth)


def _strip_memory(opened: Any) -> int:
    """Bytes that libtiff takes to decompress one strip or tile; a strip may be the whole picture."""
    if not opened.tile or opened.tile[0][0] != "libtiff":
        return 0
    tags, (width, height) = opened.tag_v2, opened.size
    tiled = TILE_WIDTH_TAG in tags and TILE_HEIGHT_TAG in tags
    pixels = tags[TILE_WIDTH_TAG] * tags[TILE_HEIGHT_TAG] if tiled else width * min(height, tags.get(STRIP_TAG, height))
    return int(pixels * tags.get(SAMPLES_TAG, 1) * max(1, max(tags.get(BITS_TAG, (8,))) // 8))


def _draft(opened: Any, target: Size) -> tuple[float, float] | None:
    """Sets a JPEG to decode at 1/2, 1/4 or 1/8 size; the extent of the picture then, None if it stays whole."""
    width, height = opened.size
    scale = min(width / target[0], height / target[1])
    for margin in MARGINS:
        for factor in (8, 4, 2):
            if factor * margin <= scale:
                opened.draft(None, (width // factor, height // factor))
                return width / factor, height / factor
    return None


def _scanned(
    opened: Any, source: Source, stored: Size, wanted: Callable[[Size], Size], memory: float, space: ColourSpace | None
) -> Decoded:
    """A picture too large to be decoded as a whole, by libvips, which decodes row by row."""
    takes = f"{source.name}, {stored[0]} x {stored[1]} pixels, takes {memory / 1e9:.1f} GB to read"
    at_once = opened.info.get("interlace") or opened.info.get("progressive")
    if opened.format not in SCANNED or at_once:
        raise InputError(f"{takes}, more than {MEMORY_MAX / 1e9:.1f}; {SCALE_DOWN}, or try a smaller size")
    if not can_scan():
        raise InputError(f"{takes}; try pip install 'artpipe[scans]', a smaller size, or {SCALE_DOWN}")
    scan = Scan.open(source, opened.format)
    target = _upright(wanted(_upright(scan.size, scan.orientation)), scan.orientation)
    scale = min(scan.size[0] / target[0], scan.size[1] / target[1])
    factors = [max(1, int(scale / margin)) for margin in MARGINS]
    # 8 bytes a pixel while the rows become a picture, and resampling as in `_memory`.
    strip = max(target) * (16 if scan.transparent else 4)
    fitting = [f for f in factors if max(scan.size) / f * (max(scan.size) / f * 8 + strip) < MEMORY_MAX]
    if not fitting:
        raise InputError(f"{takes}; try a smaller size, or {SCALE_DOWN}")
    image = scan.shrunk(fitting[0])
    if opened.format == "PNG":  # another chunk may override its profile
        image.info["icc_profile"] = opened.info.get("icc_profile")
    extent = scan.size[0] / fitting[0], scan.size[1] / fitting[0]
    return Decoded(image, scan.orientation, _upright(scan.size, scan.orientation), extent, space=space)


def _has_deep_key(opened: Any) -> bool:
    """Whether one colour of a 16-bit PNG is transparent."""
    return isinstance(opened.info.get("transparency"), tuple) and _low_memory(opened) > 0


def _low_memory(opened: Any) -> int:
    """Memory for the lower bytes of a picture and the conversion of both; 0 if Pillow decodes all bits."""
    deep = opened.format == "PNG" and opened.tile and opened.tile[0][3] in LOW_BYTES
    return 9 * opened.size[0] * opened.size[1] if deep else 0


def _low_bytes(opened: Any, source: Source) -> Any:
    """The image of the lower bytes of a picture not loaded yet; None if Pillow decodes all bits."""
    from PIL import Image

    if not _low_memory(opened):
        return None
    with source.open() as file, Image.open(read_chunks(file).file, formats=("PNG",)) as low:
        low.tile = [tile._replace(args=LOW_BYTES[str(tile.args)]) for tile in low.tile]
        low.load()
        return low


def _key_to_alpha(high: Any, low: Any) -> None:
    """Converts the transparent 16-bit colour to alpha."""
    alpha = deep_alpha(high, low, high.info.pop("transparency"))
    for image in (high, low):
        image.info.pop("transparency", None)
        image.putalpha(alpha)
