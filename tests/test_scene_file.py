"""Scene files: what is written, that it loads back bit for bit, and what is refused."""

import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scene_files import (
    ENDINGS,
    NAMES,
    edges_of,
    good,
    good_scene,
    loads,
    plain_row,
    refusal,
    scene_of,
    scenes,
    within,
    written,
)

from artpipe import Canvas, InputError, Scene, load_scene, save_scene
from artpipe.renderers.canvas import SIDE_MAX
from artpipe.renderers.primitives.base import Column
from artpipe.renderers.primitives.falloff import FALLOFFS
from artpipe.renderers.primitives.table import BY_CODE, PRIMITIVES
from artpipe.renderers.scene import columns_of
from artpipe.stages.formats import scene_file
from artpipe.stages.formats.scene_arrays import ROWS_MAX, names_of
from artpipe.stages.formats.scene_file import BYTES_MAX, ID_MAX
from artpipe.stages.formats.schema import scene_schema


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
@pytest.mark.parametrize("kind", PRIMITIVES)
def test_extreme_values_load_back_bit_for_bit(tmp_path, kind, ending):
    rows = []
    for k, column in enumerate(columns_of(PRIMITIVES[kind])):
        least, most = within(column.low, column.high)
        tiny = [np.float32(value) for value in (1e-45, -1e-45, -0.0, 1e-38, 1 / 3) if column.low <= value]
        for value in (least, most, np.nextafter(least, most), np.nextafter(most, least), *tiny):
            rows.append(plain_row(kind))
            rows[-1][k] = value
    ids = [*range(len(rows) - 1), ID_MAX - 1]
    canvas = Canvas(1, SIDE_MAX, (1e-45, 1 - 2**-24, 1 / 3))
    scene = Scene(np.array(rows, np.float32), canvas, ids=ids, kinds=kind)
    save_scene(scene, tmp_path / f"scene{ending}")
    assert load_scene(tmp_path / f"scene{ending}").same_as(scene)


def test_every_float32_near_a_power_of_two_loads_back_bit_for_bit(tmp_path):
    # Where the spacing of float32 changes, the shortest decimal is the hardest to find.
    powers = np.float32(2.0) ** np.arange(-140, 1, dtype=np.float32)
    values = np.concatenate([np.nextafter(powers, np.float32(0)), powers, np.nextafter(powers, np.float32(2))])
    values = values[values <= 1]
    scene = Scene.circles(Canvas(8, 6), x=values, y=-values, radius=values, colour=np.tile(values[:, None], 3))
    save_scene(scene, tmp_path / "scene.json")
    assert load_scene(tmp_path / "scene.json").same_as(scene)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kinds", [*([kind] for kind in PRIMITIVES), list(PRIMITIVES)], ids="-".join)
def test_rows_of_every_kind_and_a_mix_load_back_bit_for_bit(tmp_path, rng, kinds, ending):
    scene = scene_of(rng, kinds, 50)
    save_scene(scene, tmp_path / f"scene{ending}")
    assert load_scene(tmp_path / f"scene{ending}").same_as(scene)


class Dot(type(PRIMITIVES["circle"])):
    """A newcomer with a column of its own."""

    name, code = "dot", 77
    columns = (*PRIMITIVES["stroke"].columns[-1:], Column("glow", "share", "logit", "opacity", None, -0.5, 0.7))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_new_primitive_needs_its_row_in_the_table_alone(tmp_path, monkeypatch, rng, ending):
    monkeypatch.setitem(PRIMITIVES, Dot.name, Dot())
    monkeypatch.setitem(BY_CODE, Dot.code, PRIMITIVES[Dot.name])
    others = scene_of(rng, ["circle", "triangle"], 3)
    dots = np.pad(rng.uniform(0.1, 0.7, (2, 7)), ((0, 0), (0, others.rows.shape[1] - 7)))
    scene = others.append(dots, Dot.name)
    save_scene(scene, tmp_path / f"scene{ending}")
    assert load_scene(tmp_path / f"scene{ending}").same_as(scene)
    row = scene_schema()["$defs"]["dot"]["prefixItems"]
    assert row[-1]["title"] == "glow" and (row[-1]["minimum"], row[-1]["maximum"]) == (-0.5, 0.7)
    path = written(tmp_path, {**good(), "kinds": {"dot": names_of(Dot())}, "ids": [0], "rows": [["dot", *[0.8] * 7]]})
    assert "row 0 has glow 0.8; needs -0.5 to 0.7" in refusal(path)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("edge", FALLOFFS)
def test_an_empty_scene_loads_back(tmp_path, edge, ending):
    scene = Scene(np.zeros((0, 1), np.float32), Canvas(5, 4, (0.1, 0.2, 0.3), edge), next_id=77)
    save_scene(scene, tmp_path / f"scene{ending}")
    loaded = load_scene(tmp_path / f"scene{ending}")
    assert loaded.same_as(scene) and loaded.count == 0 and loaded.rows.shape == scene.rows.shape


