"""Colour spaces given by code points or by primaries and a transfer function, and their conversion to sRGB."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Curve = Callable[[Array], Array]
# x and y of white, red, green and blue (CIE 1931), in the order of PNG's cHRM.
Chromaticities = tuple[float, float, float, float, float, float, float, float]

D65, C, DCI, EQUAL = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351), (1 / 3, 1 / 3)
BT709: Chromaticities = (*D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
BT2020: Chromaticities = (*D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)
ADOBE_RGB: Chromaticities = (*D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
ADOBE_GAMMA = 563 / 256
_SMPTE170: Chromaticities = (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070)

# Code points of ITU-T H.273, table 2, which PNG's cICP and the nclx box of AVIF use.
PRIMARIES: dict[int, Chromaticities] = {
    1: BT709,
    2: BT709,  # unspecified
    4: (*C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: _SMPTE170,
    7: _SMPTE170,
    8: (*C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: BT2020,
    10: (*EQUAL, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    11: (*DCI, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
SRGB_CODE, PQ_CODE, HLG_CODE = 13, 16, 18

# Luminance of diffuse white, cd/m² (ITU-R BT.2408); content is taken to peak at 1000 cd/m².
DIFFUSE_WHITE = 203.0
PEAK = 1000.0 / DIFFUSE_WHITE
# Luminance of BT.2020's red, green and blue.
_LUMINANCE_2020 = np.array([0.2627, 0.6780, 0.0593])
# Cone responses by which whites are adapted (Bradford).
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

# Steps of the table from linear light to 8-bit sRGB; where the curve is steepest, a step is 0.05 levels.
_LIGHT_STEPS = 65535


def power(exponent: float) -> Curve:
    """Light as a power of the stored value."""
    return lambda values: np.power(values, exponent)


def _from_smpte240(values: Array) -> Array:
    curved = np.power((values + 0.111572195921731) / 1.111572195921731, 1 / 0.45)
    return np.where(values < 4 * 0.022821585529445, values / 4, curved)


def _logarithmic(decades: float) -> Curve:
    return lambda values: np.where(values > 0, np.power(10.0, decades * (values - 1)), 0.0)


def _from_srgb(values: Array) -> Array:
    return np.where(values <= 0.04045, values / 12.92, np.power((values + 0.055) / 1.055, 2.4))


def _to_srgb(light: Array) -> Array:
    """Encodes linear light, not negative, as sRGB."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.power(light, 1 / 2.4) - 0.055)


def _from_pq(values: Array) -> Array:
    """Light relative to `DIFFUSE_WHITE` (SMPTE ST 2084)."""
    root = np.power(values, 32 / 2523)
    light = np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)
    return np.power(light, 8192 / 1305) * (10_000 / DIFFUSE_WHITE)


