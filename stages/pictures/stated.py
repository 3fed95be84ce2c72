"""The colour space that a picture file states, in any way that its format has."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any

import numpy as np

from .boxes import colour_boxes
from .colour_spaces import ADOBE_GAMMA, ADOBE_RGB, BT709, D65, SRGB_CODE, TRANSFERS, Chromaticities, ColourSpace, power

EXIF_IFD, INTEROP_IFD = 0x8769, 0xA005
COLOUR_SPACE_TAG, INTEROP_INDEX_TAG = 0xA001, 1
TRANSFER_TAG, WHITE_TAG, PRIMARIES_TAG = 301, 318, 319

# The gAMA value that stands for sRGB; with sRGB's primaries, values within the tolerance are left unchanged.
SRGB_GAMMA, GAMMA_TOLERANCE = 1 / 2.2, 0.05
GAMMA_RANGE = 0.01, 100.0
# Largest difference in light between a TIFF's table and that gamma at which the table is taken for sRGB.
TABLE_TOLERANCE = 0.03

# The contents that an sRGB chunk may have: a rendering intent.
INTENTS = (b"\0", b"\1", b"\2", b"\3")

# Transfer codes (BT.709 and similar) that browsers treat as sRGB in AVIF, since encoders write them for sRGB values.
CAMERA_CODES = (1, 6, 14, 15)

# Enumerated colour spaces of JPEG 2000 that need no conversion: bilevel, CMYK, sRGB, grey, sYCC.
PLAIN_NUMBERS = (0, 12, 16, 17, 18)


@dataclass(frozen=True)
class Stated:
    """Colour information of a file.

    Attributes:
        space: colour space of its values; None for sRGB, or where an ICC profile applies.
        profile: ICC profile that replaces the one Pillow reports, empty for none; None leaves Pillow's.
        complaint: what it states that is ignored as unknown or invalid.
    """

    space: ColourSpace | None = None
    profile: bytes | None = None
    complaint: str | None = None


def stated_colour(picture: Any, file: IO[bytes] | None, chunks: dict[bytes, bytes]) -> Stated:
    """Colour information of an opened Pillow image.

    Args:
        picture: the image; need not be loaded.
        file: its file, if available.
        chunks: contents of the file's chunks, of a PNG.
    """
    if picture.format == "PNG" or chunks:
        return _of_png(chunks, picture.info.get("icc_profile"))
    if file is not None and picture.format in ("AVIF", "JPEG2000"):
        stated = _of_boxes(colour_boxes(file), picture.format == "AVIF")
        return Stated() if picture.info.get("icc_profile") else stated
    if picture.info.get("icc_profile"):
        return Stated()
    if file is not None and picture.format == "BMP":
        return _of_bitmap(file)
    if picture.format in (None, "JPEG", "MPO", "TIFF", "WEBP") and _says_adobe_rgb(picture):
        return _plain(ADOBE_RGB, 1 / ADOBE_GAMMA)
    return _of_tiff(picture.tag_v2) if picture.format == "TIFF" else Stated()


def png_chunks_of(info: dict[str, Any]) -> dict[bytes, bytes]:
    """Colour chunks of a PNG, reconstructed from the metadata that Pillow keeps of them."""
    chunks = {}
    if "srgb" in info:
        chunks[b"sRGB"] = b"\0"
    if "gamma" in info:
        chunks[b"gAMA"] = struct.pack(">I", round(info["gamma"] * 100_000))
    if "chromaticity" in info:
        chunks[b"cHRM"] = struct.pack(">8I", *(round(value * 100_000) for value in info["chromaticity"]))
    return chunks


def _of_png(chunks: dict[bytes, bytes], profile: Any) -> Stated:
    """By cICP, else iCCP, else sRGB, else gAMA and cHRM (PNG, third edition, 4.3)."""
    complaint = None
    if len(coded := chunks.get(b"cICP", b"")) == 4:
        primaries, transfer, matrix, full = coded
        if matrix == 0 and full == 1:
            stated = _coded(primaries, transfer)
            if stated.complaint is None:
                return Stated(stated.space, profile=b"")
            complaint = stated.complaint
        else:
            complaint = f"its cICP chunk has matrix {matrix} and range {full}; known are 0 and 1"
    if _opens(profile) or chunks.get(b"sRGB") in INTENTS:
        return Stated(complaint=complaint)
    chromaticities, gamma = chunks.get(b"cHRM", b""), chunks.get(b"gAMA", b"")
    numbers = [number / 100_000 for number in struct.unpack(">8I", chromaticities)] if len(chromaticities) == 32 else []
    if len(gamma) == 4:
        stated = _plain(tuple(numbers) or BT709, int.from_bytes(gamma) / 100_000)
        return Stated(stated.space, complaint=stated.complaint or complaint)
    if numbers and _plain(tuple(numbers), SRGB_GAMMA) != Stated():
        complaint = "its cHRM chunk has no gAMA chunk beside it"
    return Stated(complaint=complaint)


def _opens(profile: Any) -> bool:
    """Whether it is a valid ICC profile."""
    from PIL import ImageCms

    try:
        return bool(profile) and bool(ImageCms.ImageCmsProfile(BytesIO(profile)))
    except (OSError, TypeError, ValueError):
        return False


def _of_boxes(boxes: list[bytes], avif: bool) -> Stated:
    """From the contents of `colr` boxes.

    Args:
        boxes: the contents.
        avif: whether the file is an AVIF; otherwise a JPEG 2000.
    """
    for box in boxes:
        if avif and box[:4] == b"nclx" and len(box) >= 8:
            primaries, transfer = struct.unpack(">HH", box[4:8])
            return _coded(primaries, SRGB_CODE if transfer in CAMERA_CODES else transfer)
        if not avif and box[:1] in (b"\2", b"\3"):
            return Stated(profile=box[3:])
        if not avif and box[:1] == b"\1" and (number := int.from_bytes(box[3:7])) not in PLAIN_NUMBERS:
            return Stated(complaint=f"its colr box names the colour space {number}; known are sRGB, grey and sYCC")
    return Stated()


def _of_bitmap(file: IO[bytes]) -> Stated:
    """From the header of a BMP, version 4 or 5."""
    file.seek(14)
    head = file.read(124)
    size = int.from_bytes(head[:4], "little")
    if size < 108 or len(head) < size:
        return Stated()
    kind = head[56:60]
    if kind == b"DEBM" and size >= 124:
        offset, length = struct.unpack("<II", head[112:120])
        file.seek(14 + offset)
        return Stated(profile=file.read(min(length, 1 << 24)))
    ends = np.array(struct.unpack("<9i", head[60:96])).reshape(3, 3) / 2**30  # X, Y, Z of red, green, blue
    gammas = np.array(struct.unpack("<3I", head[96:108])) / 65536
    if kind != bytes(4) or not gammas.all() or not (ends.sum(axis=1) > 0).all():
        return Stated()
    white = ends.sum(axis=0)
    numbers = [float(value) for xyz in (white, *ends) for value in xyz[:2] / xyz.sum()]
    return _plain(tuple(numbers), float(1 / gammas.mean()))


def _of_tiff(tags: Any) -> Stated:
    """From the tags of a TIFF: white, primaries, and a table of the light of each value."""
    try:
        numbers = tuple(float(value) for value in (*tags.get(WHITE_TAG, D65), *tags.get(PRIMARIES_TAG, BT709[2:])))
        table = np.array(tags.get(TRANSFER_TAG, ()), np.float64) / 65535
    except (TypeError, ValueError, ZeroDivisionError):
        return Stated()
    stated = _plain(numbers, SRGB_GAMMA)
    tables = table.reshape(3, -1) if table.size in (3 << 8, 3 << 16) else table[None]
    values = np.linspace(0, 1, tables.shape[1])
    if stated.complaint or table.size == 0 or np.abs(tables - values ** (1 / SRGB_GAMMA)).max() < TABLE_TOLERANCE:
        return stated
    if tables.shape[1] < 2 or np.ptp(tables, axis=0).max() > 0:
        return Stated(stated.space, complaint="its TransferFunction is not the same for all channels")
    return Stated(ColourSpace(_eight(numbers), lambda stored: np.interp(stored, values, tables[0])))


def _says_adobe_rgb(picture: Any) -> bool:
    """Whether Exif names Adobe RGB: ColorSpace 2, or InteroperabilityIndex R03 without ColorSpace 1 (DCF 2.0)."""
    try:
        exif = picture.getexif()
        space = exif.get_ifd(EXIF_IFD).get(COLOUR_SPACE_TAG)
        index = exif.get_ifd(INTEROP_IFD).get(INTEROP_INDEX_TAG)
    except Exception:  # broken metadata can raise anything; the picture is still usable
        return False
    return space == 2 or (space != 1 and str(index).rstrip("\0 ") == "R03")


def _coded(primaries: int, transfer: int) -> Stated:
    try:
        space = ColourSpace.coded(primaries, transfer)
    except KeyError:
        return Stated(complaint=f"it names primaries {primaries} and transfer {transfer}, which ITU-T H.273 reserves")
    return Stated(None if space.is_srgb else space)


def _eight(numbers: tuple[float, ...]) -> Chromaticities:
    white_x, white_y, red_x, red_y, green_x, green_y, blue_x, blue_y = numbers
    return white_x, white_y, red_x, red_y, green_x, green_y, blue_x, blue_y


def _plain(chromaticities: tuple[float, ...], gamma: float) -> Stated:
    """A space with these white and primaries whose values are light to the power of gamma."""
    places = " ".join(f"{value:g}" for value in chromaticities)
    complaint = f"it states a gamma of {gamma:g}, and white, red, green and blue at {places}"
    if len(chromaticities) != 8 or not GAMMA_RANGE[0] <= gamma <= GAMMA_RANGE[1]:
        return Stated(complaint=complaint)
    numbers = _eight(chromaticities)
    try:
        with np.errstate(all="raise"):
            srgb_primaries = ColourSpace(numbers, TRANSFERS[SRGB_CODE]).is_srgb
    except (np.linalg.LinAlgError, ArithmeticError):
        return Stated(complaint=complaint)
    if srgb_primaries and abs(gamma / SRGB_GAMMA - 1) < GAMMA_TOLERANCE:
        return Stated()
    return Stated(ColourSpace(numbers, power(1 / gamma)))