def test_the_file_is_plain_json_with_the_documented_keys(tmp_path):
    save_scene(good_scene(), tmp_path / "scene.json")

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    content = json.loads((tmp_path / "scene.json").read_text(encoding="ascii"), parse_constant=refuse)
    assert content == good()


def test_only_the_kinds_of_its_rows_are_named(tmp_path, rng):
    for kind in PRIMITIVES:
        save_scene(scene_of(rng, [kind], 3), tmp_path / "scene.json")
        assert json.loads((tmp_path / "scene.json").read_text())["kinds"] == {kind: NAMES[kind]}


@pytest.mark.parametrize("ending", ENDINGS)
def test_transparency_is_told_only_where_there_is_some(tmp_path, ending):
    for transparent in (False, True):
        scene = Scene(good_scene().rows, Canvas(8, 6, transparent=transparent), kinds=good_scene().kinds)
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


def test_numbers_are_the_shortest_decimals(tmp_path):
    scene = Scene.circles(Canvas(8, 6, (0.1, 0.2, 0.3)), x=[0.1], y=[3], radius=[1e-8], colour=[[0.7, 1, 0]])
    save_scene(scene, tmp_path / "scene.json")
    text = (tmp_path / "scene.json").read_text()
    assert "[0.1, 0.2, 0.3]" in text and '["circle",0.7,1.0,0.0,1.0,0.5,0.1,3.0,1e-08]' in text


def test_a_hand_written_file_loads(tmp_path):
    scene = load_scene(written(tmp_path, good()))
    assert scene.same_as(good_scene())
    assert load_scene(str(tmp_path / "scene.json")).same_as(scene)
    assert load_scene(written(tmp_path, {**good(), "note": "keys that are not known do no harm"})).same_as(scene)


@pytest.mark.parametrize("kind", PRIMITIVES)
def test_columns_are_read_by_their_names(tmp_path, rng, kind):
    save_scene(scene_of(rng, PRIMITIVES, 5), tmp_path / "scene.json")
    content = json.loads((tmp_path / "scene.json").read_text())
    order = rng.permutation(len(NAMES[kind])).tolist()
    content["kinds"][kind] = [NAMES[kind][k] for k in order]
    content["kinds"] = dict(reversed(content["kinds"].items()))
    content["rows"] = [[kind, *(row[1 + k] for k in order)] if row[0] == kind else row for row in content["rows"]]
    scene = load_scene(tmp_path / "scene.json")
    assert load_scene(written(tmp_path, content)).same_as(scene)


def test_a_kind_without_rows_may_be_named(tmp_path):
    content = {**good(), "ids": [0], "rows": [["circle", *plain_row("circle")]]}
    assert [primitive.name for primitive in load_scene(written(tmp_path, content)).primitives] == ["circle"]


def test_what_other_programs_may_write_differently_loads_as_the_same(tmp_path):
    scene = load_scene(written(tmp_path, good()))
    ids = [float(value) for value in good()["ids"]]
    whole_as_decimals = {**good(), "version": 2.0, "width": 8.0, "height": 6.0, "next_id": 99.0, "ids": ids}
    assert load_scene(written(tmp_path, whole_as_decimals)).same_as(scene)
    assert load_scene(written(tmp_path, json.dumps(good(), indent=4, sort_keys=True))).same_as(scene)
    assert load_scene(written(tmp_path, '{"width": 5, ' + json.dumps(good())[1:])).same_as(scene)  # the last one counts
    without_order = good()
    del without_order["order"]
    assert load_scene(written(tmp_path, without_order)).same_as(scene)


@pytest.mark.parametrize("name", ["scene.txt", "scene", "scene.npz.json", "scene.NPZ", "archive.npz"])
def test_the_ending_says_what_is_written_and_the_content_what_is_read(tmp_path, name):
    scene = good_scene()
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
    monkeypatch.setattr(scene_file, "ROWS_MAX", 1)
    with pytest.raises(InputError, match="at most 1"):
        save_scene(good_scene(), tmp_path / f"scene{ending}")
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
    assert "neither JSON nor .npz" in refusal(written(tmp_path, content))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "scene.json"
    path.write_bytes(bytes(range(256)))
    assert "neither JSON nor .npz" in refusal(path)


@pytest.mark.parametrize(
    "content", [{}, [], 3, None, "scene", {"format": "artpipe-run", "version": 1}, {"rows": []}, {"format": ["x"]}]
)
def test_other_json_is_refused(tmp_path, content):
    assert "not a scene" in refusal(written(tmp_path, json.dumps(content)))


