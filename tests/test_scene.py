import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapes import NAMES, column_of, crowd, limits_of, place_of

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


@pytest.mark.parametrize("side", [0, -3, 65537, 2.5, np.nan, "8", None])
@pytest.mark.parametrize("name", ["width", "height"])
def test_a_canvas_refuses_a_side_that_is_no_count_of_pixels(name, side):
    with pytest.raises(InputError, match=f"canvas {name} is .*1 to 65536"):
        Canvas(**{"width": 8, "height": 8, name: side})


@pytest.mark.parametrize(
    "background",
    [(1, 1), (1, 1, 1, 1), 0.5, None, (0, 0, 1.01), (-0.1, 0, 0), (np.nan, 0, 0), (0, np.inf, 0), "white", "abc"],
)
def test_a_canvas_refuses_a_background_that_is_no_colour(background):
    with pytest.raises(InputError, match=r"background is .*three sRGB values between 0 and 1"):
        Canvas(8, 8, background)


def test_a_canvas_refuses_an_unknown_edge_and_names_the_known():
    with pytest.raises(InputError, match="edge 'soft' is unknown; choose one of linear, logistic"):
        Canvas(8, 8, edge="soft")


@pytest.mark.parametrize("transparent", [None, "yes", 2, 0.0])
def test_a_canvas_refuses_a_transparency_that_is_neither_true_nor_false(transparent):
    with pytest.raises(InputError, match=r"transparent is .*True or False"):
        Canvas(4, 4, transparent=transparent)


def test_a_canvas_is_opaque_unless_said_and_stays_transparent_when_the_scene_changes():
    assert Canvas(4, 4).transparent is False and Canvas(4, 4, transparent=np.True_).transparent is True
    scene = Scene.circles(Canvas(4, 4, transparent=True), x=[1], y=[2], radius=[1], colour=[[1, 0, 0]])
    changed = (scene.scaled(8), scene.append(scene.rows), scene.select([0]), scene.with_background((0.0, 0.0, 0.0)))
    assert all(other.canvas.transparent for other in changed)
    assert not scene.same_as(Scene(scene.rows, Canvas(4, 4)))


def test_a_canvas_keeps_its_background_as_the_nearest_float32():
    assert Canvas(8, 8, (0.1, 0.2, 0.3)).background == tuple(np.float32([0.1, 0.2, 0.3]).astype(float))


@pytest.mark.parametrize("shape", [(), (len(ROW),), (2, len(ROW) - 1), (2, 2, len(ROW))])
def test_rows_of_another_shape_are_refused(shape):
    with pytest.raises(InputError, match=r"rows have shape .*needs"):
        Scene(np.full(shape, 0.5), CANVAS)


@pytest.mark.parametrize("rows", [[ROW, ROW[:5]], [["red"] * 8]], ids=["ragged", "words"])
def test_rows_that_are_no_table_of_numbers_are_refused(rows):
    with pytest.raises(InputError):
        Scene(rows, CANVAS)


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_rows_narrower_than_their_primitive_are_refused_with_its_columns(primitive):
    rows = scene_of(2, primitive).rows
    names = ", ".join(column.name for column in (*PAINT, *PRIMITIVES[primitive].columns))
    with pytest.raises(InputError, match=f"a {primitive} needs {rows.shape[1]} columns: {names}"):
        Scene(rows[:, :-1], CANVAS, kinds=primitive)


