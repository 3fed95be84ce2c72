"""Scene files: what is written, that it loads back bit for bit, and what is refused."""

import json
import warnings

import numpy as np
import pytest
from artpipe import Canvas, InputError, Scene, load_scene, save_scene
from artpipe.renderers.edges import EDGES
from artpipe.renderers.primitives import CIRCLE
from artpipe.renderers.scene import FARTHEST, SIDE_MAX, SOFTNESS_MIN
from hypothesis import given
from hypothesis import strategies as st

COLUMNS = ["x", "y", "red", "green", "blue", "opacity", "softness", "radius"]


def float32(low, high):
    """Any float32 between two, subnormal ones and -0.0 included."""
    return st.floats(float(np.float32(low)), float(np.float32(high)), width=32)


SHARE = float32(0, 1)
LENGTH = float32(0, FARTHEST)
ROW = st.tuples(
    float32(-FARTHEST, FARTHEST), float32(-FARTHEST, FARTHEST), SHARE, SHARE, SHARE, SHARE,
    float32(np.nextafter(np.float32(SOFTNESS_MIN), np.float32(1)), FARTHEST), LENGTH,
)  # fmt: skip
SIDE = st.integers(1, SIDE_MAX)


@st.composite
def scenes(draw):
    canvas = Canvas(draw(SIDE), draw(SIDE), draw(st.tuples(SHARE, SHARE, SHARE)), draw(st.sampled_from(list(EDGES))))
    rows = draw(st.lists(ROW, max_size=6))
    ids = draw(st.lists(st.integers(0, 2**62), min_size=len(rows), max_size=len(rows), unique=True))
    next_id = max(ids, default=-1) + 1 + draw(st.integers(0, 2**60))
    return Scene(np.array(rows, np.float32).reshape(-1, 8), canvas, ids=np.array(ids, np.int64), next_id=next_id)


def good():
    """What the file of a scene of two circles holds."""
    return {
        "format": "artpipe-scene",
        "version": 1,
        "width": 8,
        "height": 6,
        "background": [0.25, 0.5, 1.0],
        "edge": "linear",
        "order": "back to front",
        "columns": COLUMNS,
        "kinds": ["circle"],
        "next_id": 9,
        "ids": [3, 7],
        "rows": [[4, 3, 1, 0.5, 0, 0.75, 0.5, 2], [1.5, 2.5, 0, 0, 1, 1, 1, 1.25]],
    }