@pytest.mark.parametrize("version", [3, 0, "1", None, True, 1.5, [1], {"a": ["deep"]}, 10**4000])
def test_another_version_is_refused(tmp_path, version):
    message = refusal(written(tmp_path, {**good(), "version": version}))
    assert "version" in message
    if version == 3:
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
@pytest.mark.parametrize("key", ["background", "ids"])
def test_what_is_no_number_within_a_list_is_refused(tmp_path, key, value):
    content = good()
    content[key][1] = value
    refusal(written(tmp_path, content))


@pytest.mark.parametrize("value", NOT_NUMBERS.values(), ids=NOT_NUMBERS)
@pytest.mark.parametrize("key", ["background", "ids", "rows", "kinds", "edge", "order"])
def test_what_is_no_list_or_name_is_refused(tmp_path, key, value):
    refusal(written(tmp_path, {**good(), key: value}))


@pytest.mark.parametrize("side", [0, -1, SIDE_MAX + 1, 10**9, 10**400, 2.5, 1e300])
@pytest.mark.parametrize("key", ["width", "height"])
def test_an_absurd_canvas_is_refused(tmp_path, key, side):
    refusal(written(tmp_path, {**good(), key: side}))


def with_value(kind, k, value):
    """A good file with another value in a row of this kind, its number, and the range that the message tells."""
    content = good()
    row = [kind for kind, *_ in content["rows"]].index(kind)
    content["rows"][row][1 + k] = value
    column = columns_of(PRIMITIVES[kind])[k]
    return content, row, column.name, f"needs {column.low:.9g} to {column.high:.9g}"


EVERY_COLUMN = [(kind, k) for kind in PRIMITIVES for k in range(len(NAMES[kind]))]


@pytest.mark.parametrize(("kind", "k"), EVERY_COLUMN)
def test_a_value_that_cannot_be_drawn_is_refused_by_row_and_column(tmp_path, kind, k):
    column = columns_of(PRIMITIVES[kind])[k]
    words = ["NaN", "Infinity", "-Infinity", "1e999", "1e39", "-1e39", "1" + "0" * 400]
    # Within the limits once they are rounded to float32, which the schema knows nothing of.
    words += [repr(np.nextafter(column.low, -np.inf).item()), repr(np.nextafter(column.high, np.inf).item())]
    for word in words:
        content, row, name, needs = with_value(kind, k, "HERE")
        message = refusal(written(tmp_path, json.dumps(content).replace('"HERE"', word)))
        assert f"row {row} has {name} {float(word):.9g}; {needs}" in message


@pytest.mark.parametrize(("kind", "k"), EVERY_COLUMN)
@pytest.mark.parametrize("value", NOT_NUMBERS.values(), ids=NOT_NUMBERS)
def test_what_is_no_number_in_a_row_is_refused_by_row_and_column(tmp_path, kind, k, value):
    content, row, name, _ = with_value(kind, k, value)
    assert f"row {row} has {name} {value!r}; needs a number" in refusal(written(tmp_path, content))


def test_of_several_bad_rows_the_first_is_named(tmp_path):
    content = good()
    for row in content["rows"][2:]:
        row[1] = 2
    assert "row 2 has red 2; needs 0 to 1" in refusal(written(tmp_path, content))


@pytest.mark.parametrize("kind", PRIMITIVES)
def test_a_row_with_too_few_or_too_many_numbers_is_refused(tmp_path, kind):
    for numbers in ([], plain_row(kind)[:-1], [*plain_row(kind), 1], [plain_row(kind)]):
        content = {**good(), "ids": [0], "rows": [[kind, *numbers]]}
        message = refusal(written(tmp_path, content))
        assert (
            f"row 0 has {len(numbers)} numbers; a {kind} needs {len(NAMES[kind])}: {', '.join(NAMES[kind])}" in message
        )


@pytest.mark.parametrize("row", [[], 4, None, {}, "circle", True], ids=str)
def test_a_row_that_is_no_list_is_refused(tmp_path, row):
    content = good()
    content["rows"][1] = row
    assert f"row 1 is {row!r}; needs a list" in refusal(written(tmp_path, content))


@pytest.mark.parametrize(
    "row", [["Circle", 1], ["square", 1], [None], [["circle"]], plain_row("circle"), [0, 1]], ids=str
)
def test_a_row_without_a_kind_is_refused(tmp_path, row):
    content = good()
    content["rows"][1] = row
    message = refusal(written(tmp_path, content))
    assert f"row 1 begins with {row[0]!r}" in message and ", ".join(good()["kinds"]) in message


@pytest.mark.parametrize("kind", PRIMITIVES)
def test_a_row_whose_kind_is_not_among_the_kinds_is_refused(tmp_path, kind):
    content = good()
    del content["kinds"][kind]
    row = [kind for kind, *_ in content["rows"]].index(kind)
    assert f"row {row} begins with '{kind}'" in refusal(written(tmp_path, content))
    assert "kinds is empty" in refusal(written(tmp_path, {**content, "kinds": {}}))


