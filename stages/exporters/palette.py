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
# Approximate number of sampled pixels, and of those that Pillow chooses the first colours from: its time grows with the
# number of pixels, but hardly the quality.
_SAMPLE_PIXELS, _FIRST_PIXELS = 100_000, 40_000
# Steps of k-means from the first colours; more gain nothing.
_ROUNDS = 6
# Bits per channel of a cell of the RGB cube; pixels of one cell get one colour.
_BITS = 6
_CELLS = 1 << (3 * _BITS)
# Points whose distances to all colours are computed at a time: few enough to stay in the cache, and for BLAS to work
# without threads, which take three times the CPU time.
_BLOCK = 512


@dataclass(frozen=True, eq=False)
class Palette:
    """Up to 255 colours, and an index for pixels that stay unchanged.

    Attributes:
        colours: (256, 3) uint8; the last is never painted.
        nearest: (262144,) uint8, index of the colour nearest to each cell of the RGB cube that occurs in the frames.
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
        chosen = [frames[k] for k in np.linspace(0, len(frames) - 1, min(_SAMPLED, len(frames))).round().astype(int)]
        chosen += [frames[-1]] * (_LAST_COUNTS - 1)
        height, width = frames[0].shape[:2]
        step = int(np.ceil(np.sqrt(len(chosen) * height * width / _SAMPLE_PIXELS)))
        sample = np.concatenate(
            [_opaque(frame[k % step % height :: step, 7 * k % step % width :: step]) for k, frame in enumerate(chosen)]
        )
        used = _quantised(sample if len(sample) else np.zeros((1, 3), np.uint8))
        colours = np.concatenate([used, _others(used, 256 - len(used))])
        occurs = np.zeros(_CELLS, bool)
        for frame in frames:
            occurs[_cells_of(frame)] = True
        cells = np.flatnonzero(occurs)
        nearest = np.zeros(_CELLS, np.uint8)
        nearest[cells] = _nearest(_centres(cells), used.astype(np.float32))
        return cls(colours, nearest)

    def film(self, frames: Sequence[Array], tolerance: float) -> Array:
        """Return the frames as indices, (K, H, W) uint8; `transparent` where the pixel shown before is near enough.

        Args:
            frames: (H, W, 3) uint8 each.
            tolerance: a pixel is kept up to this squared difference to its true colour, summed over channels (0..255).
        """
        film = np.full((len(frames), frames[0].shape[0] * frames[0].shape[1]), self.transparent, np.uint8)
        film[0] = shown = self._nearest_to(frames[0]).ravel()
        for painted, frame in zip(film[1:], frames[1:], strict=True):
            best = self._nearest_to(frame).ravel()
            differs = np.flatnonzero(best != shown)
            gap = frame.reshape(-1, 3)[differs].astype(np.int32) - self.colours[shown[differs]]
            differs = differs[np.einsum("ij,ij->i", gap, gap) > tolerance]
            painted[differs] = shown[differs] = best[differs]
        return film.reshape(len(frames), *frames[0].shape[:2])

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
        return self.nearest[_cells_of(frame)]


def _quantised(sample: Array) -> Array:
    """Return up to 255 colours for pixels, (K, 3) uint8: Pillow's maximum coverage, improved by k-means over cells."""
    from PIL import Image

    some = sample[:: max(1, len(sample) // _FIRST_PIXELS)]
    image = Image.fromarray(some[None]).quantize(255, method=Image.Quantize.MAXCOVERAGE)
    colours = np.unique(np.array(image.getpalette(), np.uint8).reshape(-1, 3), axis=0)[:255].astype(np.float32)
    cells = _cells_of(sample[None])[0]
    counts = np.bincount(cells, minlength=_CELLS)
    occur = np.flatnonzero(counts)
    weights = counts[occur].astype(np.float64)
    sums = np.stack([np.bincount(cells, channel, _CELLS)[occur] for channel in sample.T], axis=1)
    points = (sums / weights[:, None]).astype(np.float32)
    for _ in range(_ROUNDS):
        owners = _nearest(points, colours)
        totals = np.bincount(owners, weights, len(colours))
        taken = totals > 0
        means = np.stack([np.bincount(owners, channel, len(colours)) for channel in sums.T], axis=1)
        colours[taken] = means[taken] / totals[taken, None]
    return np.unique(np.rint(colours).astype(np.uint8), axis=0)


def _cells_of(frame: Array) -> Array:
    """Return the cell of each pixel, (H, W) int32."""
    red, green, blue = np.moveaxis(frame[:, :, :3] >> (8 - _BITS), 2, 0).astype(np.int32)
    return (red << (2 * _BITS)) | (green << _BITS) | blue


def _centres(cells: Array) -> Array:
    """Return the centres of cells, (K, 3) float32, in 0..255."""
    side, least = 1 << (8 - _BITS), (1 << _BITS) - 1
    levels = np.stack([cells >> (2 * _BITS), (cells >> _BITS) & least, cells & least], axis=1)
    return ((levels + 0.5) * side - 0.5).astype(np.float32)


def _nearest(points: Array, colours: Array) -> Array:
    """Return the index of the colour nearest to each point, (K,); both are (·, 3) float32."""
    nearest = np.empty(len(points), np.intp)
    squares = np.square(colours).sum(axis=1)
    for first in range(0, len(points), _BLOCK):
        part = slice(first, first + _BLOCK)
        # |p - c|² less |p|², which is the same for all colours.
        np.argmin(squares - points[part] @ (2 * colours.T), axis=1, out=nearest[part])
    return nearest


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
