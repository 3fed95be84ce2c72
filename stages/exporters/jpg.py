"""JPEG at any size."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from artpipe.renderers import InputError
from artpipe.renderers.alpha import WHITE
from artpipe.renderers.bands import bands

from ..formats.files import whole_file
from ..pictures.picture import as_bytes
from ..result import Result
from .options import ExportOptions
from .png import band_rows
from .profile import srgb_profile

# libjpeg's limit, pixels.
SIDE_MAX = 65500
# 0..100. Colours keep the full resolution: halved, they blur the rims of small shapes.
QUALITY = 92


def export_jpg(result: Result, path: Path, options: ExportOptions) -> None:
    """Write the picture at `options.width`, with an sRGB profile; a transparent one is composited over the matte.

    Raises:
        InputError: a side is longer than JPEG can store.
    """
    from PIL import Image

    scene = options.resized(result.scene)
    canvas = scene.canvas
    if max(canvas.width, canvas.height) > SIDE_MAX:
        raise InputError(
            f"the picture is {canvas.width} x {canvas.height} pixels; JPEG takes at most {SIDE_MAX} a side. "
            "Try a smaller --width, or .png"
        )
    if canvas.transparent:
        scene = scene.with_background(options.matte_or(WHITE))
    pixels = np.empty((canvas.height, canvas.width, 3), np.uint8)
    rows_each = band_rows(canvas)
    for k, band in enumerate(bands(scene, rows_each)):
        pixels[k * rows_each : (k + 1) * rows_each] = as_bytes(band)
    data = io.BytesIO()
    Image.fromarray(pixels).save(
        data, "JPEG", quality=QUALITY, subsampling=0, optimize=True, icc_profile=srgb_profile(),
        dpi=(round(options.dpi), round(options.dpi)),
    )  # fmt: skip
    with whole_file(path) as file:
        file.write(data.getbuffer())
