"""Conversion of stored pixels to sRGB: all Pillow modes, colour profiles, high bit depths, transparency."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np

from .colour_spaces import ColourSpace

Array = np.ndarray[Any, Any]

# Pixels converted at a time; each takes at most about 16 bytes.
PIECE_PIXELS = 4_000_000
# Of those, pixels converted through linear light at a time.
LIGHT_PIXELS = 200_000

ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")

# Mode to the name of its colour space in ICC profiles.
PROFILED = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}

# TIFF tags and their values.
BITS_TAG, PHOTOMETRIC_TAG, SAMPLE_FORMAT_TAG = 258, 262, 339
WHITE_IS_ZERO, SIGNED = 0, 2

# Values may exceed white by this factor, as resampled floats do, before a larger white is assumed.
OVERSHOOT = 1.5


@dataclass(frozen=True)
class Colours:
    """Conversion of the pieces of one picture to sRGB.

    Attributes:
        grey: whether the planes are grey only.
        transparent: whether any pixel is not opaque.
        planes: from a piece of the picture, Pillow images to be resampled separately. Opaque: one 8-bit `L` or `RGB`;
            for more bits, `F` in 0..1, grey or red, green and blue. Transparent: `F` in 0..1, grey or red, green and
            blue, premultiplied, then alpha.
        deep: whether `planes` takes two pieces: upper bytes and lower bytes.
    """

    grey: bool
    transparent: bool
    planes: Callable[..., list[Any]]
    deep: bool = False


# Modes in which pixels can be averaged; Pillow weights them by alpha.
MEAN_MODES = ("L", "LA", "RGB", "RGBA", "CMYK")


def with_means(piece: Any, transparent: bool) -> Any:
    """The piece in a mode of `MEAN_MODES`; unchanged if it has more than 8 bits."""
    from PIL import Image

    if not transparent:
        piece.info.pop("transparency", None)
    if piece.mode in DEEP_MODES or (piece.mode in MEAN_MODES and "transparency" not in piece.info):
        return piece
    if piece.mode == "P":
        return piece.convert("RGBA" if transparent else "RGB")
    if "transparency" in piece.info:
        alpha = Image.fromarray(_alpha(piece))
        piece.info.pop("transparency")
        piece = piece.convert("L" if piece.mode == "1" else piece.mode)
        piece.putalpha(alpha)
        return piece
    return piece.convert({"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA"}.get(piece.mode, "RGB"))


def colours_of(picture: Any, space: ColourSpace | None = None, deep: bool = False) -> Colours:
    """The conversion to sRGB of pieces (crops) of a loaded Pillow image.

    Args:
        picture: the image, with its profile, if any, in its `info`.
        space: colour space of its values if it has no profile; sRGB if None.
        deep: whether another image holds the lower bytes of its values. Conversions by profile ignore it.
    """
    tone = _tone(picture, space) if picture.mode in DEEP_MODES else None
    grey = tone is not None or _base_mode(picture) == "L"
    shade = tone or _shade(picture, space)
    has_alpha = picture.mode in ALPHA_MODES or picture.has_transparency_data
    transparent = has_alpha and _is_transparent(picture)
    if deep and _transform(picture, "RGB") is None:
        return Colours(False, transparent, _deep_planes(transparent, space), deep=True)

    def opaque_planes(piece: Any) -> list[Any]:
        return [shade(piece)]

    def transparent_planes(piece: Any) -> list[Any]:
        from PIL import Image

        alpha = _alpha(piece).astype(np.float32) / 255
        values: Array = np.asarray(shade(piece), np.float32)
        values = values if tone else values / 255
        planes = [values] if values.ndim == 2 else [values[:, :, channel] for channel in range(3)]
        return [Image.fromarray(plane * alpha) for plane in planes] + [Image.fromarray(alpha)]

    return Colours(grey, transparent, transparent_planes if transparent else opaque_planes)


def deep_alpha(high: Any, low: Any, key: tuple[int, ...]) -> Any:
    """Alpha, an `L` image, of a 16-bit picture in which one colour is transparent.

    Args:
        high: upper bytes, an `RGB` image.
        low: lower bytes, likewise.
        key: the transparent colour, 0..65535.
    """
    from PIL import Image

    alpha = Image.new("L", high.size)
    for box in _boxes(high):
        others = [
            (np.asarray(image.crop(box)) != np.array([value >> shift & 255 for value in key])).any(axis=2)
            for image, shift in ((high, 8), (low, 0))
        ]
        alpha.paste(Image.fromarray(np.where(others[0] | others[1], 255, 0).astype(np.uint8)), box[:2])
    return alpha


def _deep_planes(transparent: bool, space: ColourSpace | None) -> Callable[[Any, Any], list[Any]]:
    """`Colours.planes` of 16-bit `RGB` or `RGBA`, from pieces of upper and of lower bytes."""

    def planes(high: Any, low: Any) -> list[Any]:
        from PIL import Image

        values = np.asarray(high, np.float32) * 256 + np.asarray(low, np.float32)
        values /= 65535
        if space is not None:
            _by_rows(space.to_srgb, values[:, :, :3])
        if transparent:
            values[:, :, :3] *= values[:, :, 3:]
        return [Image.fromarray(values[:, :, channel].copy()) for channel in range(4 if transparent else 3)]

    return planes


def _by_rows(convert: Callable[[Array], Array], values: Array) -> None:
    """Converts (H, W, 3) values in place, a few rows at a time: linear light takes about 60 bytes a pixel."""
    rows = max(1, LIGHT_PIXELS // values.shape[1])
    for top in range(0, len(values), rows):
        values[top : top + rows] = convert(values[top : top + rows])


def _boxes(picture: Any) -> Iterator[tuple[int, int, int, int]]:
    """Left, top, right and bottom of strips of at most `PIECE_PIXELS`."""
    rows = max(1, PIECE_PIXELS // picture.width)
    for top in range(0, picture.height, rows):
        yield 0, top, picture.width, min(top + rows, picture.height)


def _pieces(picture: Any) -> Iterator[Any]:
    return map(picture.crop, _boxes(picture))


def _is_transparent(picture: Any) -> bool:
    """Whether any pixel is not opaque, in a picture with alpha or a transparent colour."""
    if picture.mode != "P":
        return any(_alpha(piece).min() < 255 for piece in _pieces(picture))
    palette = picture.crop((0, 0, 256, 1))
    palette.putdata(range(256))
    return bool((np.asarray(picture.histogram())[_alpha(palette)[0] < 255] > 0).any())


def _alpha(piece: Any) -> Array:
    """(H, W) uint8 alpha of a piece with alpha or a transparent colour."""
    if piece.mode == "P":
        piece = piece.convert("RGBA")
    if piece.mode in ALPHA_MODES:
        return np.asarray(piece.getchannel(len(piece.getbands()) - 1))
    # One grey or one colour is transparent.
    keyed = np.asarray(piece.convert("L") if piece.mode == "1" else piece) == np.asarray(piece.info["transparency"])
    return np.where(keyed if keyed.ndim == 2 else keyed.all(axis=2), 0, 255).astype(np.uint8)


def _base_mode(picture: Any) -> str:
    """The 8-bit mode without alpha that a profile applies to."""
    return "L" if picture.mode in ("1", "L", "LA", "La") else "CMYK" if picture.mode == "CMYK" else "RGB"


def _shade(picture: Any, space: ColourSpace | None) -> Callable[[Any], Any]:
    """The function from a piece of at most 8 bits to an `L` or `RGB` image in sRGB; it ignores alpha."""
    base = _base_mode(picture)
    curve = _curve(picture, space) if base == "L" else None
    levels = None if curve is None else (255 * curve).round().astype(int).tolist()
    transform = _transform(picture, base) if base != "L" else None

    def shade(piece: Any) -> Any:
        piece.info.pop("transparency", None)  # Pillow would try to convert it to the new mode
        if piece.mode in ("La", "RGBa", "PA"):
            piece = piece.convert({"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}[piece.mode])
        piece = piece.convert(base)
        if levels is not None:
            return piece.point(levels)
        if transform is not None:
            return transform.apply(piece)
        if space is not None and base == "RGB":
            return _in_srgb(piece, space)
        return piece.convert("RGB") if base == "CMYK" else piece

    return shade


def _transform(picture: Any, mode: str) -> Any:
    """Transform from the picture's profile to sRGB; None without a valid profile for this mode, or if it is sRGB."""
    from PIL import Image, ImageCms

    data = picture.info.get("icc_profile")
    if not isinstance(data, bytes) or not data:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(data))
        if profile.profile.xcolor_space.strip() != PROFILED[mode]:
            return None
        # For grey, littlecms would otherwise build a table too coarse for shadows.
        flags = ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags.NONE
        transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB", flags=flags)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    if mode != "RGB":
        return transform
    # sRGB has many profiles; applying one would only add rounding.
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    lattice = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    moved = np.asarray(transform.apply(Image.fromarray(lattice)), np.int16) - lattice
    return transform if np.abs(moved).max() > 1 else None