@pytest.mark.parametrize("primitive", NAMES)
@given(count=st.integers(1, 6), data=st.data(), value=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_a_value_that_is_not_finite_is_refused_by_its_row(primitive, count, data, value):
    scene = scene_of(count, primitive)
    row = data.draw(st.integers(0, count - 1))
    column = data.draw(st.integers(0, scene.select([row]).primitives[0].width - 1))
    rows = scene.rows.copy()
    rows[row, column] = value
    with pytest.raises(InputError, match=f"row {row} has {value} in its .*; needs a finite number"):
        Scene(rows, CANVAS, kinds=scene.kinds)


@pytest.mark.parametrize(
    ("primitive", "column"),
    [(name, column) for name, primitive in PRIMITIVES.items() for column in (*PAINT, *primitive.columns)],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_value_out_of_range_is_refused_by_row_and_column(primitive, column):
    scene = scene_of(3, primitive)
    low, high = column_of(limits_of(primitive), column.name, primitive)
    for value in (low, high):  # a limit is inside
        held = scene.rows.copy()
        held[1, place_of(column.name, primitive)] = value
        scene.with_rows(held)
        held[1, place_of(column.name, primitive)] = value + np.sign(value - (low + high) / 2) * 2e-3 * max(
            1, abs(value)
        )
        with pytest.raises(InputError, match=f"row 1 has {column.name} .*; needs .* to "):
            scene.with_rows(held)


@given(st.lists(st.integers(-2, 5), min_size=3, max_size=3))
def test_ids_are_taken_if_and_only_if_they_are_unique_and_not_negative(ids):
    if len(set(ids)) == 3 and min(ids) >= 0:
        assert Scene(scene_of(3).rows, CANVAS, ids=ids).next_id == max(ids) + 1
    else:
        with pytest.raises(InputError, match="ids repeat or are negative"):
            Scene(scene_of(3).rows, CANVAS, ids=ids)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ids": [0]}, r"ids have shape \(1,\); needs one per row, \(2,\)"),
        ({"ids": [0.0, 1.0]}, "ids are float64; needs whole numbers"),
        ({"kinds": [0, 0, 0]}, r"kinds have shape \(3,\)"),
        ({"kinds": [0.0, 0.0]}, "kinds are float64"),
        ({"kinds": [0, 77]}, r"kinds has codes \[0, 77\]; known are 0 \(circle\), 1 \(ellipse\)"),
        ({"kinds": "blob"}, "kinds 'blob' is unknown; choose one of circle, ellipse"),
        ({"ids": [3, 7], "next_id": 7}, "next_id is 7; needs at least 8"),
    ],
)
def test_ids_and_kinds_that_do_not_fit_the_rows_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Scene(scene_of(2).rows, CANVAS, **arguments)


# --- from columns ---

PAINTED = {"colour": [[1, 0, 0], [0, 0.5, 1]], "opacity": [0.5, 1], "softness": [0.5, 2]}
CORNERS = [[[1, 1], [5, 2], [3, 5]], [[2, 2], [2, 6], [7, 3]]]
MADE = {
    "circle": (Scene.circles, {"x": [1, 2], "y": [3, 4], "radius": [2, 1]}),
    "ellipse": (
        Scene.ellipses,
        {"x": [1, 2], "y": [3, 4], "radius_x": [3, 1], "radius_y": [1, 2], "angle": [0, 30]},
    ),
    "stroke": (Scene.strokes, {"x0": [1, 2], "y0": [3, 4], "x1": [5, 2], "y1": [4, 1], "width": [1, 2]}),
    "triangle": (Scene.triangles, {"corners": CORNERS}),
}


def test_every_primitive_can_be_made_from_columns():
    assert set(MADE) == set(PRIMITIVES)


@pytest.mark.parametrize("primitive", MADE)
def test_a_scene_from_columns_holds_them_in_its_primitive(primitive):
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


@pytest.mark.parametrize("primitive", MADE)
def test_columns_of_different_length_are_refused(primitive):
    make, shape = MADE[primitive]
    columns = shape | PAINTED
    first = next(iter(shape))
    for name, values in columns.items():
        if name != first:
            with pytest.raises(InputError, match=f"{name} has shape .*needs one value for each of 2 rows"):
                make(CANVAS, **columns | {name: [*values, values[0]]})


@pytest.mark.parametrize("primitive", MADE)
@pytest.mark.parametrize("colour", [[], np.zeros((0, 3))], ids=["list", "array"])
def test_no_shapes_make_an_empty_scene(primitive, colour):
    make, shape = MADE[primitive]
    empty = make(CANVAS, **{name: [] for name in shape}, colour=colour)
    assert empty.count == 0 and empty.same_as(Scene.empty(CANVAS))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"radius_x": [0, 1]}, "radius_x has values that are not above 0"),
        ({"radius_y": [1, -2]}, "radius_y has values that are not above 0"),
        ({"radius_y": [1e30, 1]}, "row 0 has (size|stretch|shear)"),
        ({"radius_x": [1, 2, 3]}, r"radius_x has shape \(3,\)"),
    ],
)
def test_an_ellipse_without_an_area_is_refused(columns, message):
    make, shape = MADE["ellipse"]
    with pytest.raises(InputError, match=message):
        make(CANVAS, **shape | columns, colour=PAINTED["colour"])


