"""Compact scenes: integers on lattices, as differences to the same row in the scene before, deflated."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from artpipe.renderers import Scene
from artpipe.renderers.primitives.base import PAINT, Column, Primitive
from artpipe.renderers.primitives.table import PRIMITIVES
from artpipe.renderers.row_layout import columns_of, width_of

Array = np.ndarray[Any, Any]

# Shorter lengths are written as this one, since the logarithm has no lower bound.
LENGTH_LEAST = 1e-3


@dataclass(frozen=True)
class Lattice:
    """The quantisation of one column.

    Attributes:
        per_unit: integers per pixel; per octave of a logarithm to base 2; per 1 of anything else.
        is_log: whether the logarithm to base 2 is written.
        coarse: bits dropped in all key frames but the last.
    """

    per_unit: int
    is_log: bool
    coarse: int


# The last key frame is exact to 1/512 px of a position, 0.006 % of a length, and half an 8-bit level of a colour; the
# others to 1/16 px, 1.6 % of a length, 4.5 % of the softness, and 6 bits, which is invisible in motion.
POSITION, LENGTH, COLOUR = Lattice(256, False, 5), Lattice(8192, True, 8), Lattice(255, False, 2)
LATTICES: dict[str, Lattice] = {
    "red": COLOUR,
    "green": COLOUR,
    "blue": COLOUR,
    "opacity": Lattice(4095, False, 6),
    "softness": Lattice(8192, True, 10),
    "x": POSITION,
    "y": POSITION,
    "length": LENGTH,
    "log length": Lattice(8192, False, 8),
    "share": Lattice(8192, False, 8),
}
"""Name of a paint column, or unit of a shape column, to its lattice."""


def lattice_of(column: Column) -> Lattice:
    """Return the lattice of a column."""
    return LATTICES[column.name if column in PAINT else column.unit]


def primitives_in(scenes: Sequence[Scene]) -> tuple[Primitive, ...]:
    """Return the primitives in any of the scenes, in the order of the table."""
    held = {primitive for scene in scenes for primitive in scene.primitives}
    return tuple(primitive for primitive in PRIMITIVES.values() if primitive in held)


def packed(scenes: Sequence[Scene]) -> bytes:
    """Return all scenes as planes of bytes, deflated (deflate-raw in browsers).

    A scene is a plane of links, a plane of kinds, a plane for each column of `PAINT`, and then, for each primitive of
    `primitives_in`, a plane for each of its shape columns with the rows of that primitive only. A plane holds a signed
    integer for each row in painting order (see `_plane`).

    A link names the row of the preceding scene with the same id and kind: 0 for none, 1 for the row after the one
    linked last (initially row 0), 2 for the next, -1 for the one before, and so on. Columns hold differences to the
    linked row, or to 0. A kind is an index into `primitives_in`, and 0 in linked rows.
    """
    primitives = primitives_in(scenes)
    width = width_of(primitives)
    planes = []
    before, numbers_before = None, np.zeros((0, width), np.int64)
    for index, scene in enumerate(scenes):
        numbers, dropped = _numbers(scene, width)
        if index == len(scenes) - 1:
            dropped = np.zeros_like(dropped)
        numbers = (numbers + ((1 << dropped) >> 1)) >> dropped
        linked, origins = _origins(before, scene)
        skipped = origins - np.concatenate([[0], origins[:-1] + 1]) if len(origins) else origins
        links = np.zeros(scene.count, np.int64)
        links[linked] = np.where(skipped >= 0, skipped + 1, skipped)
        changes = numbers.copy()
        changes[linked] -= numbers_before[origins] >> dropped[linked]
        codes = np.array([primitive.code for primitive in primitives])
        kinds = np.argmax(scene.kinds[:, None] == codes, axis=1) if scene.count else links
        planes += [links, np.where(links == 0, kinds, 0), *changes[:, : len(PAINT)].T]
        for k, primitive in enumerate(primitives):
            planes += [*changes[kinds == k, len(PAINT) : primitive.width].T]
        before, numbers_before = scene, numbers << dropped
    return _deflated(b"".join(map(_plane, planes)))


def _numbers(scene: Scene, width: int) -> tuple[Array, Array]:
    """Return the rows as integers and the bits that may be dropped, (N, width) int64 each."""
    numbers, coarse = np.zeros((2, scene.count, width), np.int64)
    for primitive, index, _ in scene.parts():
        for k, column in enumerate(columns_of(primitive)):
            lattice, values = lattice_of(column), scene.rows[index, k].astype(np.float64)
            if lattice.is_log:
                values = np.log2(np.maximum(values, LENGTH_LEAST))
            numbers[index, k] = np.rint(values * lattice.per_unit)
            coarse[index, k] = lattice.coarse
    return numbers, coarse


def _origins(before: Scene | None, after: Scene) -> tuple[Array, Array]:
    """Return the indices of shared rows in `after` and in `before`, ordered as in `after`."""
    if before is None:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    _, in_before, in_after = np.intersect1d(before.ids, after.ids, assume_unique=True, return_indices=True)
    order = np.argsort(in_after)
    in_before, in_after = in_before[order], in_after[order]
    same = before.kinds[in_before] == after.kinds[in_after]
    return in_after[same], in_before[same]


def _plane(values: Array) -> bytes:
    """Return (N,) signed integers as 4 N bytes: the lowest bytes of all, then the next.

    Zigzag coding (0, -1, 1, -2 become 0, 1, 2, 3) leaves the high bytes of small integers empty, and bytes of equal
    significance compress best side by side.
    """
    zigzag = ((values << 1) ^ (values >> 63)).astype("<u4")
    return zigzag.view(np.uint8).reshape(-1, 4).T.tobytes()


def _deflated(data: bytes) -> bytes:
    # For data of small integers: 6 % fewer bytes, and a third of the time of level 9.
    packer = zlib.compressobj(level=6, wbits=-15, memLevel=9, strategy=zlib.Z_FILTERED)
    return packer.compress(data) + packer.flush()