def _in_srgb(piece: Any, space: ColourSpace) -> Any:
    """An `RGB` image converted from a space to sRGB."""
    from PIL import Image

    values = np.array(piece)
    _by_rows(space.to_srgb_levels, values)
    return Image.fromarray(values)


def _curve(picture: Any, space: ColourSpace | None) -> Array | None:
    """The 256 greys in sRGB by the picture's space or profile, (256,) in 0..1; None if they are unchanged."""
    from PIL import Image

    if space is not None:
        return space.to_srgb(np.linspace(0, 1, 256)[:, None])[:, 0]
    if (transform := _transform(picture, "L")) is None:
        return None
    greys = np.arange(256, dtype=np.uint8)
    levels = np.asarray(transform.apply(Image.fromarray(greys[None])), np.float64)[0].mean(axis=1)
    return levels / 255 if np.abs(levels - greys).max() > 1 else None


def _tone(picture: Any, space: ColourSpace | None) -> Callable[[Any], Any]:
    """The function from a piece of a grey picture of more than 8 bits to an `F` image in 0..1, sRGB."""
    white, curve = _white(picture), _curve(picture, None)
    inverted = picture.format == "TIFF" and picture.tag_v2.get(PHOTOMETRIC_TAG) == WHITE_IS_ZERO

    def tone(piece: Any) -> Any:
        from PIL import Image

        values = np.clip(_values(picture, piece) / np.float32(white), 0, 1)
        values = 1 - values if inverted else values
        if space is not None:
            return Image.fromarray(space.to_srgb(values[:, :, None])[:, :, 0].astype(np.float32))
        # Pillow applies profiles in 8 bits; between the levels, linear interpolation is accurate enough.
        values = values if curve is None else np.interp(values, np.linspace(0, 1, 256), curve)
        return Image.fromarray(values.astype(np.float32))

    return tone


