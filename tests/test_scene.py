import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import column_of, crowd, limits_of, place_of

from artpipe import Canvas, InputError, Scene
from artpipe.renderers.kernels import reference
from artpipe.renderers.primitives.base import PAINT
from artpipe.renderers.primitives.table import PRIMITIVES

CANVAS = Canvas(8, 6)
ONE = Scene.circles(CANVAS, x=[4], y=[3], radius=[2], colour=[[1, 0.5, 0]], opacity=0.75, softness=0.5)
ROW = ONE.rows[0].tolist()


def scene_of(count, primitive="circle"):
    if primitive == "circle":
        return Scene(np.tile(ONE.rows, (count, 1)), CANVAS)
    return crowd(np.random.default_rng(4), count, 8, 6, primitive=primitive, radius=(1, 3))


def test_a_canvas_refuses_what_it_cannot_be():
    for options, message in (
        *(({"width": side}, "canvas width is .*1 to 65536") for side in (0, 65537, 2.5, np.nan, "8", None)),
        *(({"background": colour}, "three sRGB values") for colour in ((0, 0, 1.01), (-0.1, 0, 0), (np.nan, 0, 0))),
        ({"edge": "soft"}, "edge 'soft' is unknown; choose one of linear, logistic"),
        *(({"transparent": value}, "transparent is .*True or False") for value in (None, "yes", 2, 0.0)),
    ):
        with pytest.raises(InputError, match=message):
            Canvas(**{"width": 8, "height": 8, **options})


def test_a_canvas_is_opaque_unless_said_and_stays_transparent_when_the_scene_changes():
    assert Canvas(4, 4).transparent is False and Canvas(4, 4, transparent=np.True_).transparent is True
    scene = Scene.circles(Canvas(4, 4, transparent=True), x=[1], y=[2], radius=[1], colour=[[1, 0, 0]])
    changed = (scene.scaled(8), scene.append(scene.rows), scene.select([0]), scene.with_background((0.0, 0.0, 0.0)))
    assert all(other.canvas.transparent for other in changed)
    assert not scene.same_as(Scene(scene.rows, Canvas(4, 4)))


def test_a_canvas_keeps_its_background_as_the_nearest_float32():
    assert Canvas(8, 8, (0.1, 0.2, 0.3)).background == tuple(np.float32([0.1, 0.2, 0.3]).astype(float))


def test_rows_ids_and_kinds_that_do_not_fit_are_refused_with_what_they_need():
    for primitive in PRIMITIVES:
        rows = scene_of(2, primitive).rows
        names = ", ".join(column.name for column in (*PAINT, *PRIMITIVES[primitive].columns))
        with pytest.raises(InputError, match=f"a {primitive} needs {rows.shape[1]} columns: {names}"):
            Scene(rows[:, :-1], CANVAS, kinds=primitive)
    for arguments, message in (
        ({"ids": [0]}, r"ids have shape \(1,\); needs one per row, \(2,\)"),
        ({"kinds": [0, 77]}, r"kinds has codes \[0, 77\]; known are 0 \(circle\), 1 \(ellipse\)"),
        ({"ids": [3, 7], "next_id": 7}, "next_id is 7; needs at least 8"),
    ):
        with pytest.raises(InputError, match=message):
            Scene(scene_of(2).rows, CANVAS, **arguments)


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_a_value_out_of_range_is_refused_by_row_and_column(primitive):
    scene = scene_of(3, primitive)
    for column in (*PAINT, *PRIMITIVES[primitive].columns):
        low, high = column_of(limits_of(primitive), column.name, primitive)
        held, place = scene.rows.copy(), place_of(column.name, primitive)
        for value in (np.nan, np.inf, -np.inf):
            held[1, place] = value
            with pytest.raises(InputError, match=f"row 1 has {value} in its .*; needs a finite number"):
                scene.with_rows(held)
        for value, past in ((low, -2e-3 * max(1, abs(low))), (high, 2e-3 * max(1, abs(high)))):
            held[1, place] = value  # a limit is inside
            scene.with_rows(held)
            held[1, place] = value + past
            with pytest.raises(InputError, match=f"row 1 has {column.name} .*; needs .* to "):
                scene.with_rows(held)