@pytest.mark.parametrize("corners", [[[1, 2], [3, 4], [5, 6]], [[[1, 2], [3, 4]]], [1, 2, 3, 4, 5, 6]])
def test_corners_that_are_no_triangles_are_refused(corners):
    with pytest.raises(InputError, match=r"corners have shape .*; needs \(N, 3, 2\)"):
        Scene.triangles(CANVAS, corners=corners, colour=[[1, 0, 0]])


def test_only_circles_have_the_logistic_falloff():
    for primitive, (make, shape) in MADE.items():
        canvas = Canvas(8, 6, edge="logistic")
        if "logistic" in PRIMITIVES[primitive].falloffs:
            make(canvas, **shape, **PAINTED)
        else:
            with pytest.raises(InputError, match=f"a {primitive} on a canvas with edge='logistic'; needs linear"):
                make(canvas, **shape, **PAINTED)


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


def test_what_stands_in_columns_that_a_primitive_has_not_is_dropped():
    rows = mixed().rows.copy()
    for i, primitive in enumerate(PRIMITIVES.values()):
        rows[2 * i : 2 * i + 2, primitive.width :] = 9
    assert Scene(rows, CANVAS, kinds=mixed().kinds).same_as(mixed())


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


def test_a_scene_cannot_be_changed_in_place():
    scene = scene_of(2)
    for array in (scene.rows, scene.ids, scene.kinds):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        scene.rows = scene.rows
    with pytest.raises(dataclasses.FrozenInstanceError):
        scene.canvas.width = 9


def test_a_scene_does_not_follow_the_arrays_that_it_was_made_from():
    rows, ids, kinds = np.float32([ROW, ROW]), np.array([4, 2]), np.zeros(2, np.uint8)
    scene = Scene(rows, CANVAS, ids=ids, kinds=kinds)
    rows[:], ids[:], kinds[:] = 0, 9, 1
    assert scene.same_as(Scene([ROW, ROW], CANVAS, ids=[4, 2]))


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


def test_append_paints_on_top_and_leaves_the_scene_as_it_was():
    below = scene_of(2)
    above = below.append(ONE.with_columns(radius=5).rows)
    assert below.count == 2
    assert above.ids.tolist() == [0, 1, 2]
    assert above.column("radius").tolist() == [2, 2, 5]


@pytest.mark.parametrize("rows", [ROW, [ROW[:-1]]])
def test_append_refuses_rows_that_are_too_narrow(rows):
    with pytest.raises(InputError, match="rows have shape"):
        scene_of(2).append(rows)


def test_select_keeps_ids_with_their_rows_in_the_new_order():
    scene = scene_of(3).with_columns(radius=[1, 2, 3])
    swapped = scene.select([2, 0])
    assert swapped.ids.tolist() == [2, 0]
    assert swapped.column("radius").tolist() == [3, 1]
    assert swapped.next_id == 3
    masked = scene.select(np.array([False, True, True]))
    assert masked.ids.tolist() == [1, 2]


def test_select_refuses_to_take_a_row_twice():
    with pytest.raises(InputError, match="ids repeat"):
        scene_of(3).select([1, 1])


def test_with_rows_keeps_ids_and_refuses_another_count():
    scene = scene_of(3).select([2, 0])
    moved = scene.moved(1, 0)
    assert moved.ids.tolist() == [2, 0]
    assert moved.next_id == 3
    assert moved.column("x").tolist() == [5, 5]
    with pytest.raises(InputError, match="needs one per row"):
        scene.with_rows(scene.rows[:1])


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


@pytest.mark.parametrize("width", [0, -8, 2.5])
def test_scaled_refuses_a_width_that_is_no_count_of_pixels(width):
    with pytest.raises(InputError, match="canvas"):
        scene_of(1).scaled(width)
