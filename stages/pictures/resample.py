"""Rotating and resampling of pictures piece by piece, so that no large one is held in sRGB or in floats."""

from __future__ import annotations

from typing import Any

import numpy as np

from .colours import MEAN_MODES, PIECE_PIXELS, Colours, colours_of, with_means
from .decode import Decoded, Size

Array = np.ndarray[Any, Any]

# Larger pictures are first shrunk by box averages to `MARGIN` times their final size, which is much faster.
WHOLE_PIXELS_MAX = 178_000_000
WHOLE_SIDE_MAX = 65_535
MARGIN = 4


def resampled(decoded: Decoded, size: Size) -> Array:
    """A decoded picture in sRGB, upright, at this width and height; its images are closed if owned.

    Up to `WHOLE_PIXELS_MAX` it equals Pillow's `resize` of the whole picture bit for bit, since that also resamples
    rows before columns. Colours are premultiplied, so that those of fully transparent pixels have no effect.

    Returns:
        (H, W, 3) float32 in 0..1 if all pixels are opaque, else (H, W, 4): premultiplied red, green and blue, and
        alpha, which the filter may overshoot past 0..1.
    """
    from PIL import Image

    huge = max(decoded.image.size) > WHOLE_SIDE_MAX or decoded.image.width * decoded.image.height > WHOLE_PIXELS_MAX
    colours = colours_of(decoded.image, decoded.space, deep=decoded.low is not None and not huge)
    strips, (top, bottom) = _strips(decoded, colours, size, huge)
    for image in (decoded.image, decoded.low) if decoded.owned else ():
        if image is not None:
            image.close()
    count = 4 if colours.transparent else 3
    result = np.empty((size[1], size[0], count), np.float32)
    channel = 0
    while strips:
        strip = strips.pop(0)
        channels = 3 if strip.mode == "RGB" or (colours.grey and channel == 0) else 1
        # Columns are independent, so they are resampled a few at a time.
        width = max(1, PIECE_PIXELS // max(strip.height, size[1]))
        for first in range(0, size[0], width):
            last = min(first + width, size[0])
            piece = strip.crop((first, 0, last, strip.height))
            piece = piece.resize((last - first, size[1]), Image.Resampling.LANCZOS, box=(0, top, last - first, bottom))
            values: Array = np.asarray(piece, np.float32)
            values = values if piece.mode == "F" else values / 255
            result[:, first:last, channel : channel + channels] = np.atleast_3d(values)
        channel += channels
    return result


def _strips(decoded: Decoded, colours: Colours, size: Size, huge: bool) -> tuple[list[Any], tuple[float, float]]:
    """Upright planes of a picture, with its rows resampled, and where the picture begins and ends in them, in rows."""
    from PIL import Image

    image = decoded.image
    turn, swapped, from_right, from_below = TURNS[decoded.orientation]
    across, down = reversed(image.size) if swapped else image.size
    part_across, part_down = reversed(decoded.extent) if swapped else decoded.extent
    left, top = across - part_across if from_right else 0, down - part_down if from_below else 0
    # Columns, and rows, that are first averaged into one.
    columns = max(1, int(across / size[0] / MARGIN)) if huge else 1
    factor = max(1, int(down / size[1] / MARGIN)) if huge else 1
    rows = max(1, PIECE_PIXELS // (4 if colours.deep else 1) // across // factor) * factor
    strips: list[Any] = []
    for first in range(0, down, rows):
        last = min(first + rows, down)
        low, high = (down - last, down - first) if from_below else (first, last)
        box = (low, 0, high, across) if swapped else (0, low, across, high)
        pieces = [part.crop(box) for part in ((image, decoded.low) if colours.deep else (image,))]
        pieces = [piece if turn is None else piece.transpose(turn) for piece in pieces]
        piece = with_means(pieces[0], colours.transparent) if huge else pieces[0]
        before = huge and piece.mode in MEAN_MODES
        piece = piece.reduce((columns, factor)) if before else piece
        for index, plane in enumerate(colours.planes(piece, *pieces[1:])):
            if first == 0:
                strips.append(Image.new(plane.mode, (size[0], -(-down // factor))))
            plane = plane.reduce((columns, factor)) if huge and not before else plane
            inside = (left / columns, 0, (left + part_across) / columns, plane.height)
            narrow = plane.resize((size[0], plane.height), Image.Resampling.LANCZOS, box=inside)
            strips[index].paste(narrow, (0, first // factor))
    return strips, (top / factor, (top + part_down) / factor)


# Exif orientation to the number of the `Image.Transpose` that makes a picture upright, whether its rows become columns,
# and whether the upright x and y axes run against the stored ones.
TURNS: dict[int, tuple[Any, bool, bool, bool]] = {
    1: (None, False, False, False),
    2: (0, False, True, False),
    3: (3, False, True, True),
    4: (1, False, False, True),
    5: (5, True, False, False),
    6: (4, True, True, False),
    7: (6, True, True, True),
    8: (2, True, False, True),
}