@given(st.lists(st.integers(-2, 5), min_size=3, max_size=3))
def test_ids_are_taken_if_and_only_if_they_are_unique_and_not_negative(ids):
    if len(set(ids)) == 3 and min(ids) >= 0:
        assert Scene(scene_of(3).rows, CANVAS, ids=ids).next_id == max(ids) + 1
    else:
        with pytest.raises(InputError, match="ids repeat or are negative"):
            Scene(scene_of(3).rows, CANVAS, ids=ids)


# --- from columns ---

PAINTED = {"colour": [[1, 0, 0], [0, 0.5, 1]], "opacity": [0.5, 1], "softness": [0.5, 2]}
CORNERS = [[[1, 1], [5, 2], [3, 5]], [[2, 2], [2, 6], [7, 3]]]
MADE = {
    "circle": (Scene.circles, {"x": [1, 2], "y": [3, 4], "radius": [2, 1]}),
    "ellipse": (Scene.ellipses, {"x": [1, 2], "y": [3, 4], "radius_x": [3, 1], "radius_y": [1, 2], "angle": [0, 30]}),
    "stroke": (Scene.strokes, {"x0": [1, 2], "y0": [3, 4], "x1": [5, 2], "y1": [4, 1], "width": [1, 2]}),
    "triangle": (Scene.triangles, {"corners": CORNERS}),
}


@pytest.mark.parametrize("primitive", MADE)
def test_a_scene_from_columns_holds_them_in_its_primitive(primitive):
    assert set(MADE) == set(PRIMITIVES)
    make, shape = MADE[primitive]
    scene = make(CANVAS, **shape, **PAINTED)
    assert scene.primitives == (PRIMITIVES[primitive],) and scene.ids.tolist() == [0, 1]
    np.testing.assert_array_equal(scene.colour, np.float32(PAINTED["colour"]))
    for name in ("opacity", "softness"):
        np.testing.assert_array_equal(scene.column(name), PAINTED[name])
    for name in set(shape) & {column.name for column in PRIMITIVES[primitive].columns}:
        np.testing.assert_array_equal(scene.column(name), shape[name])
    if primitive == "triangle":
        flat = [scene.column(f"{unit}{k}") for k in range(3) for unit in "xy"]
        np.testing.assert_array_equal(np.stack(flat, axis=1).reshape(2, 3, 2), CORNERS)
    plain = make(CANVAS, **shape, colour=PAINTED["colour"])
    assert plain.opacity.tolist() == [1, 1] and plain.softness.tolist() == [0.5, 0.5]


def test_an_ellipse_has_its_semi_axes_where_its_angle_turns_them():
    flat = Scene.ellipses(CANVAS, x=[4], y=[3], radius_x=[3], radius_y=[1], colour=[[0, 0, 0]], softness=1e-3)
    for angle, extent in ((0, (3, 1)), (90, (1, 3)), (180, (3, 1)), (45, (5**0.5, 5**0.5))):
        turned = Scene.ellipses(
            CANVAS, x=[4], y=[3], radius_x=[3], radius_y=[1], angle=angle, colour=[[0, 0, 0]], softness=1e-3
        )
        left, top, right, bottom = turned.bounds()[0]
        np.testing.assert_allclose([(right - left) / 2, (bottom - top) / 2], extent, atol=0.01)
        assert turned.thickness()[0] == pytest.approx(1, rel=1e-5)
    # From x towards y, which on a canvas is clockwise: at 45 degrees the right lower part is covered, the left is not.
    picture = reference.render(turned)
    assert picture[4, 5].mean() < 0.01 and picture[4, 2].mean() == 1
    assert flat.column("stretch")[0] == pytest.approx(np.log(3) / 2, rel=1e-6)


