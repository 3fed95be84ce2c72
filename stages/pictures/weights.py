"""Pixel weights of the loss, from a mask, regions of focus and the picture's own edges."""

from __future__ import annotations

from typing import Any

import numpy as np

from artpipe.renderers import InputError

from .picture import load_picture, picture_size, readable
from .regions import DEFAULT_FLOOR, Region
from .sources import Source

Array = np.ndarray[Any, Any]
LUMINANCE = (0.2126, 0.7152, 0.0722)  # of red, green and blue (ITU-R BT.709), on sRGB values as they are
# Blur before edge detection, pixels on a canvas of 256; finer detail is mostly noise and canvas grain.
EDGE_BLUR = 1.0
# Percentile of the picture's gradients from which edges get full weight.
EDGE_PERCENTILE = 95.0


def weights_for(
    target: Array,
    mask: Array | None = None,
    focus: tuple[Region, ...] = (),
    edges: float = 0.0,
    floor: float = DEFAULT_FLOOR,
) -> Array | None:
    """Pixel weights `floor + (1 - floor) x mask x focus x edges`; each factor is in 0..1, and 1 if not given.

    Args:
        target: (H, W, 3), or (H, W, 4) with straight alpha, sRGB in 0..1.
        mask: (H, W), 0..1, from `load_mask`.
        focus: regions; where several overlap, the strongest counts.
        edges: how much the weight of smooth areas is reduced, 0..1.
        floor: smallest weight over the largest, 0..1.

    Returns:
        (H, W) float32, `floor` to 1; None without mask, focus and edges: all pixels count the same.

    Raises:
        InputError: the target is not a picture, or all weights are 0.
    """
    if target.ndim != 3 or target.shape[2] not in (3, 4) or 0 in target.shape:
        raise InputError(f"target has shape {target.shape}; needs (H, W, 3) or (H, W, 4), sRGB and alpha in 0..1")
    height, width = target.shape[:2]
    parts = [] if mask is None else [np.clip(mask, 0, 1)]
    if focus:
        parts.append(np.max([_round_region(region, height, width) for region in focus], axis=0))
    if edges > 0:
        parts.append(1 - edges * (1 - detail(target)))
    if not parts:
        return None
    weights = (floor + (1 - floor) * np.prod(parts, axis=0)).astype(np.float32)
    if not weights.max() > 0:
        raise InputError("mask and focus give every pixel weight 0; try a weight floor above 0 (--weight-floor)")
    return weights


def load_mask(mask: Any, width: int, height: int, picture: Any = None) -> Array:
    """A mask from an image, (H, W) float32: 1 where it is white, 0 where it is black or transparent.

    Args:
        mask: any image that `load_picture` takes; an array of booleans or of floats in 0..1, too.
        width: of the canvas, pixels; the mask is stretched to it just as the picture was.
        height: of the canvas.
        picture: the image that the mask is for; its proportions are checked, or else the canvas's.

    Raises:
        InputError: it cannot be read, or has other proportions than the picture.
    """
    mask = readable(mask, "mask")
    name = f"mask {mask.name}" if isinstance(mask, Source) else "mask"
    own = picture_size(mask, "mask")
    wanted = (width, height) if picture is None else picture_size(picture)
    # One may be a shrunk copy of the other, with sides rounded to whole pixels.
    if abs(own[0] * wanted[1] - own[1] * wanted[0]) > max(sum(own), sum(wanted)):
        raise InputError(
            f"{name} is {own[0]} x {own[1]} pixels; needs the proportions of the picture, which is "
            f"{wanted[0]} x {wanted[1]}. Try cropping it"
        )
    colours = load_picture(mask, (width, height), background=(0.0, 0.0, 0.0), argument="mask")
    return np.clip(colours @ np.array(LUMINANCE, np.float32), 0, 1)


def weights_picture(weights: Array) -> Array:
    """(H, W, 3), 0..1: white for the largest weight, black for 0."""
    return np.repeat((weights / weights.max())[:, :, None], 3, axis=2)


def detail(target: Array) -> Array:
    """Strength of edges, (H, W), 0..1: the gradient of slightly blurred colours over its 95th percentile.

    1 everywhere if the picture has no edges.
    """
    from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude

    planes = np.moveaxis(target, 2, 0)
    if len(planes) == 4:
        planes = np.concatenate([planes[:3] * planes[3], planes[3:]])
    blur = EDGE_BLUR * max(1.0, max(planes.shape[1:]) / 256)
    slopes = [gaussian_gradient_magnitude(plane, blur, mode="nearest") for plane in planes]
    steepness = gaussian_filter(np.sqrt(np.sum(np.square(slopes), axis=0)), blur, mode="nearest")
    # A slope below one 8-bit level a pixel is not an edge.
    full = max(float(np.percentile(steepness, EDGE_PERCENTILE)), 1 / 255)
    return np.ones_like(steepness) if steepness.max() < 1 / 255 else np.clip(steepness / full, 0, 1)


def _round_region(region: Region, height: int, width: int) -> Array:
    """(H, W), 0..1: 1 within half the radius, 1/2 at the radius, 0 from one and a half of it on."""
    x, y, radius = region
    across = np.arange(width) + 0.5 - x * width
    down = np.arange(height) + 0.5 - y * height
    # At least a pixel, so that even the smallest region holds one.
    distance = np.hypot(across[None, :], down[:, None]) / max(radius * max(height, width), 1.0)
    inward = np.clip(1.5 - distance, 0, 1)
    return inward * inward * (3 - 2 * inward)
