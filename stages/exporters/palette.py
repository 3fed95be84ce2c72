"""One palette for a whole film, and frames that repaint only changed pixels.

In trials one palette without dither gave the smallest GIF at 36 dB; one palette per frame took twice the bytes, dither
three times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# Number of frames that are sampled, each at other pixels, and the weight of the last one, which is seen longest.
_SAMPLED, _LAST_COUNTS = 60, 4
# Approximate number of sampled pixels.
_SAMPLE_PIXELS = 100_000
# Bits per channel of the lookup table of nearest colours.
_BITS = 6


@dataclass(frozen=True, eq=False)
class Palette:
    """Up to 255 colours, and an index for pixels that stay unchanged.

    Attributes:
        colours: (256, 3) uint8; the last is never painted.
        nearest: (64, 64, 64) uint8, index of the colour nearest to each cell of the RGB cube.
        transparent: the index of unchanged or transparent pixels.
    """

    colours: Array
    nearest: Array
    transparent: int = 255

    @classmethod
    def of(cls, frames: Sequence[Array]) -> Palette:
        """Quantise a sample of the frames' pixels.

        Args:
            frames: (H, W, 3) or (H, W, 4) uint8 each; transparent pixels are ignored.
        """
        from PIL import Image
        from scipy.spatial import cKDTree

        chosen = [frames[k] for k in np.linspace(0, len(frames) - 1, min(_SAMPLED, len(frames))).round().astype(int)]
        chosen += [frames[-1]] * (_LAST_COUNTS - 1)
        height, width = frames[0].shape[:2]
        step = int(np.ceil(np.sqrt(len(chosen) * height * width / _SAMPLE_PIXELS)))
        sample = np.concatenate(
            [_opaque(frame[k % step % height :: step, 7 * k % step % width :: step]) for k, frame in enumerate(chosen)]
        )
        sample = sample if len(sample) else np.zeros((1, 3), np.uint8)
        image = Image.fromarray(sample[None]).quantize(255, method=Image.Quantize.MAXCOVERAGE, kmeans=1)
        used = np.unique(np.array(image.getpalette(), np.uint8).reshape(-1, 3), axis=0)[:255]
        colours = np.concatenate([used, _others(used, 256 - len(used))])
        levels = (np.arange(1 << _BITS) + 0.5) * (1 << (8 - _BITS)) - 0.5
        cubes = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1)
        nearest = cKDTree(used.astype(np.float64)).query(cubes)[1].astype(np.uint8)
        return cls(colours, nearest)

    def film(self, frames: Sequence[Array], tolerance: float) -> Array:
        """Return the frames as indices, (K, H, W) uint8; `transparent` where the pixel shown before is near enough.

        Args:
            frames: (H, W, 3) uint8 each.
            tolerance: a pixel is kept up to this squared difference to its true colour, summed over channels (0..255).
        """
        film = np.empty((len(frames), *frames[0].shape[:2]), np.uint8)
        shown = np.zeros(frames[0].shape[:2], np.uint8)
        for k, frame in enumerate(frames):
            best = self._nearest_to(frame)
            stays = best == shown
            if k:
                stays |= self._difference(frame, shown) <= tolerance
                film[k] = np.where(stays, self.transparent, best)
                shown = np.where(stays, shown, best)
            else:
                film[k] = shown = best
        return film

    def whole_frames(self, frames: Sequence[Array]) -> Array:
        """Return the frames as indices, (K, H, W) uint8, each complete; `transparent` where alpha is below one half.

        Args:
            frames: (H, W, 4) uint8 each.
        """
        return np.stack([np.where(_is_opaque(frame), self._nearest_to(frame), self.transparent) for frame in frames])

    def as_bytes(self) -> bytes:
        """Return red, green, blue of all 256 colours."""
        return self.colours.tobytes()

    def _nearest_to(self, frame: Array) -> Array:
        red, green, blue = np.moveaxis(frame[:, :, :3] >> (8 - _BITS), 2, 0)
        return self.nearest[red, green, blue]

    def _difference(self, frame: Array, shown: Array) -> Array:
        return np.square(frame.astype(np.int32) - self.colours[shown]).sum(axis=2)


def _is_opaque(frame: Array) -> Array:
    return frame[:, :, 3] >= 128


def _opaque(frame: Array) -> Array:
    """Return the colours of the opaque pixels, (K, 3)."""
    return frame.reshape(-1, 3) if frame.shape[2] == 3 else frame[_is_opaque(frame)][:, :3]


def _others(used: Array, count: int) -> Array:
    """Return unused colours, (count, 3): Pillow keeps a palette as it is if all its colours differ."""
    taken = {tuple(colour) for colour in used.tolist()}
    free = ((r, g, b) for r in range(256) for g in range(2) for b in range(2) if (r, g, b) not in taken)
    return np.array([next(free) for _ in range(count)], np.uint8)
