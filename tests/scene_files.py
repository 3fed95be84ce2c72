"""Scenes of every kind of row, and what their files hold, for the tests of files."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import strategies as st

from artpipe import Canvas, InputError, Scene, load_scene
from artpipe.renderers.canvas import SIDE_MAX
from artpipe.renderers.primitives.falloff import FALLOFFS
from artpipe.renderers.primitives.table import PRIMITIVES
from artpipe.renderers.row_layout import columns_of, stacked_rows

ENDINGS = (".json", ".npz")
NAMES = {name: [column.name for column in columns_of(primitive)] for name, primitive in PRIMITIVES.items()}
PAINT = [1.0, 0.5, 0.0, 0.75, 0.5]


def plain_row(kind):
    """The numbers of a row of this kind."""
    return [*PAINT, *PRIMITIVES[kind].example]


def edges_of(kind):
    """The edges that such rows can have."""
    return PRIMITIVES[kind].falloffs


def scene_of(rng, kinds, count, canvas=None):
    """A scene of `count` random rows of each kind, well within the limits, in random order, with gaps in the ids."""
    canvas = canvas or Canvas(40, 30, (0.25, 0.5, 0.75))
    parts = []
    for kind in kinds:
        x, y = rng.uniform(0, canvas.width, count), rng.uniform(0, canvas.height, count)
        size, coherence, angle = rng.uniform(1, 9, count), rng.uniform(0, 1, count), rng.uniform(0, 3, count)
        shape = PRIMITIVES[kind].seed(x, y, size, coherence, angle, rng)
        parts.append(np.column_stack([rng.uniform(0.1, 1, (count, 5)), *shape]).astype(np.float32))
    codes = np.repeat([PRIMITIVES[kind].code for kind in kinds], count)
    ids = rng.permutation(3 * len(codes))[: len(codes)]
    scene = Scene(stacked_rows(parts), canvas, ids=ids, kinds=codes, next_id=5 * len(codes))
    return scene.select(rng.permutation(scene.count))


def float32(low, high):
    """Any float32 between two, subnormal ones and -0.0 included."""
    return st.floats(*(float(value) for value in within(low, high)), width=32)


def within(low, high):
    """The least and the most float32 that lie between two numbers."""
    least, most = np.float32(low), np.float32(high)
    least = np.nextafter(least, np.float32(np.inf)) if float(least) < low else least
    most = np.nextafter(most, np.float32(-np.inf)) if float(most) > high else most
    return least, most


@st.composite
def scenes(draw, most=6):
    """Any scene: of whatever kinds its edge allows, with any numbers within the limits."""
    share = float32(0, 1)
    edge = draw(st.sampled_from(list(FALLOFFS)))
    side = st.integers(1, SIDE_MAX)
    canvas = Canvas(draw(side), draw(side), draw(st.tuples(share, share, share)), edge, draw(st.booleans()))
    names = st.sampled_from([name for name in PRIMITIVES if edge in edges_of(name)])
    kinds = draw(st.lists(names, max_size=most))
    rows = [np.zeros((0, 1), np.float32)]
    for kind in kinds:
        columns = columns_of(PRIMITIVES[kind])
        rows.append(np.array([[draw(float32(column.low, column.high)) for column in columns]], np.float32))
    ids = draw(st.lists(st.integers(0, 2**62), min_size=len(kinds), max_size=len(kinds), unique=True))
    next_id = max(ids, default=-1) + 1 + draw(st.integers(0, 2**60))
    codes = np.array([PRIMITIVES[kind].code for kind in kinds], np.int64)
    return Scene(stacked_rows(rows), canvas, ids=np.array(ids, np.int64), kinds=codes, next_id=next_id)


def good():
    """The content of the file of a scene with two rows of each kind."""
    kinds = [*reversed(PRIMITIVES), *PRIMITIVES]
    return {
        "format": "artpipe-scene",
        "version": 2,
        "width": 8,
        "height": 6,
        "background": [0.25, 0.5, 1.0],
        "edge": "linear",
        "order": "back to front",
        "next_id": 99,
        "kinds": {kind: list(names) for kind, names in NAMES.items()},
        "ids": [3 * k + 1 for k in range(len(kinds))],
        "rows": [[kind, *plain_row(kind)] for kind in kinds],
    }


def good_scene():
    """The scene of `good`."""
    content = good()
    kinds = [PRIMITIVES[row[0]].code for row in content["rows"]]
    rows = stacked_rows([np.array([row[1:]], np.float32) for row in content["rows"]])
    return Scene(rows, Canvas(8, 6, (0.25, 0.5, 1)), ids=content["ids"], kinds=kinds, next_id=content["next_id"])


def written(folder, content):
    """The path of a JSON file with this text or value."""
    path = folder / "scene.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def refusal(path):
    """The one line that refuses a file, without any warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError) as caught:
            load_scene(path)
    message = str(caught.value)
    assert "\n" not in message and 5 < len(message) < 600
    return message


def loads(path):
    """Whether a file loads; fails on any error other than a refusal, and on warnings."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return isinstance(load_scene(path), Scene)
    except InputError as error:
        assert "\n" not in str(error)
        return False
