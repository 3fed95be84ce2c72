"""Scenes as few bytes: whole numbers on lattices, each counted from the same row's in the scene before, deflated."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from artpipe.renderers import Scene
from artpipe.renderers.primitives.base import PAINT, Column, Primitive
from artpipe.renderers.primitives.table import PRIMITIVES
from artpipe.renderers.scene import columns_of, width_of

Array = np.ndarray[Any, Any]

# Lengths below this are written as if they were this long: their logarithm has no end.
LENGTH_LEAST = 1e-3


@dataclass(frozen=True)
class Lattice:
    """How one column is written as whole numbers.

    Attributes:
        per_unit: whole numbers a pixel; of a logarithm to base 2, an octave; of anything else, 1.
        is_log: whether the logarithm to base 2 is written.
        coarse: bits that key frames before the last leave out.
    """

    per_unit: int
    is_log: bool
    coarse: int


# The last key frame is within 1/512 px in place, 0.006 % in length, and half a level of 8 bits in colour. Those before
# it are within 1/16 px, 1.6 % of a length and 4.5 % of the softness, and 6 bits: nothing that shows in passing.
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
"""Name of a column of the paint, or unit of a column of a shape, to its lattice."""


def lattice_of(column: Column) -> Lattice:
    """The lattice of a column."""
    return LATTICES[column.name if column in PAINT else column.unit]


def primitives_in(scenes: Sequence[Scene]) -> tuple[Primitive, ...]:
    """The primitives that any of the scenes holds, in the order of the table."""
    held = {primitive for scene in scenes for primitive in scene.primitives}
    return tuple(primitive for primitive in PRIMITIVES.values() if primitive in held)


def packed(scenes: Sequence[Scene]) -> bytes:
    """All scenes as planes of bytes, deflated (what browsers call deflate-raw).

    A scene is a plane of links, a plane of kinds, a plane for each column of `PAINT`, and then, primitive by primitive
    of `primitives_in`, a plane for each column of its shape that holds the rows of this primitive alone. A plane is a
    signed number for each row in painting order (see `_plane`).

    A link says which row of the scene before has the same id and kind: 0 for none, 1 for the one after the row that
    was linked last (at first: row 0), 2 for the one after that, -1 for the one before it, and so on. The numbers that
    follow are counted from those of the linked row, or from 0. A kind is a position in `primitives_in`, or 0 in a row
    that is linked.
    """
    primitives = primitives_in(scenes)
    width = width_of(primitives)
    planes = []
    before, numbers_before = None, np.zeros((0, width), np.int64)
    for index, scene in enumerate(scenes):
        numbers, left_out = _numbers(scene, width)
        if index == len(scenes) - 1:
            left_out = np.zeros_like(left_out)
        numbers = (numbers + ((1 << left_out) >> 1)) >> left_out
        linked, origins = _origins(before, scene)
        passed = origins - np.concatenate([[0], origins[:-1] + 1]) if len(origins) else origins
        links = np.zeros(scene.count, np.int64)
        links[linked] = np.where(passed >= 0, passed + 1, passed)
        changes = numbers.copy()
        changes[linked] -= numbers_before[origins] >> left_out[linked]
        codes = np.array([primitive.code for primitive in primitives])
        kinds = np.argmax(scene.kinds[:, None] == codes, axis=1) if scene.count else links
        planes += [links, np.where(links == 0, kinds, 0), *changes[:, : len(PAINT)].T]
        for k, primitive in enumerate(primitives):
            planes += [*changes[kinds == k, len(PAINT) : primitive.width].T]
        before, numbers_before = scene, numbers << left_out
    return _deflated(b"".join(map(_plane, planes)))


def _numbers(scene: Scene, width: int) -> tuple[Array, Array]:
    """(N, width) int64 each: the rows as whole numbers, and the bits that they may leave out."""
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
    """Positions of the rows that both scenes hold, in the order of `after`: where in `after`, where in `before`."""
    if before is None:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    _, in_before, in_after = np.intersect1d(before.ids, after.ids, assume_unique=True, return_indices=True)
    order = np.argsort(in_after)
    in_before, in_after = in_before[order], in_after[order]
    same = before.kinds[in_before] == after.kinds[in_after]
    return in_after[same], in_before[same]


def _plane(values: Array) -> bytes:
    """(N,) signed numbers as 4 N bytes: the lowest byte of each, then the next ones.

    Small ones of either sign have empty high bytes (0, -1, 1, -2 become 0, 1, 2, 3), and bytes of one kind side by
    side pack best.
    """
    zigzag = ((values << 1) ^ (values >> 63)).astype("<u4")
    return zigzag.view(np.uint8).reshape(-1, 4).T.tobytes()


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(level=9, wbits=-15, memLevel=9)
    return packer.compress(data) + packer.flush()
