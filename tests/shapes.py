"""Scenes of every primitive in the table, built from its row there, so that a new one is tested at once."""

import numpy as np

from artpipe import Canvas, Scene
from artpipe.renderers.primitives.base import PAINT, Look
from artpipe.renderers.primitives.table import PRIMITIVES

MIXED = "mixed"
"""Rows that alternate between all primitives."""

KINDS = [(name, edge) for name, primitive in PRIMITIVES.items() for edge in primitive.falloffs] + [(MIXED, "linear")]
"""What scenes are made of: a primitive or a mix, and a falloff that it can be drawn with."""

KIND_IDS = [f"{name} {edge}" for name, edge in KINDS]
NAMES = [*PRIMITIVES, MIXED]


def scene_of(canvas, primitive, columns):
    """A scene of one primitive from its columns by name; `colour` is (N, 3)."""
    count = len(columns["opacity"])
    plain = Scene(np.ones((count, PRIMITIVES[primitive].width)), canvas, kinds=primitive)
    return plain.with_columns(**columns)


def made(make, primitive):
    """`make(name)` for this primitive; for the mix, rows that alternate between those of all."""
    return make(primitive) if primitive != MIXED else interleaved([make(name) for name in PRIMITIVES])


def interleaved(scenes):
    """A scene whose row i is row i of the scene i modulo their count; all are as long as the first."""
    count = scenes[0].count
    stacked = Scene.stacked([scene.select(np.arange(k, count, len(scenes))) for k, scene in enumerate(scenes)])
    order = stacked.select(np.argsort(stacked.ids))
    return Scene(order.rows, order.canvas, kinds=order.kinds)


def softness_of(canvas, radius, rim):
    """The softness that gives a rim this slope, whatever the falloff.

    r² - d² is about 2 r (r - d), so that r times the pixels gives the logistic falloff the slope of the linear one.
    """
    return np.asarray(rim) * (1.0 if canvas.edge == "linear" else np.maximum(radius, 0.5))


def _paint(rng, canvas, count, radius, rim, opacity):
    radius, rim = np.broadcast_to(radius, count), np.broadcast_to(rim, count)
    return {
        "colour": rng.uniform(0, 1, (count, 3)),
        "opacity": rng.uniform(0.2, 1, count) if opacity is None else np.broadcast_to(opacity, count),
        "softness": softness_of(canvas, radius, rim),
    }


def seeded(rng, canvas, primitive, x, y, radius, rim, opacity=None):
    """Shapes around these points, as large as circles of these radii, drawn out in any direction.

    Args:
        rng: the generator.
        canvas: what they are on.
        primitive: its name.
        x: (N,).
        y: (N,).
        radius: (N,) or one.
        rim: (N,) or one: softness, pixels.
        opacity: (N,) or one; any from 0.2 to 1 if not given.
    """
    count = len(x)
    radius = np.broadcast_to(radius, count).astype(float)
    coherence, angle = rng.uniform(0, 1, count), rng.uniform(0, np.pi, count)
    shape = PRIMITIVES[primitive].seed(np.asarray(x, float), np.asarray(y, float), radius, coherence, angle, rng)
    names = [column.name for column in PRIMITIVES[primitive].columns]
    paint = _paint(rng, canvas, count, radius, rim, opacity)
    return scene_of(canvas, primitive, paint | dict(zip(names, shape, strict=True)))


def crowd(
    rng,
    count,
    width,
    height,
    edge="linear",
    primitive="circle",
    *,
    radius=(0.5, 20.0),
    softness=(0.5, 4.0),
    opacity=(0.1, 1.0),
    background=(0.2, 0.4, 0.6),
):
    """A random scene of a primitive, or of the mix; ranges of radius and softness in pixels, see `seeded`."""
    x, y = rng.uniform(-5, width + 5, count), rng.uniform(-5, height + 5, count)
    radii, rims, opacities = rng.uniform(*radius, count), rng.uniform(*softness, count), rng.uniform(*opacity, count)
    canvas = Canvas(width, height, background, edge)
    return made(lambda name: seeded(rng, canvas, name, x, y, radii, rims, opacities), primitive)


def wild(rng, canvas, primitive, count, rim=0.5, opacity=None):
    """Shapes from anywhere within the limits of a fit, each column for itself: thin, tiny, huge, inside out."""
    shape = {}
    for column in PRIMITIVES[primitive].columns:
        low, high = column.limits(canvas.width, canvas.height, Look(softness=(0.5, 1e5)))
        if column.unit == "length":
            shape[column.name] = np.exp(rng.uniform(np.log(low), np.log(high), count))
        else:
            shape[column.name] = rng.uniform(low, high, count)
    plain = scene_of(canvas, primitive, _paint(rng, canvas, count, 1.0, rim, opacity) | shape)
    return plain.with_columns(softness=softness_of(canvas, plain.thickness(), rim))


def degenerate(rng, canvas, primitive, count):
    """Shapes without an area or a direction: all positions across the same, or all down, or both; no shares."""
    shape = wild(rng, canvas, primitive, count)
    columns = {}
    for unit, which in (("x", (0, 2)), ("y", (1, 2))):
        names = [column.name for column in PRIMITIVES[primitive].columns if column.unit == unit]
        flat = np.isin(np.arange(count) % 3, which)
        columns |= {name: np.where(flat, shape.column(names[0]), shape.column(name)) for name in names}
    columns |= {column.name: 0.0 for column in PRIMITIVES[primitive].columns if column.unit == "share"}
    return shape.with_columns(**columns)


def extents(scene):
    """(N,) half the diagonal of each shape's box without its rim, pixels."""
    found = np.zeros(scene.count)
    for primitive, index, shape in scene.parts():
        left, top, right, bottom = primitive.bounds(shape, np.zeros(len(index)))
        found[index] = np.hypot(right - left, bottom - top) / 2
    return found


def place_of(name, primitive="circle"):
    """The index of a column in rows of a primitive."""
    return [column.name for column in (*PAINT, *PRIMITIVES[primitive].columns)].index(name)


def column_of(values, name, primitive="circle"):
    """(N,) the values of one column, of values by rows such as a gradient."""
    return values[:, place_of(name, primitive)]


def limits_of(primitive="circle", **narrower):
    """(2, P) float32: lower and upper limits of each column of a scene, or those given for it."""
    columns = (*PAINT, *PRIMITIVES[primitive].columns)
    low, high = np.float64([narrower.get(column.name, (column.low, column.high)) for column in columns]).T
    least, most = np.float32(low), np.float32(high)  # the nearest numbers, which may be outside
    least = np.where(least < low, np.nextafter(least, np.float32(np.inf)), least)
    return np.stack([least, np.where(most > high, np.nextafter(most, np.float32(-np.inf)), most)])
