"""Scene files: what is written, that it loads back bit for bit, what is refused, and that the schema agrees."""

import copy
import importlib.resources
import json
import os
import warnings

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from artpipe import Canvas, InputError, Scene, load_scene, save_scene
from artpipe.renderers.primitives.base import CIRCLE
from artpipe.renderers.primitives.falloff import EDGES
from artpipe.renderers.scene import FARTHEST, SIDE_MAX, SOFTNESS_MIN
from artpipe.stages.formats import scene_file
from artpipe.stages.formats.scene_arrays import ROWS_MAX
from artpipe.stages.formats.scene_file import BYTES_MAX, ID_MAX

COLUMNS = ["x", "y", "red", "green", "blue", "opacity", "softness", "radius"]


def float32(low, high):
    """Any float32 between two, subnormal ones and -0.0 included."""
    return st.floats(float(np.float32(low)), float(np.float32(high)), width=32)


ENDINGS = [".json", ".npz"]
SOFTEST = np.float32(SOFTNESS_MIN * (1 - 1e-6))  # the smallest softness that a scene takes
SHARE = float32(0, 1)
LENGTH = float32(0, FARTHEST)
ROW = st.tuples(
    float32(-FARTHEST, FARTHEST), float32(-FARTHEST, FARTHEST), SHARE, SHARE, SHARE, SHARE,
    float32(SOFTEST, FARTHEST), LENGTH,
)  # fmt: skip
SIDE = st.integers(1, SIDE_MAX)


@st.composite
def scenes(draw):
    background, edge = draw(st.tuples(SHARE, SHARE, SHARE)), draw(st.sampled_from(list(EDGES)))
    canvas = Canvas(draw(SIDE), draw(SIDE), background, edge, draw(st.booleans()))
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
        "columns": list(COLUMNS),
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


@given(scenes(), st.sampled_from(ENDINGS))
def test_a_scene_loads_back_bit_for_bit(tmp_path_factory, scene, ending):
    path = tmp_path_factory.mktemp("scene") / f"scene{ending}"
    save_scene(scene, path)
    loaded = load_scene(path)
    assert loaded.same_as(scene)
    assert loaded.rows.tobytes() == scene.rows.tobytes()
    first = path.read_bytes()
    save_scene(loaded, str(path))
    assert path.read_bytes() == first


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("index", "values"),
    [
        (0, (1e-45, -1e-45)), (0, (-0.0, 1 / 3)), (0, (FARTHEST, -FARTHEST)), (2, (1e-45, 1 - 2**-24)),
        (6, (SOFTEST, np.nextafter(SOFTEST, np.float32(1)))), (7, (1e-38, 0.1)),
    ],
)  # fmt: skip
def test_extreme_values_load_back_bit_for_bit(tmp_path, index, values, ending):
    rows = np.array(good()["rows"], np.float32)
    rows[:, index] = values
    scene = Scene(rows, Canvas(1, SIDE_MAX, (1e-45, 1 - 2**-24, 1 / 3)), ids=[0, ID_MAX - 1])
    save_scene(scene, tmp_path / f"scene{ending}")
    assert load_scene(tmp_path / f"scene{ending}").same_as(scene)


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


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("edge", EDGES)
def test_an_empty_scene_loads_back(tmp_path, edge, ending):
    scene = Scene(np.zeros((0, 8), np.float32), Canvas(5, 4, (0.1, 0.2, 0.3), edge), next_id=77)
    save_scene(scene, tmp_path / f"scene{ending}")
    loaded = load_scene(tmp_path / f"scene{ending}")
    assert loaded.same_as(scene) and loaded.count == 0 and loaded.rows.shape == (0, 8)


def test_the_file_is_plain_json_with_the_documented_keys(tmp_path):
    scene = Scene(np.array(good()["rows"], np.float32), Canvas(8, 6, (0.25, 0.5, 1)), ids=np.array([3, 7]), next_id=9)
    save_scene(scene, tmp_path / "scene.json")

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    content = json.loads((tmp_path / "scene.json").read_text(encoding="ascii"), parse_constant=refuse)
    assert content == good()


@pytest.mark.parametrize("ending", ENDINGS)
def test_transparency_is_told_only_where_there_is_some(tmp_path, ending):
    rows = np.array(good()["rows"], np.float32)
    for transparent in (False, True):
        scene = Scene(rows, Canvas(8, 6, transparent=transparent))
        path = tmp_path / f"scene{ending}"
        save_scene(scene, path)
        assert load_scene(path).same_as(scene)
        if ending == ".npz":
            held = np.load(path)
            assert ("transparent" in held) == transparent and held.get("transparent", 0) == transparent
        else:
            assert json.loads(path.read_text()).get("transparent") is (True if transparent else None)


