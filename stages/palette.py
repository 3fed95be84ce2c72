"""Few colours: every row has a colour of a palette, from the first batch on.

Colours are then no parameters of the optimiser. After each seeding and relocation, rows take the colour of the palette
that lowers the loss most, given all others, and the palette, unless it is given, becomes the best one for these rows.

The picture is linear in the colours: changing row i by δ changes the loss by 2 δ·G_i + |δ|² W_i (`renderers/fits/
colours.py`), and the best palette solves a linear least-squares problem. Both are exact for the mean squared error;
for other losses they follow from its local model.

Trials on seven paintings, 2048 circles and 8 colours: 1.0 to 2.3 dB less than free colours; quantising the colours of
a free fit loses 4 to 10 dB. Choosing again while settling changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from artpipe.renderers import Scene
from artpipe.renderers.losses.model import LocalModel

if TYPE_CHECKING:
    from .base import Run

Array = np.ndarray[Any, Any]

# Choices of colours after each batch of new rows (trials: 8 gain 0.1 dB more, at four times the work).
SWEEPS = 2
# Rows that may change in a sweep; all at once would overshoot, since they overlap.
SHARE = 0.5
# Factor on the curvature, likewise.
DAMPING = 2.0
# Lower limit of the opacity of new rows: with few colours, faint rows make the tones between (0.3 to 0.5 dB).
OPACITY_MIN = 0.08
# The largest number of values of the least-squares problem; of larger pictures it takes every second, third ... pixel.
VALUES_MAX = 1 << 23
# Rounds of its solver, and the change of a colour at which it stops before.
ROUNDS, CHANGE_MIN = 60, 1e-4
# Pixels that `clusters` looks at.
PIXELS_MAX = 20_000


@dataclass(frozen=True)
class Palette:
    """The colours that rows may have.

    Attributes:
        count: number of colours, at most 256.
        colours: sRGB in 0..1; empty if the run finds the best ones, in steps of 1/255.
        background: whether the background has one of them, too.
    """

    count: int
    colours: tuple[tuple[float, float, float], ...] = ()
    background: bool = True

    def recoloured(self, run: Run, scene: Scene, before: Scene) -> Scene:
        """The scene with every row in a colour of the palette.

        Args:
            run: of the scene.
            scene: rows of any colours.
            before: the scene before new rows; its colours are the palette so far.
        """
        palette = self._so_far(run, before)
        rng = np.random.default_rng(run.step)
        labels = nearest(scene.colour, palette)
        scene = self._painted(scene, palette, labels)
        curvature = None
        for _ in range(SWEEPS):
            model = run.fit.model(scene)
            if curvature is None:
                curvature = run.fit.colour_curvature(scene, model, rng)
            best = _best(palette, labels, run.fit.colour_slope(scene, model), DAMPING * curvature)
            labels = np.where(rng.random(len(labels)) < SHARE, best, labels)
            scene = self._painted(scene, palette, labels)
            if not self.colours:
                label = int(nearest([scene.canvas.background], palette)[0]) if self.background else None
                shares = run.fit.paint_shares(scene, labels, len(palette), label)
                palette = best_colours(run.fit.model(scene), shares, palette)
                scene = self._painted(scene, palette, labels)
        return scene

    def first(self, run: Run) -> Array:
        """The palette before the first row, (K, 3): the given colours, or those of the target."""
        if self.colours:
            return np.array(self.colours)
        return run.typical_colours(self.count)

    def _so_far(self, run: Run, before: Scene) -> Array:
        """The palette, (K, 3): colours that no row has any more are replaced by the most different ones of `first`."""
        found = np.unique(before.colour.astype(np.float64), axis=0)
        if self.colours or not 0 < len(found) <= self.count:
            return self.first(run)
        if len(found) == self.count:
            return found
        fresh = self.first(run)
        distance = np.square(fresh[:, None] - found).sum(axis=2).min(axis=1)
        return np.concatenate([found, fresh[np.argsort(-distance, kind="stable")[: self.count - len(found)]]])

    def _painted(self, scene: Scene, palette: Array, labels: Array) -> Scene:
        scene = scene.with_columns(colour=palette[labels].astype(np.float32))
        if not self.background:
            return scene
        red, green, blue = palette[nearest([scene.canvas.background], palette)[0]].tolist()
        return scene.with_background((red, green, blue))


def _best(palette: Array, labels: Array, slope: Array, curvature: Array) -> Array:
    """The label that lowers the loss of each row alone most, (N,)."""
    colours = palette[labels]
    linear = slope @ palette.T - np.einsum("nc,nc->n", slope, colours)[:, None]
    return np.asarray((2 * linear + curvature[:, None] * _squares(colours, palette)).argmin(axis=1))


def best_colours(model: LocalModel, shares: Array, palette: Array) -> Array:
    """The palette, (K, 3), that lowers the model's loss most, in steps of 1/255.

    Args:
        model: the local model of the loss around the picture in the palette so far.
        shares: (K, H, W), the share of each colour in each pixel.
        palette: (K, 3), so far.
    """
    stride = int(np.ceil(np.sqrt(shares.size / VALUES_MAX)))
    thin = (slice(None, None, stride),) * 2
    flat = shares[(slice(None), *thin)].reshape(len(palette), -1).astype(np.float64)
    weighted = flat * model.shares[thin].ravel()
    error = (model.target - model.image)[thin].reshape(-1, 3).astype(np.float64)
    normal = weighted @ flat.T
    wanted = weighted @ error + normal @ palette
    # Gauss-Seidel within 0..1, with a slight pull to the colours so far.
    pull = 1e-6 * np.trace(normal) / len(palette) + 1e-12
    found = palette.copy()
    for _ in range(ROUNDS):
        last = found.copy()
        for k in range(len(found)):
            rest = wanted[k] - normal[k] @ found + normal[k, k] * found[k] + pull * palette[k]
            found[k] = np.clip(rest / (normal[k, k] + pull), 0, 1)
        if np.abs(found - last).max() < CHANGE_MIN:
            break
    return np.round(found * 255) / 255


def nearest(colours: Any, palette: Array) -> Array:
    """The index of the nearest colour of a palette, (N,), for colours, (N, 3)."""
    return np.asarray(_squares(np.asarray(colours, np.float64), palette).argmin(axis=1))


def _squares(colours: Array, palette: Array) -> Array:
    """Squared distances, (N, K)."""
    lengths = np.square(palette).sum(axis=1) + np.square(colours).sum(axis=1)[:, None]
    return np.asarray(lengths - 2 * colours @ palette.T)


def clusters(colours: Array, weights: Array, count: int) -> Array:
    """The centres of weighted colours by k-means, (count, 3) in steps of 1/255.

    Args:
        colours: (N, 3).
        weights: (N,), not negative.
        count: number of centres.

    Source: Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", 2007.
    """
    rng = np.random.default_rng(0)
    if len(colours) > PIXELS_MAX:
        some = rng.choice(len(colours), PIXELS_MAX, replace=False)
        colours, weights = colours[some], weights[some]
    points, weights = np.asarray(colours, np.float64), np.asarray(weights, np.float64) + 1e-12
    centres = np.empty((count, 3))
    far = np.ones(len(points))
    for k in range(count):
        chance = np.cumsum(far * weights)
        drawn = np.searchsorted(chance, rng.random() * chance[-1], side="right")
        centres[k] = points[min(int(drawn), len(points) - 1)]
        own = np.square(points - centres[k]).sum(axis=1)
        far = own if k == 0 else np.minimum(far, own)
    for _ in range(20):
        labels = nearest(points, centres)
        total = np.bincount(labels, weights, count)
        for channel in range(3):
            sums = np.bincount(labels, weights * points[:, channel], count)
            centres[:, channel] = np.where(total > 0, sums / np.maximum(total, 1e-300), centres[:, channel])
    return np.round(np.clip(centres, 0, 1) * 255) / 255
