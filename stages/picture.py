"""Pictures in and out: any common image as a target, and rendered images as files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from ..renderers import InputError
from .files import whole_file

Array = np.ndarray[Any, Any]

DEFAULT_SIZE = 256
# The largest side that a target may be given, pixels.
SIZE_MAX = 8192


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
    """A target, (H, W, 3) float32, sRGB in 0..1.

    Orientation from EXIF is respected; transparent parts are laid over the background (white if not given).

    Args:
        path: any image that Pillow reads.
        size: longest side in pixels (aspect kept), or (width, height) exactly. If not given, 256 at most.
        background: sRGB in 0..1, under transparent parts.

    Raises:
        InputError: the file is missing or not an image.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened)
            if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
                picture = picture.convert("RGBA")
                under = tuple(round(255 * value) for value in background or (1.0, 1.0, 1.0))
                picture = Image.alpha_composite(Image.new("RGBA", picture.size, (*under, 255)), picture)
            if picture.mode.startswith(("I", "F")):
                picture = _eight_bits(picture)
            picture = picture.convert("RGB")
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except UnidentifiedImageError:
        raise InputError(f"{path} is not an image that can be read; needs JPEG, PNG, WebP, TIFF and the like") from None
    except (OSError, ValueError, SyntaxError, RuntimeError, EOFError, Image.DecompressionBombError) as error:
        raise InputError(f"cannot read {path}: {error}") from None
    return np.asarray(picture.resize(_resized(picture.size, size), Image.Resampling.LANCZOS), np.float32) / 255


def picture_size(path: str | Path) -> tuple[int, int]:
    """Width and height of an image file, pixels.

    Raises:
        InputError: the file is missing or not an image.
    """
    from PIL import Image

    try:
        with Image.open(path) as opened:
            return opened.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"cannot read {path}: {error}") from None


def _eight_bits(picture: Any) -> Any:
    """A grey picture of 8 bits from one of 16 or 32 bits or of floats, which Pillow would clip at 255."""
    from PIL import Image

    values = np.nan_to_num(np.asarray(picture, np.float64))
    if picture.mode == "F":
        white = 1.0 if values.max() <= 1.0 else 255.0
    else:
        white = 65535.0 if values.max() > 255 else 255.0 if picture.mode == "I" else 65535.0
    return Image.fromarray(as_bytes(values / white), mode="L")


def _resized(original: tuple[int, int], size: tuple[int, int] | int | None) -> tuple[int, int]:
    if isinstance(size, tuple):
        return size
    longest = min(max(original), DEFAULT_SIZE) if size is None else size
    factor = longest / max(original)
    return max(1, round(original[0] * factor)), max(1, round(original[1] * factor))


def as_bytes(image: Array) -> Array:
    """(H, W, 3) uint8 from sRGB in 0..1."""
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)


def save_png(image: Array, path: str | Path) -> None:
    """Writes (H, W, 3) values in 0..1 as a PNG."""
    from PIL import Image

    with whole_file(path) as file:
        Image.fromarray(as_bytes(image)).save(file, format="PNG")
