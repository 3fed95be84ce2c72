"""Reading any common image as a target, and writing rendered images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..formats.files import whole_file
from .decode import decode, decode_image, decoded_size, image_size, in_one_line, pillow, unread_file
from .pixel_arrays import picture_of_array
from .resample import resampled
from .sizes import DEFAULT_SIZE
from .sources import is_file_like, source_of

Array = np.ndarray[Any, Any]

# Pixel art, unlike small photographs and antialiased drawings, has few colours: at most `FEW_COLOURS`, or `ART_COLOURS`
# if a share of at least `ART_EQUAL` of neighbours is equal, and at most a third of its pixel count. Of the unequal
# neighbours, half differ by at least `ART_STEP` levels of 255.
ART_STEP, FEW_COLOURS, ART_COLOURS, ART_EQUAL = 24, 16, 64, 0.25
# Half an 8-bit level: alpha this close to 0 or 1 is set to it.
FAINT = 0.5 / 255


def load_picture(
    picture: Any,
    size: tuple[int, int] | int | None = None,
    background: tuple[float, float, float] | None = None,
    argument: str = "picture",
    enlarge: bool = False,
) -> Array:
    """A picture as a target, in sRGB.

    Exif orientation, colour space and transparency of files and Pillow images are applied. A file with several pictures
    gives its first. Warns (`PictureWarning`) if some colour information of a file is ignored.

    Args:
        picture: a JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF, PNM or JPEG 2000 file, recognised by content: its path, a
            binary file object (read from its start if seekable), or its content as bytes. Or a Pillow
            image of any mode. Or an array (NumPy, JAX, PyTorch, nested lists) in sRGB: (H, W) or (H, W, 1) grey,
            (H, W, 2) grey and alpha, (H, W, 3), or (H, W, 4) with straight alpha; floats in 0..1, uint8 or uint16 over
            their whole range, or booleans.
        size: longest side in pixels (aspect kept), or (width, height) exactly. If None, arrays keep their size; others
            get at most `DEFAULT_SIZE`.
        background: sRGB in 0..1 under transparent parts.
        argument: what the caller calls the picture, for messages.
        enlarge: whether smaller files and Pillow images are enlarged to `DEFAULT_SIZE` if no size is given; pixel art
            by a whole factor, so that its longest side may become nearly twice that.

    Returns:
        (H, W, 3) float32 in 0..1; (H, W, 4) with straight alpha if no background is given and a pixel is not opaque.
        Fully transparent pixels are 0.

    Raises:
        InputError: the file is missing, broken, not a picture, or takes too much memory; or the array has another shape
            or type, or values out of range.
    """
    if is_array(picture):
        image = _times_alpha(picture_of_array(picture, argument))
        original = image.shape[1], image.shape[0]
        if size is not None and target_size(original, size) != original:
            image = _resized(image, target_size(original, size))
    else:
        source = unread_file(picture, argument) if _is_pillow(picture) else source_of(picture, argument)
        if source is None:
            decoded = decode_image(picture, argument)
        else:
            decoded = decode(source, lambda original: target_size(original, size))
        enlarged = enlarge and size is None and max(decoded.size) < DEFAULT_SIZE
        with pillow(), in_one_line(argument if source is None else source.name):
            image = resampled(decoded, decoded.size if enlarged else target_size(decoded.size, size))
        image = _enlarged(image) if enlarged else image
    if image.shape[2] == 4:
        return _over(image, background) if background is not None else _straight(image)
    return np.clip(image, 0, 1, out=image)


def picture_size(picture: Any, argument: str = "picture") -> tuple[int, int]:
    """Width and height of a picture, pixels, upright; files are not decoded.

    Args:
        picture: as of `load_picture`.
        argument: what the caller calls it, for messages.

    Raises:
        InputError: the file is missing or not an image.
    """
    if is_array(picture):
        height, width = picture_of_array(picture, argument).shape[:2]
        return width, height
    return image_size(picture, argument) if _is_pillow(picture) else decoded_size(source_of(picture, argument))


def readable(picture: Any, argument: str = "picture") -> Any:
    """A picture that `load_picture` can read repeatedly, from any that it accepts.

    Raises:
        InputError: it is a file that cannot be read, or an array that is not a picture.
    """
    if is_array(picture):
        return picture_of_array(picture, argument)
    return picture if _is_pillow(picture) else source_of(picture, argument)


def is_array(picture: Any) -> bool:
    """Whether `load_picture` treats it as an array."""
    return not is_file_like(picture) and not _is_pillow(picture)


def _is_pillow(picture: Any) -> bool:
    from PIL import Image

    return isinstance(picture, Image.Image)


def _times_alpha(image: Array) -> Array:
    """A copy with premultiplied colours."""
    if image.shape[2] == 3:
        return image.copy()
    return np.concatenate([image[:, :, :3] * image[:, :, 3:], image[:, :, 3:]], axis=2)


def _resized(image: Array, size: tuple[int, int]) -> Array:
    """The premultiplied picture at this width and height; the filter may overshoot 0..1."""
    from PIL import Image

    planes = [Image.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(image, 2, 0)]
    return np.stack([np.asarray(plane.resize(size, Image.Resampling.LANCZOS)) for plane in planes], axis=2)


def _enlarged(image: Array) -> Array:
    """A small premultiplied picture at its default size."""
    height, width = image.shape[:2]
    if is_pixel_art(image):
        factor = -(-DEFAULT_SIZE // max(height, width))
        return image.repeat(factor, axis=0).repeat(factor, axis=1)
    return _resized(image, target_size((width, height), DEFAULT_SIZE))


def is_pixel_art(image: Array) -> bool:
    """Whether a small picture looks drawn pixel by pixel: few colours, with hard steps between them.

    Args:
        image: (H, W, 3 or 4), 0..1.
    """
    levels = as_bytes(image).astype(np.int16)
    colours = len(np.unique(levels.reshape(-1, levels.shape[2]), axis=0))
    steps = np.concatenate([np.abs(np.diff(levels, axis=axis)).max(axis=2).ravel() for axis in (0, 1)])
    changes = steps[steps > 0]
    if changes.size == 0:
        return True
    most = ART_COLOURS if 1 - changes.size / steps.size >= ART_EQUAL else FEW_COLOURS
    return bool(colours <= min(most, max(4, levels[:, :, 0].size // 3)) and np.median(changes) >= ART_STEP)


def _within_alpha(image: Array) -> tuple[Array, Array]:
    """Premultiplied colours and alpha, (H, W, 1), clipped, without faint traces."""
    alpha = image[:, :, 3:]
    alpha[alpha < FAINT] = 0
    alpha[alpha > 1 - FAINT] = 1
    colours = image[:, :, :3]
    return np.clip(colours, 0, alpha, out=colours), alpha


def _over(image: Array, background: tuple[float, float, float]) -> Array:
    """(H, W, 3) over a background, from premultiplied colours and alpha."""
    colours, alpha = _within_alpha(image)
    return np.clip(colours + (1 - alpha) * np.asarray(background, np.float32), 0, 1)


def _straight(image: Array) -> Array:
    """(H, W, 3 or 4) with straight alpha, from premultiplied colours and alpha."""
    colours, alpha = _within_alpha(image)
    np.divide(colours, alpha, out=colours, where=alpha > 0)
    return image if alpha.min() < 1 else np.ascontiguousarray(colours)


def target_size(original: tuple[int, int], size: tuple[int, int] | int | None) -> tuple[int, int]:
    """Width and height of a target.

    Args:
        original: width and height of the picture.
        size: as of `load_picture`; None for at most `DEFAULT_SIZE`.
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