def _from_hlg(values: Array) -> Array:
    """Light of the scene, 0..1 (ITU-R BT.2100)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(values <= 0.5, np.square(values) / 3, (np.exp((values - c) / a) + b) / 12)


# H.273 gives the camera curve for BT.709 and related codes; displays use ITU-R BT.1886 instead.
_DISPLAY = power(2.4)

# From stored values to light, by code point of H.273, table 3.
TRANSFERS: dict[int, Curve] = {
    1: _DISPLAY,
    2: _from_srgb,  # unspecified
    4: power(2.2),
    5: power(2.8),
    6: _DISPLAY,
    7: _from_smpte240,
    8: power(1.0),
    9: _logarithmic(2.0),
    10: _logarithmic(2.5),
    11: _DISPLAY,
    12: _DISPLAY,
    SRGB_CODE: _from_srgb,
    14: _DISPLAY,
    15: _DISPLAY,
    PQ_CODE: _from_pq,
    17: lambda values: np.power(values, 2.6) * (52.37 / 48),
    HLG_CODE: _from_hlg,
}


@dataclass(frozen=True)
class ColourSpace:
    """A colour space of red, green and blue.

    Attributes:
        chromaticities: of white, red, green and blue.
        light: transfer function, from stored values, 0..1, to linear light, 1 for diffuse white.
        dynamic_range: "standard", "pq" or "hlg"; the light of the last two is tone mapped.
    """

    chromaticities: Chromaticities
    light: Curve
    dynamic_range: str = "standard"

    @classmethod
    def coded(cls, primaries: int, transfer: int) -> ColourSpace:
        """The space that two code points of H.273 name.

        Raises:
            KeyError: one of them is reserved.
        """
        ranges = {PQ_CODE: "pq", HLG_CODE: "hlg"}
        return cls(PRIMARIES[primaries], TRANSFERS[transfer], ranges.get(transfer, "standard"))

    def to_srgb(self, values: Array) -> Array:
        """sRGB, 0..1, from stored values.

        Args:
            values: (..., 3) red, green and blue, or (..., 1) grey, 0..1.
        """
        return _to_srgb(np.clip(self._shown(self.light(np.asarray(values, np.float64))), 0, 1))

    def to_srgb_levels(self, values: Array) -> Array:
        """(..., 3) uint8 sRGB from (..., 3) uint8 values."""
        shown = self._shown(self._light_of_levels[values])
        steps = np.clip(shown * _LIGHT_STEPS + 0.5, 0, _LIGHT_STEPS).astype(np.uint16)
        return self._levels_of_light[steps]

    @property
    def is_srgb(self) -> bool:
        """Whether stored values are sRGB to within one 8-bit level."""
        levels = np.stack(np.meshgrid(*[np.arange(0, 256, 51, dtype=np.uint8)] * 3), axis=-1)
        return bool(np.abs(self.to_srgb(levels / 255) * 255 - levels).max() < 1)

    @cached_property
    def _light_of_levels(self) -> Array:
        return self.light(np.arange(256) / 255).astype(np.float32)

    @cached_property
    def _levels_of_light(self) -> Array:
        return np.round(255 * _to_srgb(np.arange(_LIGHT_STEPS + 1) / _LIGHT_STEPS)).astype(np.uint8)

    def _shown(self, light: Array) -> Array:
        """Light in sRGB primaries, not clipped to 0..1, from light in these."""
        if self.dynamic_range == "standard":
            return _multiplied(light, self._matrix(BT709))
        light = _multiplied(light, self._matrix(BT2020))
        if self.dynamic_range == "hlg":
            luminance = light @ _LUMINANCE_2020 if light.shape[-1] == 3 else light[..., 0]
            light = light * (PEAK * np.power(np.maximum(luminance, 0), 0.2))[..., None].astype(light.dtype)
        brightest = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
        light = light * (_compressed(brightest) / brightest).astype(light.dtype)
        return _multiplied(light, ColourSpace(BT2020, self.light)._matrix(BT709))

    def _matrix(self, other: Chromaticities) -> Array:
        """(3, 3) matrix from light in these primaries to light in others; white maps to white."""
        own_white, other_white = (_xyz(*space[:2]) for space in (self.chromaticities, other))
        cones = (_BRADFORD @ other_white) / (_BRADFORD @ own_white)
        adapted = np.linalg.solve(_BRADFORD, cones[:, None] * _BRADFORD)
        return np.linalg.solve(_to_xyz(other), adapted @ _to_xyz(self.chromaticities))


def _multiplied(light: Array, matrix: Array) -> Array:
    """Light times a matrix that maps white to white, so that grey is unchanged."""
    return light if light.shape[-1] == 1 else light @ matrix.T.astype(light.dtype)


def _compressed(light: Array) -> Array:
    """Tone mapping of light to 0..1: linear up to diffuse white at 0.5, then a quadratic Bézier arc; 1 from `PEAK` on.

    Source: SMPTE ST 2094-50, reference white tone mapping operator; browsers use it too.
    """
    knee, middle, top = (1.0, 0.5), (1.65, 0.825), (PEAK, 1.0)
    a, b = knee[0] - 2 * middle[0] + top[0], 2 * (middle[0] - knee[0])
    along = (np.sqrt(b * b + 4 * a * np.clip(light - knee[0], 0, top[0] - knee[0])) - b) / (2 * a)
    arc = (1 - along) ** 2 * knee[1] + 2 * along * (1 - along) * middle[1] + along**2 * top[1]
    return np.where(light <= knee[0], knee[1] * light, arc)


def _xyz(x: float, y: float) -> Array:
    """Tristimulus values of a chromaticity at luminance 1."""
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _to_xyz(chromaticities: Chromaticities) -> Array:
    """(3, 3) matrix from light of red, green and blue to tristimulus values."""
    x, y = np.array(chromaticities[2::2]), np.array(chromaticities[3::2])
    primaries = np.stack([x, y, 1 - x - y])
    return primaries * np.linalg.solve(primaries, _xyz(*chromaticities[:2]))