@pytest.mark.parametrize("value", [None, 1, 0, "true", [True], {}])
def test_a_transparency_that_is_neither_true_nor_false_is_refused(tmp_path, value):
    assert "transparent" in refusal(written(tmp_path, {**good(), "transparent": value}))
    assert not load_scene(written(tmp_path, {**good(), "transparent": False})).canvas.transparent


@pytest.mark.parametrize("value", [2, -1])
def test_an_array_of_transparency_holds_1_or_0(tmp_path, value):
    save_scene(Scene.empty(Canvas(8, 6)), tmp_path / "scene.npz")
    np.savez(tmp_path / "other.npz", transparent=np.int64(value), **np.load(tmp_path / "scene.npz"))
    assert "transparent" in refusal(tmp_path / "other.npz")


def test_the_documentation_of_the_format_names_every_key():
    for key in [*good(), "transparent"]:
        assert f'"{key}"' in scene_file.__doc__
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


def test_what_other_programs_may_write_differently_loads_as_the_same(tmp_path):
    scene = load_scene(written(tmp_path, good()))
    whole_as_decimals = {**good(), "version": 1.0, "width": 8.0, "height": 6.0, "next_id": 9.0, "ids": [3.0, 7.0]}
    assert load_scene(written(tmp_path, whole_as_decimals)).same_as(scene)
    assert load_scene(written(tmp_path, json.dumps(good(), indent=4, sort_keys=True))).same_as(scene)
    assert load_scene(written(tmp_path, '{"width": 5, ' + json.dumps(good())[1:])).same_as(scene)  # the last one counts
    without_order = good()
    del without_order["order"]
    assert load_scene(written(tmp_path, without_order)).same_as(scene)


@pytest.mark.parametrize("name", ["scene.txt", "scene", "scene.npz.json", "scene.NPZ", "archive.npz"])
def test_the_ending_says_what_is_written_and_the_content_what_is_read(tmp_path, name):
    scene = Scene(np.array(good()["rows"], np.float32), Canvas(8, 6))
    save_scene(scene, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(b"PK" if name.lower().endswith(".npz") else b"{")
    assert load_scene(tmp_path / name).same_as(scene)
    (tmp_path / name).rename(tmp_path / "other.json.npz")
    assert load_scene(tmp_path / "other.json.npz").same_as(scene)


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_old_file_stays_whole_if_the_disk_is_full(tmp_path, monkeypatch, ending):
    path = tmp_path / f"scene{ending}"
    save_scene(Scene.empty(Canvas(8, 6)), path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        save_scene(Scene.empty(Canvas(4, 4)), path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_scene_that_would_not_load_back_is_not_written(tmp_path, monkeypatch, ending):
    with pytest.raises(InputError, match="9 columns"):
        save_scene(Scene(np.ones((2, 9), np.float32), Canvas(8, 6)), tmp_path / f"scene{ending}")
    monkeypatch.setattr(scene_file, "ROWS_MAX", 1)
    with pytest.raises(InputError, match="at most 1"):
        save_scene(Scene(np.ones((2, 8), np.float32), Canvas(8, 6)), tmp_path / f"scene{ending}")
    assert not list(tmp_path.iterdir())


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


@pytest.mark.parametrize("version", [2, 0, "1", None, True, 1.5, [1], {"a": ["deep"]}, 10**4000])
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
    assert f"row 1 has x {value:g}" in refusal(written(tmp_path, content))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (0, 2e6), (1, -2e6), (2, 1.01), (3, -0.01), (4, 2), (5, 1.5), (5, -1), (6, 0), (6, -1), (7, -0.1), (7, 2e6),
        # Within the limits only once they are rounded to float32, which the schema knows nothing of.
        (0, 1e6 + 1e-3), (2, 1 + 1e-9), (3, -1e-60), (6, 0.00099999899), (7, -1e-60),
    ],
)  # fmt: skip
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
    [[-1, 7], [7, 7], [3], [3, 7, 8], [], [0.5, 7], [3, 2**63], [[3], [7]], [3, True], [3, 7.000001], [3, 1e300]],
    ids=[
        "negative", "equal", "too few", "too many", "none", "fraction", "past int64", "nested", "true",
        "nearly whole", "huge",
    ],
)  # fmt: skip
def test_ids_that_do_not_tell_rows_apart_are_refused(tmp_path, ids):
    refusal(written(tmp_path, {**good(), "ids": ids}))


