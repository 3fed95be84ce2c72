import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artpipe import Canvas, InputError, Scene
from artpipe.renderers.primitives.base import OPACITY, RADIUS, SOFTNESS, X, Y

CANVAS = Canvas(8, 6)
ROW = [4.0, 3.0, 1.0, 0.5, 0.0, 0.75, 0.5, 2.0]
COLUMNS = ("x", "y", "red", "green", "blue", "opacity", "softness", "radius")


def scene_of(count):
    return Scene(np.tile(np.float32(ROW), (count, 1)), CANVAS)


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


@pytest.mark.parametrize("shape", [(), (8,), (2, 7), (2, 2, 8)])
def test_rows_of_another_shape_are_refused(shape):
    with pytest.raises(InputError, match=r"rows have shape .*needs"):
        Scene(np.full(shape, 0.5), CANVAS)


@pytest.mark.parametrize("rows", [[ROW, ROW[:5]], [["red"] * 8]], ids=["ragged", "words"])
def test_rows_that_are_no_table_of_numbers_are_refused(rows):
    with pytest.raises(InputError):
        Scene(rows, CANVAS)


@given(count=st.integers(1, 6), data=st.data(), value=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_a_value_that_is_not_finite_is_refused_by_row_and_column(count, data, value):
    row, column = data.draw(st.integers(0, count - 1)), data.draw(st.integers(0, 7))
    rows = scene_of(count).rows.copy()
    rows[row, column] = value
    with pytest.raises(InputError, match=f"row {row} has .*column {COLUMNS[column]}; needs a finite number"):
        Scene(rows, CANVAS)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (X, 1.1e6), (X, -1.1e6), (Y, 1.1e6), (Y, -1.1e6), (2, 1.001), (2, -0.001), (3, 2), (4, -1),
        (OPACITY, 1.001), (OPACITY, -1e-6), (SOFTNESS, 0), (SOFTNESS, -1), (SOFTNESS, 1.1e6),
        (RADIUS, -0.5), (RADIUS, 1.1e6),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_refused_by_row_and_column(column, value):
    rows = scene_of(3).rows.copy()
    rows[1, column] = value
    with pytest.raises(InputError, match=f"row 1 has {COLUMNS[column]} .*; needs .* to "):
        Scene(rows, CANVAS)


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
        ({"ids": [0]}, r"ids have shape \(1,\); needs one a row, \(2,\)"),
        ({"ids": [0.0, 1.0]}, "ids are float64; needs whole numbers"),
        ({"kinds": [0, 0, 0]}, r"kinds have shape \(3,\)"),
        ({"kinds": [0.0, 0.0]}, "kinds are float64"),
        ({"kinds": [0, 77]}, r"kinds has codes \[0, 77\]; known are 0 \(circle\)"),
        ({"ids": [3, 7], "next_id": 7}, "next_id is 7; needs at least 8"),
    ],
)
def test_ids_and_kinds_that_do_not_fit_the_rows_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Scene(scene_of(2).rows, CANVAS, **arguments)


@pytest.mark.parametrize(
    "wrong", [{"y": [1, 2, 3]}, {"radius": [1, 2, 3]}, {"colour": [[1, 0, 0]] * 3}, {"opacity": [1] * 5}]
)
def test_columns_of_different_length_are_refused(wrong):
    columns = {"x": [1, 2], "y": [1, 2], "radius": [1, 2], "colour": [[1, 0, 0]] * 2} | wrong
    with pytest.raises(InputError, match="one value for each of 2 circles"):
        Scene.circles(CANVAS, **columns)


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
    above = below.append([[*ROW[:7], 5.0]])
    assert below.count == 2
    assert above.ids.tolist() == [0, 1, 2]
    assert above.rows[:, RADIUS].tolist() == [2, 2, 5]


@pytest.mark.parametrize("rows", [ROW, [ROW[:7]], [[*ROW, 0.0]]])
def test_append_refuses_rows_of_another_width(rows):
    with pytest.raises(InputError, match="new rows have shape"):
        scene_of(2).append(rows)


def test_select_keeps_ids_with_their_rows_in_the_new_order():
    scene = scene_of(3).with_rows([[*ROW[:7], radius] for radius in (1.0, 2.0, 3.0)])
    swapped = scene.select([2, 0])
    assert swapped.ids.tolist() == [2, 0]
    assert swapped.rows[:, RADIUS].tolist() == [3, 1]
    assert swapped.next_id == 3
    masked = scene.select(np.array([False, True, True]))
    assert masked.ids.tolist() == [1, 2]


def test_select_refuses_to_take_a_row_twice():
    with pytest.raises(InputError, match="ids repeat"):
        scene_of(3).select([1, 1])


def test_with_rows_keeps_ids_and_refuses_another_count():
    scene = scene_of(3).select([2, 0])
    moved = scene.with_rows(scene.rows + np.float32([1, 0, 0, 0, 0, 0, 0, 0]))
    assert moved.ids.tolist() == [2, 0]
    assert moved.next_id == 3
    assert moved.rows[:, X].tolist() == [5, 5]
    with pytest.raises(InputError, match="needs one a row"):
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
    for scene in (Scene.empty(CANVAS), Scene([], CANVAS), Scene(np.zeros((0, 8)), CANVAS)):
        assert scene.count == 0
        assert scene.rows.shape == (0, 8)
        assert scene.append([ROW]).ids.tolist() == [0]
        assert scene.select([]).same_as(scene)


@pytest.mark.parametrize("colour", [[], np.zeros((0, 3))], ids=["list", "array"])
def test_no_circles_make_an_empty_scene(colour):
    assert Scene.circles(CANVAS, x=[], y=[], radius=[], colour=colour).same_as(Scene.empty(CANVAS))


@pytest.mark.parametrize(("edge", "softness"), [("linear", 1.5), ("logistic", 4.5)])
def test_scaled_multiplies_lengths_and_nothing_else(edge, softness):
    big = Scene([ROW], Canvas(8, 6, edge=edge)).scaled(24)
    assert (big.canvas.width, big.canvas.height) == (24, 18)
    assert big.rows[0].tolist() == [12, 9, 1, 0.5, 0, 0.75, softness, 6]
    assert big.ids.tolist() == [0]


def test_scaled_takes_a_height_or_rounds_the_proportional_one():
    assert scene_of(1).scaled(5).canvas.height == 4  # 3.75
    assert scene_of(1).scaled(16, 13).canvas.height == 13
    assert Scene.empty(Canvas(100, 1)).scaled(2).canvas.height == 1


@pytest.mark.parametrize("width", [0, -8, 2.5])
def test_scaled_refuses_a_width_that_is_no_count_of_pixels(width):
    with pytest.raises(InputError, match="canvas"):
        scene_of(1).scaled(width)
