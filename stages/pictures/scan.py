"""Pictures too large to be decoded as a whole: libvips decodes them row by row and shrinks them on the way."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import util
from typing import Any

import numpy as np

from .sources import Source

# Pillow's names of formats that libvips decodes row by row, and its loaders.
SCANNED = {"JPEG": "jpegload_source", "MPO": "jpegload_source", "PNG": "pngload_source", "TIFF": "tiffload_source"}

# Interpretations of libvips that Pillow has modes for; others are converted to sRGB.
KNOWN = ("b-w", "grey16", "srgb", "rgb", "rgb16", "cmyk")


def can_scan() -> bool:
    """Whether libvips (the extra `scans`) is installed."""
    return util.find_spec("pyvips") is not None


@dataclass(frozen=True)
class Scan:
    """A picture file, opened by libvips.

    Attributes:
        image: a pyvips image that can be read once, from the top.
        size: its width and height as stored, pixels.
        orientation: Exif orientation, 1 to 8, that is still to be applied.
        transparent: whether it has alpha.
    """

    image: Any
    size: tuple[int, int]
    orientation: int
    transparent: bool

    @classmethod
    def open(cls, file: Source, format: str) -> Scan:
        """Opens a file of one of the formats in `SCANNED`; pyvips.Error if it is broken."""
        import pyvips

        in_memory, opened = isinstance(file.content, bytes), pyvips.Source
        # In a plain file name, libvips would parse [ as options.
        source = opened.new_from_memory(file.content) if in_memory else opened.new_from_file(str(file.content))
        image = getattr(pyvips.Image, SCANNED[format])(source, access="sequential", fail_on="truncated")
        orientation = image.get("orientation") if image.get_typeof("orientation") else 1
        orientation = orientation if 1 <= orientation <= 8 else 1
        return cls(image, (image.width, image.height), orientation, bool(image.hasalpha()))

    def shrunk(self, factor: int) -> Any:
        """A Pillow image averaged over squares of `factor` pixels; pyvips.Error if the file is broken.

        Mode and profile are those that Pillow would report.
        """
        from PIL import Image

        image, profile = self.image, None
        if image.interpretation not in KNOWN:
            image = image.colourspace("srgb")
        elif image.get_typeof("icc-profile-data"):
            profile = image.get("icc-profile-data")
        whole = np.iinfo(np.uint16 if image.format == "ushort" else np.uint8).max
        if self.transparent:
            clear = image.premultiply(max_alpha=whole).shrink(factor, factor, ceil=True)
            image = clear.unpremultiply(max_alpha=whole).rint().cast(image.format)
        else:
            image = image.shrink(factor, factor, ceil=True)
        values = image.numpy().reshape(image.height, image.width, image.bands)
        if values.dtype == np.uint16 and image.bands > 1:
            values = (values >> 8).astype(np.uint8)  # as Pillow does
        mode = "CMYK" if image.interpretation == "cmyk" else None
        picture = Image.fromarray(values[:, :, 0] if image.bands == 1 else np.ascontiguousarray(values), mode)
        if profile:
            picture.info["icc_profile"] = profile
        return picture
