"""What each pixel counts: a mask, regions of focus, and the picture's own edges, as weights of the loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from artpipe.renderers import InputError

from .picture import load_picture, picture_size, readable
from .regions import DEFAULT_FLOOR, Region
from .sources import Source

Array = np.ndarray[Any, Any]
LUMINANCE = (0.2126, 0.7152, 0.0722)  # of red, green and blue (ITU-R BT.709), on sRGB values as they are
# Edges are sought at this blur, pixels on a canvas of 256; finer detail than that is mostly noise and canvas grain.
EDGE_BLUR = 1.0
# The gradient that counts fully: this percentile of the picture's own.
EDGE_PERCENTILE = 95.0


def weights_for(
    target: Array,
    mask: Array | None = None,
    focus: tuple[Region, ...] = (),
    edges: float = 0.0,
    floor: float = DEFAULT_FLOOR,
) -> Array | None:
    """What each pixel counts: `floor + (1 - floor) x mask x focus x edges`, each of the three 0..1, 1 where not given.

    Args:
        target: (H, W, 3), or (H, W, 4) with straight alpha, sRGB in 0..1.
        mask: (H, W), 0..1, from `load_mask`.
        focus: regions; where several meet, the strongest counts.
        edges: how much smooth parts lose, 0..1.
        floor: what counts least over what counts most, 0..1.

    Returns:
        (H, W) float32, `floor` to 1; None if nothing is asked for, so that all pixels count the same.

    Raises:
        InputError: the target is no picture, or with a floor of 0, no pixel counts.
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
        raise InputError("mask and focus leave no pixel that counts; give the rest a weight above 0 (--weight-floor)")
    return weights


def load_mask(mask: Any, width: int, height: int, picture: Any = None) -> Array:
    """A mask from an image, (H, W) float32: 1 where it is white, 0 where it is black or transparent.

    Args:
        mask: any image that `load_picture` takes; an array of booleans or of floats in 0..1, too.
        width: of the canvas, pixels; the mask is stretched to it just as the picture was.
        height: of the canvas.
        picture: the image that the mask is for; the canvas is the measure if not given.

    Raises:
        InputError: it cannot be read, or it is not of the picture's proportions.
    """
    mask = readable(mask, "mask")
    name = f"mask {mask.name}" if isinstance(mask, Source) else "mask"
    own = picture_size(mask, "mask")
    wanted = (width, height) if picture is None else picture_size(picture)
    # One may be the other made smaller, with sides rounded up or down to whole pixels.
    if abs(own[0] * wanted[1] - own[1] * wanted[0]) > max(sum(own), sum(wanted)):
        raise InputError(
            f"{name} is {own[0]} x {own[1]} pixels; needs the proportions of the picture, which is "
            f"{wanted[0]} x {wanted[1]}. Try cropping it"
        )
    colours = load_picture(mask, (width, height), background=(0.0, 0.0, 0.0), argument="mask")
    return np.clip(colours @ np.array(LUMINANCE, np.float32), 0, 1)


def weights_picture(weights: Array) -> Array:
    """(H, W, 3), 0..1: white where most counts, black where nothing does."""
    return np.repeat((weights / weights.max())[:, :, None], 3, axis=2)


def detail(target: Array) -> Array:
    """(H, W), 0..1: where a picture has edges: the gradient of its slightly blurred colours, over its 95th percentile.

    A picture without any has 1 everywhere: nothing in it counts more.
    """
    from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude

    planes = np.moveaxis(target, 2, 0)
    if len(planes) == 4:
        planes = np.concatenate([planes[:3] * planes[3], planes[3:]])
    blur = EDGE_BLUR * max(1.0, max(planes.shape[1:]) / 256)
    slopes = [gaussian_gradient_magnitude(plane, blur, mode="nearest") for plane in planes]
    steepness = gaussian_filter(np.sqrt(np.sum(np.square(slopes), axis=0)), blur, mode="nearest")
    # Less than a level of 8 bits a pixel is no edge.
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