def written(tmp_path, content):
    path = tmp_path / "scene.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def refusal(path):
    """The one line that refuses a file, with nothing else said."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError) as caught:
            load_scene(path)
    message = str(caught.value)
    assert "\n" not in message and 5 < len(message) < 600
    return message


@given(scenes())
def test_a_scene_loads_back_bit_for_bit(tmp_path_factory, scene):
    path = tmp_path_factory.mktemp("scene") / "scene.json"
    save_scene(scene, path)
    loaded = load_scene(path)
    assert loaded.same_as(scene)
    assert loaded.rows.tobytes() == scene.rows.tobytes()
    first = path.read_bytes()
    save_scene(loaded, str(path))
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    "column", [(0, 1e-45, -1e-45), (0, -0.0, 1 / 3), (0, FARTHEST, -FARTHEST), (2, 1e-45, 1 - 2**-24), (7, 1e-38, 0.1)]
)
def test_extreme_values_load_back_bit_for_bit(tmp_path, column):
    index, *values = column
    rows = np.array(good()["rows"], np.float32)
    rows[:, index] = values
    scene = Scene(rows, Canvas(1, SIDE_MAX, (1e-45, 1 - 2**-24, 1 / 3)))
    save_scene(scene, tmp_path / "scene.json")
    assert load_scene(tmp_path / "scene.json").same_as(scene)


def test_every_float32_near_a_power_of_two_loads_back_bit_for_bit(tmp_path):
    # Where the spacing of float32 changes, the shortest decimal is the hardest to find.
    powers = np.float32(2.0) ** np.arange(-140, 1, dtype=np.float32)
    values = np.concatenate([np.nextafter(powers, np.float32(0)), powers, np.nextafter(powers, np.float32(2))])
    values = values[values <= 1]
    rows = np.tile(np.array(good()["rows"][:1], np.float32), (len(values), 1))
    rows[:, 2] = values
    scene = Scene(rows, Canvas(8, 6))
    save_scene(scene, tmp_path / "scene.json")
    assert load_scene(tmp_path / "scene.json").same_as(scene)


@pytest.mark.parametrize("edge", EDGES)
def test_an_empty_scene_loads_back(tmp_path, edge):
    scene = Scene(np.zeros((0, 8), np.float32), Canvas(5, 4, (0.1, 0.2, 0.3), edge), next_id=77)
    save_scene(scene, tmp_path / "scene.json")
    loaded = load_scene(tmp_path / "scene.json")
    assert loaded.same_as(scene) and loaded.count == 0 and loaded.rows.shape == (0, 8)


def test_the_file_is_plain_json_with_the_documented_keys(tmp_path):
    scene = Scene(np.array(good()["rows"], np.float32), Canvas(8, 6, (0.25, 0.5, 1)), ids=np.array([3, 7]), next_id=9)
    save_scene(scene, tmp_path / "scene.json")

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    content = json.loads((tmp_path / "scene.json").read_text(encoding="ascii"), parse_constant=refuse)
    assert content == good()


def test_the_documentation_of_the_format_names_every_key():
    import artpipe.stages.scene_file

    for key in good():
        assert f'"{key}"' in artpipe.stages.scene_file.__doc__
    assert COLUMNS == [column.name for column in CIRCLE.columns]


def test_numbers_are_the_shortest_decimals(tmp_path):
    rows = np.array(good()["rows"], np.float32)
    rows[0, 0] = 0.1
    save_scene(Scene(rows, Canvas(8, 6, (0.1, 0.2, 0.3))), tmp_path / "scene.json")
    text = (tmp_path / "scene.json").read_text()
    assert "[0.1, 0.2, 0.3]" in text and "[0.1, 3.0," in text


def test_a_hand_written_file_loads(tmp_path):
    scene = load_scene(written(tmp_path, good()))
    assert scene.canvas == Canvas(8, 6, (0.25, 0.5, 1)) and scene.ids.tolist() == [3, 7] and scene.next_id == 9
    np.testing.assert_array_equal(scene.rows, np.float32(good()["rows"]))
    assert load_scene(str(tmp_path / "scene.json")).same_as(scene)
    assert load_scene(written(tmp_path, {**good(), "note": "keys that are not known do no harm"})).same_as(scene)


def test_saving_leaves_the_old_file_whole_if_it_fails(tmp_path):
    path = written(tmp_path, good())
    before = path.read_bytes()
    with pytest.raises(AttributeError):
        save_scene("no scene", path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot write") as caught:
        save_scene(Scene.empty(Canvas(8, 6)), tmp_path / "none" / "scene.json")
    assert "\n" not in str(caught.value)


# --- refusals ---


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert "No such file" in refusal(tmp_path / "none.json")
    assert str(tmp_path) in refusal(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["", "hello", "{", "[1, 2", '{"format": "artpipe-scene",}', "[" * 100_000, "\ufeff", json.dumps(good())[:-9]],
    ids=["empty", "words", "brace", "list", "comma", "deep", "mark", "cut off"],
)
def test_a_file_that_is_no_json_is_refused(tmp_path, content):
    assert "not JSON" in refusal(written(tmp_path, content))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "scene.json"
    path.write_bytes(bytes(range(256)))
    assert "not JSON" in refusal(path)


@pytest.mark.parametrize(
    "content", [{}, [], 3, None, "scene", {"format": "artpipe-run", "version": 1}, {"rows": []}, {"format": ["x"]}]
)
def test_other_json_is_refused(tmp_path, content):
    assert "not a scene" in refusal(written(tmp_path, json.dumps(content)))


@pytest.mark.parametrize("version", [2, 0, "1", None, 1.5, [1]])
def test_another_version_is_refused(tmp_path, version):
    message = refusal(written(tmp_path, {**good(), "version": version}))
    assert "version" in message
    if version == 2:
        assert "newer" in message


def test_a_missing_version_is_refused(tmp_path):
    content = good()
    del content["version"]
    assert "version" in refusal(written(tmp_path, content))


@pytest.mark.parametrize("key", sorted(set(good()) - {"format", "version", "order"}))
def test_a_missing_key_is_refused_and_named(tmp_path, key):
    content = good()
    del content[key]
    assert key in refusal(written(tmp_path, content))


NOT_NUMBERS = {"word": "four", "null": None, "list": [1], "object": {}, "digits in quotes": "1"}


@pytest.mark.parametrize("value", NOT_NUMBERS.values(), ids=NOT_NUMBERS)
@pytest.mark.parametrize("key", ["width", "height", "next_id"])
def test_what_is_no_number_is_refused(tmp_path, key, value):
    refusal(written(tmp_path, {**good(), key: value}))


@pytest.mark.parametrize("value", NOT_NUMBERS.values(), ids=NOT_NUMBERS)
@pytest.mark.parametrize("key", ["background", "ids", "rows"])
def test_what_is_no_number_within_a_list_is_refused(tmp_path, key, value):
    content = good()
    if key == "rows":
        content["rows"][1][2] = value
    else:
        content[key][1] = value
    refusal(written(tmp_path, content))


@pytest.mark.parametrize("value", NOT_NUMBERS.values(), ids=NOT_NUMBERS)
@pytest.mark.parametrize("key", ["background", "ids", "rows", "columns", "kinds", "edge"])
def test_what_is_no_list_or_name_is_refused(tmp_path, key, value):
    refusal(written(tmp_path, {**good(), key: value}))


@pytest.mark.parametrize("side", [0, -1, SIDE_MAX + 1, 10**9, 10**400, 2.5, 1e300])
@pytest.mark.parametrize("key", ["width", "height"])
def test_an_absurd_canvas_is_refused(tmp_path, key, side):
    refusal(written(tmp_path, {**good(), key: side}))


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("column", range(8))
def test_a_value_that_is_not_finite_is_refused_by_name(tmp_path, column, word):
    content = good()
    content["rows"][1][column] = "HERE"
    message = refusal(written(tmp_path, json.dumps(content).replace('"HERE"', word)))
    assert COLUMNS[column] in message and "row 1" in message


@pytest.mark.parametrize("value", [1e39, -1e39])
def test_a_value_past_float32_is_refused_in_one_line_and_without_a_warning(tmp_path, value):
    content = good()
    content["rows"][1][0] = value
    message = refusal(written(tmp_path, content))
    assert "column x" in message and "row 1" in message


@pytest.mark.parametrize(
    ("column", "value"),
    [(0, 2e6), (1, -2e6), (2, 1.01), (3, -0.01), (4, 2), (5, 1.5), (5, -1), (6, 0), (6, -1), (7, -0.1), (7, 2e6)],
)
def test_a_value_out_of_range_is_refused_by_name(tmp_path, column, value):
    content = good()
    content["rows"][1][column] = value
    message = refusal(written(tmp_path, content))
    assert COLUMNS[column] in message and "row 1" in message


@pytest.mark.parametrize(
    "rows",
    [
        [[4, 3, 1, 0.5, 0, 0.75, 0.5, 2], [1.5, 2.5]],
        [[4, 3, 1, 0.5, 0, 0.75, 0.5], [1.5, 2.5, 0, 0, 1, 1, 1]],
        [[4, 3, 1, 0.5, 0, 0.75, 0.5, 2, 1], [1.5, 2.5, 0, 0, 1, 1, 1, 1, 1]],
        [[4, 3, 1, 0.5], [0, 0.75, 0.5, 2], [1.5, 2.5, 0, 0], [1, 1, 1, 1.25]],
        [4, 3, 1, 0.5, 0, 0.75, 0.5, 2, 1.5, 2.5, 0, 0, 1, 1, 1, 1.25],
        [[[4, 3, 1, 0.5, 0, 0.75, 0.5, 2], [1.5, 2.5, 0, 0, 1, 1, 1, 1.25]]],
        [[], []],
    ],
    ids=["ragged", "seven columns", "nine columns", "four columns", "flat", "nested", "no columns"],
)
def test_rows_of_another_shape_are_refused(tmp_path, rows):
    refusal(written(tmp_path, {**good(), "rows": rows}))


@pytest.mark.parametrize(
    "columns", [COLUMNS[:-1], [*COLUMNS, "angle"], COLUMNS[::-1], [], [c.upper() for c in COLUMNS]], ids=str
)
def test_other_columns_are_refused(tmp_path, columns):
    refusal(written(tmp_path, {**good(), "columns": columns}))


@pytest.mark.parametrize("kinds", [[], ["ellipse"], ["circle", "ellipse"], "circle"], ids=str)
def test_kinds_that_nothing_draws_are_refused(tmp_path, kinds):
    refusal(written(tmp_path, {**good(), "kinds": kinds}))


@pytest.mark.parametrize(
    "ids",
    [[-1, 7], [7, 7], [3], [3, 7, 8], [], [0.5, 7], [3, 2**63], [[3], [7]]],
    ids=["negative", "equal", "too few", "too many", "none", "fraction", "past int64", "nested"],
)
def test_ids_that_do_not_tell_rows_apart_are_refused(tmp_path, ids):
    refusal(written(tmp_path, {**good(), "ids": ids}))


@pytest.mark.parametrize("next_id", [7, 0, 8.5, 2**70])
def test_a_next_id_that_would_repeat_one_or_is_none_is_refused(tmp_path, next_id):
    refusal(written(tmp_path, {**good(), "next_id": next_id}))


@pytest.mark.parametrize("background", [[0.1, 0.2], [0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 1.5], [-1, 0, 0], "white"])
def test_a_background_that_is_no_colour_is_refused(tmp_path, background):
    refusal(written(tmp_path, {**good(), "background": background}))


@pytest.mark.parametrize("edge", ["soft", "LINEAR", ""])
def test_an_unknown_edge_is_refused(tmp_path, edge):
    refusal(written(tmp_path, {**good(), "edge": edge}))
