"""The loops over the pixels that an entry touches, made from the functions of its shape.

A shape is a module of inlined functions on vectors of pixels:

- `constants(rows, i, left, top)`: a tuple of what `cover` needs of row i, relative to (left, top).
- `cover(constants, px, py)`: the coverage m of pixels with these centres, and a tuple of what `add` needs of them.
- `no_sums()`: a tuple of zeros. `add(sums, constants, m, kept, da)`: the sums with the part of pixels with da = dL/da.
- `finish(rows, i, sums, red, green, blue, opacity, results, slot)`: stores the sums, and those of the paint.
- `KEPT`: the number of planes in which m and the rest are kept for the backward pass; 0 if it calls `cover` again,
  which is cheaper for all but triangles.

Every loop is one pass: short loops end with a mispredicted branch, and for small shapes several loops an entry took
longer than their work.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import njit

from ..simd import load, spread, store
from .layout import BLUE, DOT_BENEATH, GREEN, LANES, PX, PY, RED, TRANSMITTANCE, ZERO, A, B, G, R


class Passes(NamedTuple):
    """The compiled loops of a shape."""

    composite: Any
    pull: Any
    fill: Any


def passes_of(shape: Any, inline: str = "never") -> Passes:
    """The loops for a shape."""
    constants, cover, no_sums, add, finish = shape.constants, shape.cover, shape.no_sums, shape.add, shape.finish
    keeps = shape.KEPT > 0

    @njit(nogil=True, error_model="numpy", inline=inline)
    def composite(scratch, rows, i, left, top, first, last, above, size):
        """Paints row i beneath what is painted; keeps the transmittance above it."""
        c = constants(rows, i, left, top)
        opacity = spread(rows[i, A])
        red, green, blue = spread(rows[i, R]), spread(rows[i, G]), spread(rows[i, B])
        px = load(scratch, PX)
        for p in range(first, last, LANES):
            m, kept = cover(c, px, load(scratch, PY + p))
            transmittance = load(scratch, TRANSMITTANCE + p)
            store(scratch, above + p, transmittance)
            if keeps:
                store(scratch, above + size + p, m)
                store(scratch, above + size + size + p, kept[0])
                store(scratch, above + size + size + size + p, kept[1])
                store(scratch, above + size + size + size + size + p, kept[2])
            w = transmittance * (m * opacity)
            store(scratch, RED + p, load(scratch, RED + p) + w * red)
            store(scratch, GREEN + p, load(scratch, GREEN + p) + w * green)
            store(scratch, BLUE + p, load(scratch, BLUE + p) + w * blue)
            store(scratch, TRANSMITTANCE + p, transmittance - w)

    @njit(nogil=True, error_model="numpy", inline=inline)
    def pull(scratch, rows, i, left, top, first, last, above, size, results, slot):
        """The backward pass of row i, without division by the transmittance."""
        c = constants(rows, i, left, top)
        opacity = spread(rows[i, A])
        red, green, blue = spread(rows[i, R]), spread(rows[i, G]), spread(rows[i, B])
        by_red = by_green = by_blue = by_opacity = spread(ZERO)
        sums = no_sums()
        px = load(scratch, PX)
        for p in range(first, last, LANES):
            if keeps:
                m = load(scratch, above + size + p)
                kept = (
                    load(scratch, above + size + size + p),
                    load(scratch, above + size + size + size + p),
                    load(scratch, above + size + size + size + size + p),
                )
            else:
                m, kept = cover(c, px, load(scratch, PY + p))
            transmittance = load(scratch, above + p)
            beneath = load(scratch, DOT_BENEATH + p)
            gr, gg, gb = load(scratch, RED + p), load(scratch, GREEN + p), load(scratch, BLUE + p)
            q = gr * red + (gg * green + (gb * blue - beneath))
            da = transmittance * q
            a = m * opacity
            store(scratch, DOT_BENEATH + p, beneath + a * q)
            w = transmittance * a
            by_red = by_red + w * gr
            by_green = by_green + w * gg
            by_blue = by_blue + w * gb
            by_opacity = by_opacity + m * da
            sums = add(sums, c, m, kept, da)
        finish(rows, i, sums, by_red, by_green, by_blue, by_opacity, results, slot)

    @njit(nogil=True, error_model="numpy")
    def fill(buffer, px, py, covered, first, last, rows, i, left, top):
        """Fills the plane of coverages at the pixels first..last, whose centres are in the planes px and py."""
        c = constants(rows, i, left, top)
        for p in range(first, last, LANES):
            store(buffer, covered + p, cover(c, load(buffer, px + p), load(buffer, py + p))[0])

    return Passes(composite, pull, fill)