def test_columns_that_do_not_make_a_scene_are_refused():
    for primitive, (make, shape) in MADE.items():
        columns = shape | PAINTED
        for name, values in list(columns.items())[1:]:
            with pytest.raises(InputError, match=f"{name} has shape .*needs one value for each of 2 rows"):
                make(CANVAS, **columns | {name: [*values, values[0]]})
        for colour in ([], np.zeros((0, 3))):
            assert make(CANVAS, **{name: [] for name in shape}, colour=colour).same_as(Scene.empty(CANVAS))
        if "logistic" not in PRIMITIVES[primitive].falloffs:
            with pytest.raises(InputError, match=f"a {primitive} on a canvas with edge='logistic'; needs linear"):
                make(Canvas(8, 6, edge="logistic"), **columns)
    make, shape = MADE["ellipse"]
    for columns, message in (
        ({"radius_y": [1, -2]}, "radius_y has values that are not above 0"),
        ({"radius_y": [1e30, 1]}, "row 0 has (size|stretch|shear)"),
    ):
        with pytest.raises(InputError, match=message):
            make(CANVAS, **shape | columns, colour=PAINTED["colour"])


# --- columns and kinds ---


def mixed():
    """Two of each primitive."""
    scene = Scene.empty(CANVAS)
    for primitive, (make, shape) in MADE.items():
        part = make(CANVAS, **shape, **PAINTED)
        scene = scene.append(part.rows, primitive)
    return scene


def test_a_mix_keeps_the_rows_of_each_primitive_and_fills_them_up_with_nothing():
    scene = mixed()
    assert scene.primitives == tuple(PRIMITIVES[name] for name in MADE)
    assert scene.rows.shape == (8, max(primitive.width for primitive in PRIMITIVES.values()))
    for i, (primitive, (make, shape)) in enumerate(MADE.items()):
        own, width = scene.select([2 * i, 2 * i + 1]), PRIMITIVES[primitive].width
        assert own.primitives == (PRIMITIVES[primitive],) and own.rows.shape == (2, width)
        np.testing.assert_array_equal(own.rows, make(CANVAS, **shape, **PAINTED).rows)
        assert not scene.rows[2 * i : 2 * i + 2, width:].any()
    unused = np.arange(scene.rows.shape[1]) >= [[PRIMITIVES[name].width] for name in MADE for _ in range(2)]
    assert Scene(np.where(unused, 9, scene.rows), CANVAS, kinds=scene.kinds).same_as(scene)  # which are dropped


def test_columns_are_read_and_written_by_name_wherever_they_stand():
    scene = mixed()
    assert scene.column("opacity").tolist() == [0.5, 1] * len(MADE)
    np.testing.assert_array_equal(scene.column("red"), scene.colour[:, 0])
    changed = scene.with_columns(opacity=0.25, colour=np.full((8, 3), 0.5), softness=np.arange(1, 9))
    assert changed.opacity.tolist() == [0.25] * 8 and changed.softness.tolist() == list(range(1, 9))
    assert (changed.colour == 0.5).all() and changed.same_as(changed.with_columns())
    round_ones = scene.select([0, 1, 2, 3])
    moved = round_ones.with_columns(x=[1, 2, 3, 4])
    assert moved.column("x").tolist() == [1, 2, 3, 4] and moved.centres()[:, 0].tolist() == [1, 2, 3, 4]
    for ask in (lambda: scene.column("radius"), lambda: scene.with_columns(radius=1), lambda: ONE.column("width")):
        with pytest.raises(InputError, match=r"has no column '(radius|width)'; it has red, green, blue"):
            ask()


def test_kinds_are_names_or_codes():
    rows = scene_of(2, "stroke").rows
    code = PRIMITIVES["stroke"].code
    assert Scene(rows, CANVAS, kinds="stroke").same_as(Scene(rows, CANVAS, kinds=[code, code]))
    appended = ONE.append(rows, np.array([code, code]))
    assert appended.kinds.tolist() == [PRIMITIVES["circle"].code, code, code]
    assert appended.same_as(ONE.append(rows, "stroke"))
    with pytest.raises(InputError, match="kinds"):
        ONE.append(rows, [code])
    with pytest.raises(InputError, match="a stroke needs"):
        ONE.append(ONE.rows, "stroke")


def test_stacked_scenes_are_painted_one_over_the_other_with_their_ids():
    scene = mixed()
    parts = [scene.select(np.arange(k, 8, 3)) for k in range(3)]
    stacked = Scene.stacked(parts)
    assert stacked.ids.tolist() == [*range(0, 8, 3), *range(1, 8, 3), *range(2, 8, 3)]
    assert stacked.select(np.argsort(stacked.ids)).same_as(scene)
    with pytest.raises(InputError, match="ids repeat"):
        Scene.stacked([scene, scene])
    with pytest.raises(InputError, match="no scenes"):
        Scene.stacked([])


