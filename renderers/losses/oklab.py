"""The mean squared distance in OKLab, an approximately perceptually uniform colour space."""

from __future__ import annotations

from typing import Any

from .base import Loss, weighted_mean
from .metrics import SLACK

# From linear sRGB to cone responses, and from their cube roots to lightness, green-red and blue-yellow.
_TO_CONES = ((0.4122214708, 0.5363325363, 0.0514459929), (0.2119034982, 0.6806995451, 0.1073969566),
             (0.0883024619, 0.2817188376, 0.6299787005))  # fmt: skip
_TO_LAB = ((0.2104542553, 0.7936177850, -0.0040720468), (1.9779984951, -2.4285922050, 0.4505937099),
           (0.0259040371, 0.7827717662, -0.8086757660))  # fmt: skip
# Added to cone responses, so that the derivative of the cube root is finite at black.
_FLOOR = 1e-4
# Ottosson's toe: lightness as in CIELAB, which does not stretch dark colours.
_K1, _K2 = 0.206, 0.03
_K3 = (1 + _K1) / (1 + _K2)


def oklab(xp: Any, image: Any) -> Any:
    """The colours of an image, (H, W, 3) sRGB, in OKLab with the lightness of CIELAB.

    Values are clipped to 0..1, with the slack of rounding: at a limit itself the derivative is that of the inside.

    Source: Ottosson, "A perceptual color space for image processing", 2020, and "Okhsv and Okhsl", 2021 (the toe).
    """
    image = xp.clip(image, -SLACK, 1 + SLACK)
    # `where` evaluates both branches, and the derivative of the power needs a positive base.
    curved = _power(xp, (xp.clip(image, 0.04, 1 + 2 * SLACK) + 0.055) / 1.055, 2.4)
    linear = xp.where(image <= 0.04045, image / 12.92, curved)
    cones = _power(xp, _matrix_product(xp, _TO_CONES, linear) + _FLOOR, 1 / 3) - _FLOOR ** (1 / 3)
    lab = _matrix_product(xp, _TO_LAB, cones)
    scaled = _K3 * lab[:, :, :1]
    lightness = 0.5 * (scaled - _K1 + xp.sqrt(xp.square(scaled - _K1) + 4 * _K2 * scaled))
    return xp.concatenate([lightness, lab[:, :, 1:]], 2)


def _power(xp: Any, base: Any, exponent: float) -> Any:
    """A power of positive numbers; in this form the derivative needs no second power, which would dominate the time."""
    return xp.exp(exponent * xp.log(base))


def _matrix_product(xp: Any, matrix: tuple[tuple[float, ...], ...], values: Any) -> Any:
    """A 3 x 3 matrix applied to the channels of (H, W, 3) values, as sums, for full precision on every device."""
    return xp.stack([sum(own * values[:, :, k] for k, own in enumerate(row)) for row in matrix], -1)


def _value(xp: Any, image: Any, target: Any, weights: Any) -> Any:
    return weighted_mean(xp, xp.square(oklab(xp, image) - target), weights)


OKLAB = Loss("oklab", "mean squared distance in OKLab: perceptual colour differences", _value, oklab)