def _values(picture: Any, piece: Any) -> Array:
    """(H, W) float32, without NaN."""
    values = np.asarray(piece)
    if piece.mode == "I" and picture.format == "TIFF" and picture.tag_v2.get(BITS_TAG) == (32,):
        signed = picture.tag_v2.get(SAMPLE_FORMAT_TAG, (1,)) == (SIGNED,)
        values = values if signed else values.view(np.uint32)
    values = values.astype(np.float32)
    return np.nan_to_num(values, posinf=np.inf, neginf=-np.inf) if piece.mode == "F" else values


def _white(picture: Any) -> float:
    """The stored value of white."""
    if picture.mode.startswith("I;16"):
        bits = picture.tag_v2.get(BITS_TAG, (16,))[0] if picture.format == "TIFF" else 16
        return 4095.0 if bits == 12 else 65535.0
    if picture.format == "PPM":  # Pillow has scaled it
        return 65535.0 if picture.mode == "I" else 1.0
    largest = 0.0
    for piece in _pieces(picture):
        values = _values(picture, piece)
        largest = max(largest, float(values.max(initial=0.0, where=np.isfinite(values))))
    ranges = (1.0, 255.0, 65535.0) if picture.mode == "F" else (255.0, 65535.0, 4294967295.0)
    return next((white for white in ranges if largest <= OVERSHOOT * white), largest)