def test_a_scene_cannot_be_changed_and_does_not_follow_the_arrays_that_it_was_made_from():
    rows, ids, kinds = np.float32([ROW, ROW]), np.array([4, 2]), np.zeros(2, np.uint8)
    scene = Scene(rows, CANVAS, ids=ids, kinds=kinds)
    rows[:], ids[:], kinds[:] = 0, 9, 1
    assert scene.same_as(Scene([ROW, ROW], CANVAS, ids=[4, 2]))
    for owner, name in ((scene, "rows"), (scene.canvas, "width")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(owner, name, 9)


@settings(max_examples=15)
@given(st.lists(st.integers(0, 3), max_size=8), st.data())
def test_append_gives_ids_that_no_row_ever_had(batches, data):
    scene, used = Scene.empty(CANVAS), set()
    for size in batches:
        fresh = scene.append(np.tile(np.float32(ROW), (size, 1)))
        new_ids = set(fresh.ids[scene.count :].tolist())
        assert len(new_ids) == size
        assert not new_ids & used
        used |= new_ids
        # Often the newest rows go, which must not free their ids.
        keep = data.draw(st.lists(st.booleans(), min_size=fresh.count, max_size=fresh.count))
        scene = fresh.select(np.array(keep, bool))


def test_append_and_select_keep_ids_with_their_rows():
    below = scene_of(2)
    above = below.append(ONE.with_columns(radius=5).rows)
    assert below.count == 2 and above.ids.tolist() == [0, 1, 2] and above.column("radius").tolist() == [2, 2, 5]
    swapped = above.with_columns(radius=[1, 2, 3]).select([2, 0])
    assert swapped.ids.tolist() == [2, 0] and swapped.column("radius").tolist() == [3, 1] and swapped.next_id == 3
    assert above.select(np.array([False, True, True])).ids.tolist() == [1, 2]
    with pytest.raises(InputError, match="ids repeat"):
        above.select([1, 1])
    moved = swapped.moved(1, 0)
    assert moved.ids.tolist() == [2, 0] and moved.next_id == 3 and moved.column("x").tolist() == [5, 5]
    with pytest.raises(InputError, match="needs one per row"):
        swapped.with_rows(swapped.rows[:1])


def test_same_as_sees_every_part_of_a_scene():
    scene = scene_of(2)
    assert scene.same_as(scene_of(2))
    others = [
        scene.with_rows(np.nextafter(scene.rows, np.float32(0))),
        scene.with_background((0, 0, 0)),
        scene.select([1, 0]),
        scene.select([0]),
        scene_of(3).select([0, 1]),  # the same rows, but the next new one gets another id
        Scene(scene.rows, Canvas(8, 6, edge="logistic")),
    ]
    assert not any(scene.same_as(other) or other.same_as(scene) for other in others)


def test_an_empty_scene_has_rows_of_full_width():
    for scene in (Scene.empty(CANVAS), Scene([], CANVAS), Scene(np.zeros((0, 3)), CANVAS)):
        assert scene.count == 0
        assert scene.rows.shape == (0, PRIMITIVES["circle"].width)
        assert scene.append([ROW]).ids.tolist() == [0]
        assert scene.select([]).same_as(scene)


@pytest.mark.parametrize(("edge", "softness"), [("linear", 1.5), ("logistic", 4.5)])
def test_scaled_multiplies_lengths_and_nothing_else(edge, softness):
    big = Scene([ROW], Canvas(8, 6, edge=edge)).scaled(24)
    assert (big.canvas.width, big.canvas.height) == (24, 18)
    expected = ONE.with_columns(x=12, y=9, radius=6, softness=softness)
    assert big.rows.tolist() == expected.rows.tolist()
    assert big.ids.tolist() == [0]


def test_scaled_takes_a_height_or_rounds_the_proportional_one():
    assert scene_of(1).scaled(5).canvas.height == 4  # 3.75
    assert scene_of(1).scaled(16, 13).canvas.height == 13
    assert Scene.empty(Canvas(100, 1)).scaled(2).canvas.height == 1