@pytest.mark.parametrize("next_id", [7, 0, -1, 8.5, 2**63, 2**70, 1e300, True])
def test_a_next_id_that_would_repeat_one_or_is_none_is_refused(tmp_path, next_id):
    refusal(written(tmp_path, {**good(), "next_id": next_id}))


@pytest.mark.parametrize(
    "background", [[0.1, 0.2], [0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 1.5], [-1, 0, 0], [True, 0, 0], "white", {}]
)
def test_a_background_that_is_no_colour_is_refused(tmp_path, background):
    refusal(written(tmp_path, {**good(), "background": background}))


@pytest.mark.parametrize("edge", ["soft", "LINEAR", "", "word " * 1000])
def test_an_unknown_edge_is_refused(tmp_path, edge):
    refusal(written(tmp_path, {**good(), "edge": edge}))


def test_another_order_is_refused(tmp_path):
    assert "back to front" in refusal(written(tmp_path, {**good(), "order": "front to back"}))


@pytest.mark.parametrize("key", ["ids", "rows"])
def test_a_list_that_is_too_long_is_refused_before_it_is_read(tmp_path, monkeypatch, key):
    monkeypatch.setattr(scene_file, "ROWS_MAX", 10)
    content = {**good(), "ids": list(range(11)), "rows": good()["rows"] * 5, "next_id": 99}
    if key == "rows":
        content = {**content, "ids": [3, 7], "rows": [[]] * 11}
    message = refusal(written(tmp_path, content))
    assert key in message and "at most 10" in message


def test_a_file_that_is_too_large_is_refused_before_it_is_parsed(tmp_path, monkeypatch):
    path = written(tmp_path, good())
    size = path.stat().st_size
    monkeypatch.setattr(scene_file, "BYTES_MAX", size)
    assert load_scene(path).count == 2
    monkeypatch.setattr(scene_file, "BYTES_MAX", size - 1)
    assert f"larger than {size - 1} bytes" in refusal(path)


def test_the_largest_file_has_room_for_the_most_rows():
    longest = json.dumps([-1.1754944e-38] * 8) + ",\n" + json.dumps([ID_MAX, ID_MAX])
    assert len(longest) * ROWS_MAX < BYTES_MAX


@pytest.mark.parametrize("text", ["[" * 5000 + "]" * 5000, '{"a":' * 5000 + "1" + "}" * 5000, "[" * 400 + "]" * 400])
@pytest.mark.parametrize("key", ["note", "rows", "ids", "version", "edge", "columns", "format"])
def test_json_that_is_nested_deep_loads_or_is_refused_in_one_line(tmp_path, key, text):
    path = written(tmp_path, json.dumps({**good(), key: "HERE"}).replace('"HERE"', text))
    if key == "note" and len(text) < 5000:
        assert load_scene(path).count == 2
    else:
        refusal(path)


# --- whatever the file ---

ODD_VALUES = [
    None, True, False, -1, 0, 1, 1.0, 2, 9, 8.5, 1e-3, 9.99999e-4, 9.99998e-4, 1e6, -1e6, 1e6 + 0.01, 65536, 65537,
    ID_MAX, ID_MAX + 1, 1e18, 1e300, -1e-60, 1 + 1e-12, 10**30, "", "circle", "linear", "logistic", "back to front",
    [], [1], [3, 7], [0, 0.5, 1], {}, {"x": 1}, [[]], good()["rows"][0], COLUMNS, ["circle"], ["circle", "circle"],
]  # fmt: skip
MUTATION = st.tuples(
    st.sampled_from(["set", "delete", "insert"]), st.integers(0, 99), st.integers(0, 99), st.sampled_from(ODD_VALUES)
)


def mutated(content, mutations):
    """A copy in which values, at any depth, are replaced, deleted or inserted."""
    content = copy.deepcopy(content)
    for what, first, second, value in mutations:
        # Three of four mutations go down into a list, as far as there is one.
        place, keys = content, sorted(content)
        key = keys[first % len(keys)]
        while isinstance(place[key], list) and place[key] and second % 4:
            place, key, second = place[key], second % len(place[key]), second // 4
        if what == "set":
            place[key] = copy.deepcopy(value)
        elif what == "insert" and isinstance(place, list):
            place.insert(key, copy.deepcopy(value))
        elif what == "delete" and len(content) > 1:
            del place[key]
    return content