@pytest.mark.parametrize("kind", PRIMITIVES)
def test_other_columns_of_a_kind_are_refused(tmp_path, kind):
    names = NAMES[kind]
    for columns in (
        names[:-1], [*names, "sheen"], [*names[:-1], "sheen"], [*names[:-1], names[0]], [], [n.upper() for n in names],
        " ".join(names), None, {name: 1 for name in names}, [*names[:-1], 7], [*names[:-1], [names[-1]]],
    ):  # fmt: skip
        content = good()
        content["kinds"][kind] = columns
        message = refusal(written(tmp_path, content))
        assert f"columns of {kind} are" in message and ", ".join(names) in message


@pytest.mark.parametrize("kinds", [[], ["circle"], "circle", 1, {"square": ["x"]}, {"": []}, {"Circle": []}], ids=str)
def test_kinds_that_nothing_draws_are_refused(tmp_path, kinds):
    message = refusal(written(tmp_path, {**good(), "kinds": kinds}))
    assert "kind" in message
    if isinstance(kinds, dict):
        assert ", ".join(PRIMITIVES) in message and "newer" in message


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", PRIMITIVES)
@pytest.mark.parametrize("edge", FALLOFFS)
def test_an_edge_that_a_kind_cannot_have_is_refused(tmp_path, kind, edge, ending):
    path = written(tmp_path, {**good(), "edge": edge, "ids": [0], "rows": [[kind, *plain_row(kind)]]})
    if edge in edges_of(kind):
        save_scene(load_scene(path), tmp_path / f"scene{ending}")
        assert load_scene(tmp_path / f"scene{ending}").canvas.edge == edge
    else:
        assert edge in (message := refusal(path)) and kind in message


@pytest.mark.parametrize(
    "ids",
    [[-1, 7], [7, 7], [3], [3, 7, 8], [], [0.5, 7], [3, 2**63], [[3], [7]], [3, True], [3, 7.000001], [3, 1e300]],
    ids=[
        "negative", "equal", "too few", "too many", "none", "fraction", "past int64", "nested", "true",
        "nearly whole", "huge",
    ],
)  # fmt: skip
def test_ids_that_do_not_tell_rows_apart_are_refused(tmp_path, ids):
    refusal(written(tmp_path, {**good(), "ids": ids, "rows": good()["rows"][:2]}))


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
    content = {**good(), "ids": list(range(11)), "rows": []}
    if key == "rows":
        content = {**content, "ids": [3, 7], "rows": [[]] * 11}
    message = refusal(written(tmp_path, content))
    assert key in message and "at most 10" in message


def test_a_file_that_is_too_large_is_refused_before_it_is_parsed(tmp_path, monkeypatch):
    path = written(tmp_path, good())
    size = path.stat().st_size
    monkeypatch.setattr(scene_file, "BYTES_MAX", size)
    assert load_scene(path).same_as(good_scene())
    monkeypatch.setattr(scene_file, "BYTES_MAX", size - 1)
    assert f"larger than {size - 1} bytes" in refusal(path)


@pytest.mark.parametrize("kind", PRIMITIVES)
def test_the_largest_file_has_room_for_the_most_rows(kind):
    longest = json.dumps([kind, *[-1.1754944e-38] * len(NAMES[kind])]) + ",\n" + json.dumps([ID_MAX])
    assert len(longest) * ROWS_MAX < BYTES_MAX


@pytest.mark.parametrize("text", ["[" * 5000 + "]" * 5000, '{"a":' * 5000 + "1" + "}" * 5000, "[" * 400 + "]" * 400])
@pytest.mark.parametrize("key", ["note", "rows", "ids", "version", "edge", "kinds", "order", "format"])
def test_json_that_is_nested_deep_loads_or_is_refused_in_one_line(tmp_path, key, text):
    path = written(tmp_path, json.dumps({**good(), key: "HERE"}).replace('"HERE"', text))
    if key == "note" and len(text) < 5000:
        assert load_scene(path).same_as(good_scene())
    else:
        refusal(path)


# --- whatever the file ---


@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(list('[]{},:"0159-.eEN \\u'))), max_size=3))
def test_json_with_broken_characters_loads_or_is_refused(tmp_path_factory, changes):
    text = list(json.dumps({**good(), "note": None}))
    for place, character in changes:
        text[place % len(text)] = character
    loads(written(tmp_path_factory.mktemp("broken"), "".join(text)))


@given(st.binary(max_size=40))
def test_any_bytes_load_or_are_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("bytes") / "scene.json"
    for start in (b"", b"PK", b'{"format": "artpipe-scene", "version": 2, '):
        path.write_bytes(start + data)
        assert not loads(path)
