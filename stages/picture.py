"""Pictures in and out: any common image as a target, and rendered images as files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from ..renderers import InputError
from .decode import decode, decoded_size, pillow
from .files import whole_file
from .resample import resampled
from .sources import source_of

Array = np.ndarray[Any, Any]

DEFAULT_SIZE = 256
# The largest side that a target may be given, pixels.
SIZE_MAX = 8192
# Half a level of 255: alpha within so much of none or of all is none or all.
FAINT = 0.5 / 255


def parse_size(text: str) -> tuple[int, int] | int:
    """A size option: `384` (longest side, aspect kept) or `256x256` (exact, stretched).

    Raises:
        InputError: it is neither, or out of range.
    """
    match = re.fullmatch(r"(\d{1,6})(?:x(\d{1,6}))?", text.strip().lower()) if isinstance(text, str) else None
    sides = [int(side) for side in match.groups() if side] if match else []
    if not sides or not all(1 <= side <= SIZE_MAX for side in sides):
        raise InputError(f"size is {text!r}; needs pixels like 384 or 256x256, 1 to {SIZE_MAX}")
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def load_picture(
    path: str | Path, size: tuple[int, int] | int | None = None, background: tuple[float, float, float] | None = None
) -> Array:
    """A picture as a target, in sRGB.

    Its orientation (Exif) and colour profile are respected. Of a file that holds several pictures it is the first.

    Args:
        path: a JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF, PNM or JPEG 2000 file, whatever its name ends with.
        size: longest side in pixels (aspect kept), or (width, height) exactly. If not given, 256 at most.
        background: sRGB in 0..1, laid under transparent parts.

    Returns:
        (H, W, 3) float32 in 0..1; if no background is given and some pixel of it is transparent, (H, W, 4): the colours
        themselves, not multiplied with alpha, and alpha. Fully transparent pixels are 0.

    Raises:
        InputError: the file is missing, broken or no picture, or takes more memory than it may.
    """

    def wanted(original: tuple[int, int]) -> tuple[int, int]:
        return target_size(original, size)

    decoded = decode(source_of(path), wanted)
    with pillow():
        image = resampled(decoded, wanted(decoded.size))
    if image.shape[2] == 4:
        return _over(image, background) if background is not None else _straight(image)
    return np.clip(image, 0, 1, out=image)


def picture_size(path: str | Path) -> tuple[int, int]:
    """Width and height of an image file, pixels, upright.

    Raises:
        InputError: the file is missing or not an image.
    """
    return decoded_size(source_of(path))


def _within_alpha(image: Array) -> tuple[Array, Array]:
    """Colours times alpha, and alpha, (H, W, 1), without what the filter overshot, and without faint traces."""
    alpha = image[:, :, 3:]
    alpha[alpha < FAINT] = 0
    alpha[alpha > 1 - FAINT] = 1
    colours = image[:, :, :3]
    return np.clip(colours, 0, alpha, out=colours), alpha


def _over(image: Array, background: tuple[float, float, float]) -> Array:
    """(H, W, 3) from colours times alpha, and alpha."""
    colours, alpha = _within_alpha(image)
    return np.clip(colours + (1 - alpha) * np.asarray(background, np.float32), 0, 1)


def _straight(image: Array) -> Array:
    """(H, W, 3 or 4) from colours times alpha, and alpha."""
    colours, alpha = _within_alpha(image)
    np.divide(colours, alpha, out=colours, where=alpha > 0)
    return image if alpha.min() < 1 else np.ascontiguousarray(colours)


def target_size(original: tuple[int, int], size: tuple[int, int] | int | None) -> tuple[int, int]:
    """Width and height of a target.

    Args:
        original: width and height of the picture.
        size: as of `load_picture`.
    """
    if isinstance(size, tuple):
        return size
    longest = min(max(original), DEFAULT_SIZE) if size is None else size
    factor = longest / max(original)
    return max(1, round(original[0] * factor)), max(1, round(original[1] * factor))


def as_bytes(image: Array) -> Array:
    """(H, W, 3 or 4) uint8 from values in 0..1."""
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)


def save_png(image: Array, path: str | Path) -> None:
    """Writes (H, W, 3) sRGB in 0..1, or with alpha (H, W, 4), as a PNG."""
    from PIL import Image

    with whole_file(path) as file:
        Image.fromarray(as_bytes(image)).save(file, format="PNG")