def loads(path):
    """Whether a file gives a scene; what it must never give is any other error, or a warning."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return isinstance(load_scene(path), Scene)
    except InputError as error:
        assert "\n" not in str(error)
        return False


@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(list('[]{},:"0159-.eEN \\u'))), max_size=3))
def test_json_with_broken_characters_loads_or_is_refused(tmp_path_factory, changes):
    text = list(json.dumps({**good(), "note": None}))
    for place, character in changes:
        text[place % len(text)] = character
    loads(written(tmp_path_factory.mktemp("broken"), "".join(text)))


@given(st.binary(max_size=40))
def test_any_bytes_load_or_are_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("bytes") / "scene.json"
    for start in (b"", b"PK", b'{"format": "artpipe-scene", "version": 1, '):
        path.write_bytes(start + data)
        assert not loads(path)


# --- the schema ---


@pytest.fixture(scope="module")
def schema():
    file = importlib.resources.files("artpipe.stages.formats") / "scene.schema.json"
    return json.loads(file.read_text("utf-8"))


@pytest.fixture(scope="module")
def fits(schema):
    """`content -> bool`: whether the schema accepts it."""
    return pytest.importorskip("jsonschema").Draft202012Validator(schema).is_valid


def test_the_schema_is_valid(schema):
    pytest.importorskip("jsonschema").Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_schema_describes_every_key_and_every_column(schema):
    assert set(schema["properties"]) == {*good(), "transparent"} == {*schema["required"], "order", "transparent"}
    assert all("description" in value for value in [schema, *schema["properties"].values()])
    columns = schema["$defs"]["circle"]["prefixItems"]
    assert [column["title"] for column in columns] == COLUMNS and all("description" in column for column in columns)


def test_the_schema_has_the_limits_of_the_program(schema):
    kinds = schema["$defs"]
    assert kinds["side"]["maximum"] == SIDE_MAX and kinds["id"]["maximum"] == ID_MAX
    assert kinds["coordinate"]["maximum"] == -kinds["coordinate"]["minimum"] == FARTHEST
    softness = kinds["circle"]["prefixItems"][6]
    assert softness["minimum"] == SOFTNESS_MIN * (1 - 1e-6) == float(str(SOFTEST)) and softness["maximum"] == FARTHEST
    assert schema["properties"]["edge"]["enum"] == list(EDGES)
    assert schema["properties"]["ids"]["maxItems"] == schema["properties"]["rows"]["maxItems"] == ROWS_MAX


def test_the_examples_of_the_schema_fit_it_and_load(tmp_path, schema, fits):
    for content in schema["examples"]:
        assert fits(content)
        assert load_scene(written(tmp_path, content)).count == len(content["rows"])


@given(scenes())
def test_the_schema_accepts_what_is_written(tmp_path_factory, fits, scene):
    path = tmp_path_factory.mktemp("scene") / "scene.json"
    save_scene(scene, path)
    assert fits(json.loads(path.read_text()))


def only_the_program_sees(content):
    """Whether a file that fits the schema breaks one of the two rules that a schema cannot say."""
    return len(content["ids"]) != len(content["rows"]) or content["next_id"] <= max(content["ids"], default=-1)


@pytest.mark.parametrize("key", [*good(), "transparent", "note"])
def test_the_schema_and_the_program_agree_on_every_odd_value_of_a_key(tmp_path, fits, key):
    for value in ODD_VALUES:
        content = {**good(), key: value}
        agree(tmp_path, fits, content)


@pytest.mark.parametrize("key", ["background", "ids", "columns", "kinds", *COLUMNS])
def test_the_schema_and_the_program_agree_on_every_odd_value_in_a_list(tmp_path, fits, key):
    for value in ODD_VALUES:
        content = good()
        (content["rows"][1] if key in COLUMNS else content[key])[COLUMNS.index(key) if key in COLUMNS else -1] = value
        agree(tmp_path, fits, content)


@given(st.lists(MUTATION, min_size=1, max_size=3))
@example([("delete", 8, 0, None)])
def test_the_schema_and_the_program_agree_on_mutated_files(tmp_path_factory, fits, mutations):
    agree(tmp_path_factory.mktemp("mutated"), fits, mutated(good(), mutations))


def agree(folder, fits, content):
    loaded = loads(written(folder, content))
    assert loaded == (fits(content) and not only_the_program_sees(content)), content
