"""Scene files: what is written, that it loads back bit for bit, and what is refused."""

import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scene_files import ENDINGS, NAMES, edges_of, good, good_scene, loads, plain_row, refusal, scene_of, scenes, within
from scene_files import written as written_in

from artpipe import Canvas, InputError, Scene, load_scene, save_scene
from artpipe.renderers.canvas import SIDE_MAX
from artpipe.renderers.primitives.base import Column
from artpipe.renderers.primitives.falloff import FALLOFFS
from artpipe.renderers.primitives.table import BY_CODE, PRIMITIVES
from artpipe.renderers.row_layout import columns_of
from artpipe.stages.formats import scene_file
from artpipe.stages.formats.scene_arrays import ROWS_MAX, names_of
from artpipe.stages.formats.scene_file import BYTES_MAX, ID_MAX
from artpipe.stages.formats.schema import scene_schema


@pytest.fixture
def written(tmp_path):
    return lambda content: written_in(tmp_path, content)


@pytest.fixture(params=ENDINGS)
def path(request, tmp_path):
    return tmp_path / f"saved{request.param}"


@settings(max_examples=30)
@given(scenes(), st.sampled_from(ENDINGS))
def test_a_scene_loads_back_bit_for_bit(tmp_path_factory, scene, ending):
    path = tmp_path_factory.getbasetemp() / f"scene{ending}"
    save_scene(scene, path)
    loaded, first = load_scene(path), path.read_bytes()
    assert loaded.same_as(scene) and loaded.rows.shape == scene.rows.shape
    save_scene(loaded, str(path))
    assert path.read_bytes() == first


def test_extreme_values_load_back_bit_for_bit(path):
    canvas = Canvas(1, SIDE_MAX, (1e-45, 1 - 2**-24, 1 / 3))
    for kind in PRIMITIVES:
        rows = []
        for k, column in enumerate(columns_of(PRIMITIVES[kind])):
            least, most = within(column.low, column.high)
            tiny = [np.float32(value) for value in (1e-45, -1e-45, -0.0, 1e-38, 1 / 3) if column.low <= value]
            for value in (least, most, np.nextafter(least, most), np.nextafter(most, least), *tiny):
                rows.append(plain_row(kind))
                rows[-1][k] = value
        ids = [*range(len(rows) - 1), ID_MAX - 1]
        scene = Scene(np.array(rows, np.float32), canvas, ids=ids, kinds=kind)
        save_scene(scene, path)
        assert load_scene(path).same_as(scene)


def test_every_float32_near_a_power_of_two_loads_back_bit_for_bit(path):
    # Where the spacing of float32 changes, the shortest decimal is the hardest to find.
    powers = np.float32(2.0) ** np.arange(-140, 1, dtype=np.float32)
    values = np.concatenate([np.nextafter(powers, np.float32(0)), powers, np.nextafter(powers, np.float32(2))])
    values = values[values <= 1]
    scene = Scene.circles(Canvas(8, 6), x=values, y=-values, radius=values, colour=np.tile(values[:, None], 3))
    save_scene(scene, path)
    assert load_scene(path).same_as(scene)


class Dot(type(PRIMITIVES["circle"])):
    """A new primitive with a column of its own."""

    name, code = "dot", 77
    columns = (*PRIMITIVES["stroke"].columns[-1:], Column("glow", "share", "logit", "opacity", None, -0.5, 0.7))


def test_a_new_primitive_needs_its_row_in_the_table_alone(path, written, monkeypatch, rng):
    monkeypatch.setitem(PRIMITIVES, Dot.name, Dot())
    monkeypatch.setitem(BY_CODE, Dot.code, PRIMITIVES[Dot.name])
    others = scene_of(rng, ["circle", "triangle"], 3)
    scene = others.append(np.pad(rng.uniform(0.1, 0.7, (2, 7)), ((0, 0), (0, others.rows.shape[1] - 7))), Dot.name)
    save_scene(scene, path)
    assert load_scene(path).same_as(scene)
    row = scene_schema()["$defs"]["dot"]["prefixItems"]
    assert row[-1]["title"] == "glow" and (row[-1]["minimum"], row[-1]["maximum"]) == (-0.5, 0.7)
    content = {**good(), "kinds": {"dot": names_of(Dot())}, "ids": [0], "rows": [["dot", *[0.8] * 7]]}
    assert "row 0 has glow 0.8; needs -0.5 to 0.7" in refusal(written(content))


def test_the_file_is_plain_json_with_the_documented_keys(tmp_path, rng):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    def saved(scene):
        save_scene(scene, tmp_path / "scene.json")
        return json.loads((tmp_path / "scene.json").read_text(encoding="ascii"), parse_constant=refuse)

    assert saved(good_scene()) == good()
    assert saved(Scene.empty(Canvas(8, 6, transparent=True)))["transparent"] is True
    assert all(f'"{key}"' in scene_file.__doc__ for key in [*good(), "transparent"])
    for kind in PRIMITIVES:
        assert saved(scene_of(rng, [kind], 3))["kinds"] == {kind: NAMES[kind]}
    saved(Scene.circles(Canvas(8, 6, (0.1, 0.2, 0.3)), x=[0.1], y=[3], radius=[1e-8], colour=[[0.7, 1, 0]]))
    text = (tmp_path / "scene.json").read_text()  # the shortest decimals
    assert "[0.1, 0.2, 0.3]" in text and '["circle",0.7,1.0,0.0,1.0,0.5,0.1,3.0,1e-08]' in text


def test_files_that_other_programs_write_differently_load_as_the_same_scene(written, rng):
    def without(key):
        return {name: value for name, value in good().items() if name != key}

    whole_as_decimals = {"version": 2.0, "width": 8.0, "height": 6.0, "ids": [float(value) for value in good()["ids"]]}
    for content in (
        good(),
        {**good(), "note": "keys that are not known do no harm"},
        {**good(), **whole_as_decimals},
        json.dumps(good(), indent=4, sort_keys=True),
        '{"width": 5, ' + json.dumps(good())[1:],  # the last one counts
        without("order"),
        {**good(), "transparent": False},
    ):
        assert load_scene(written(content)).same_as(good_scene())
    for kind in PRIMITIVES:  # columns and kinds in another order
        content, order = good(), rng.permutation(len(NAMES[kind])).tolist()
        content["kinds"][kind] = [NAMES[kind][k] for k in order]
        content["kinds"] = dict(reversed(content["kinds"].items()))
        content["rows"] = [[kind, *(row[1 + k] for k in order)] if row[0] == kind else row for row in content["rows"]]
        assert load_scene(written(content)).same_as(good_scene())
    only_circles = {**good(), "ids": [0], "rows": [["circle", *plain_row("circle")]]}
    assert [primitive.name for primitive in load_scene(written(only_circles)).primitives] == ["circle"]


@pytest.mark.parametrize("name", ["scene.txt", "scene", "scene.npz.json", "scene.NPZ"])
def test_the_ending_says_what_is_written_and_the_content_what_is_read(tmp_path, name):
    save_scene(good_scene(), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(b"PK" if name.lower().endswith(".npz") else b"{")
    (tmp_path / name).rename(tmp_path / "other.json.npz")
    assert load_scene(tmp_path / "other.json.npz").same_as(good_scene())


def test_what_cannot_be_written_leaves_the_old_file_whole(path, monkeypatch):
    save_scene(Scene.empty(Canvas(8, 6)), path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as small:
        small.setattr(scene_file, "ROWS_MAX", 1)
        with pytest.raises(InputError, match="at most 1"):
            save_scene(good_scene(), path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        save_scene(Scene.empty(Canvas(4, 4)), path)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
    with pytest.raises(InputError, match="cannot write"):
        save_scene(Scene.empty(Canvas(8, 6)), path.parent / "none" / "scene.json")


# --- refusals; the tests of the schema hold those of odd values of every key ---


def changed(key, *value):
    """`good`, with another value of a key, or without it."""
    return {name: value[0] if name == key else held for name, held in good().items() if name != key or value}


DEEP = "[" * 100_000
REFUSALS = [
    *((text, "neither JSON nor .npz") for text in ("", "hello", "{", "[1, 2", DEEP, "\ufeff", json.dumps(good())[:-9])),
    *((json.dumps(value), "not a scene") for value in ({}, [], 3, None, "scene", {"rows": []}, {"format": ["x"]})),
    *((changed("version", version), "version") for version in (0, "1", None, True, 1.5, {"a": ["deep"]}, 10**4000)),
    (changed("version", 3), "newer"),
    *((changed(key), f"'{key}'") for key in set(good()) - {"format", "version", "order"}),
    (changed("version"), "version"),
    *((changed(key, side), key) for key in ("width", "height") for side in (0, SIDE_MAX + 1, 10**400, 2.5, 1e300)),
    *((changed("background", value), "background") for value in ([0.1, 0.2], [0.1, 0.2, 1.5], [True, 0, 0], "white")),
    *((changed("edge", value), "edge") for value in ("soft", "LINEAR", "", "word " * 1000)),
    (changed("order", "front to back"), "back to front"),
    *((changed("next_id", value), "next_id") for value in (7, -1, 8.5, 2**63, 1e300, True)),
    *((changed("kinds", value), "kind") for value in ([], "circle", 1, {})),
    *((changed("kinds", {name: ["x"]}), ", ".join(PRIMITIVES)) for name in ("square", "", "Circle")),
    ({**good(), "transparent": 1}, "transparent"),
]


@pytest.mark.parametrize(("content", "part"), REFUSALS, ids=range(len(REFUSALS)))
def test_what_is_not_a_scene_is_refused_with_the_reason(written, content, part):
    assert part in refusal(written(content))


def test_files_that_are_not_text_or_not_there_are_refused(tmp_path):
    (tmp_path / "scene.json").write_bytes(bytes(range(256)))
    for path, part in (
        (tmp_path / "scene.json", "neither JSON"), (tmp_path / "no", "No such file"), (tmp_path, str(tmp_path)),
    ):  # fmt: skip
        assert part in refusal(path)


@pytest.mark.parametrize(
    "ids", [[-1, 7], [7, 7], [3], [3, 7, 8], [], [0.5, 7], [3, 2**63], [[3], [7]], [3, True], [3, 7.000001], [3, 1e300]]
)
def test_ids_that_do_not_tell_rows_apart_are_refused(written, ids):
    refusal(written({**good(), "ids": ids, "rows": good()["rows"][:2]}))


@pytest.mark.parametrize("kind", PRIMITIVES)
def test_a_value_that_cannot_be_drawn_is_refused_by_row_and_column(written, kind):
    for k, column in enumerate(columns_of(PRIMITIVES[kind])):
        content = good()
        row = [kind for kind, *_ in content["rows"]].index(kind)
        content["rows"][row][1 + k] = "HERE"
        words = ["NaN", "-Infinity", "1e999", "-1e39", "1" + "0" * 400]
        # Within the limits once they are rounded to float32, which the schema knows nothing of.
        words += [repr(np.nextafter(column.low, -np.inf).item()), repr(np.nextafter(column.high, np.inf).item())]
        for word in words:
            message = refusal(written(json.dumps(content).replace('"HERE"', word)))
            needs = f"needs {column.low:.9g} to {column.high:.9g}"
            assert f"row {row} has {column.name} {float(word):.9g}; {needs}" in message
        for value in ("four", None, [1], {}, "1"):
            content["rows"][row][1 + k] = value
            assert f"row {row} has {column.name} {value!r}; needs a number" in refusal(written(content))


def test_of_several_bad_rows_the_first_is_named(written):
    content = good()
    for row in content["rows"][2:]:
        row[1] = 2
    assert "row 2 has red 2; needs 0 to 1" in refusal(written(content))


@pytest.mark.parametrize("kind", PRIMITIVES)
def test_rows_and_columns_that_are_not_those_of_a_kind_are_refused(written, kind):
    names = NAMES[kind]
    for numbers in ([], plain_row(kind)[:-1], [*plain_row(kind), 1], [plain_row(kind)]):
        message = refusal(written({**good(), "ids": [0], "rows": [[kind, *numbers]]}))
        assert f"row 0 has {len(numbers)} numbers; a {kind} needs {len(names)}: {', '.join(names)}" in message
    content = good()
    del content["kinds"][kind]
    row = [kind for kind, *_ in content["rows"]].index(kind)
    assert f"row {row} begins with '{kind}'" in refusal(written(content))
    assert "kinds is empty" in refusal(written({**content, "kinds": {}}))
    for columns in (
        names[:-1], [*names, "sheen"], [*names[:-1], "sheen"], [*names[:-1], names[0]], [], [n.upper() for n in names],
        " ".join(names), None, {name: 1 for name in names}, [*names[:-1], 7], [*names[:-1], [names[-1]]],
    ):  # fmt: skip
        message = refusal(written({**good(), "kinds": {**good()["kinds"], kind: columns}}))
        assert f"columns of {kind} are" in message and ", ".join(names) in message


def test_a_row_that_is_not_a_list_with_its_kind_is_refused(written):
    for row in ([], 4, None, {}, "circle", True, ["Circle", 1], [None], [["circle"]], plain_row("circle"), [0, 1]):
        content = good()
        content["rows"][1] = row
        message = refusal(written(content))
        if isinstance(row, list) and row:
            assert f"row 1 begins with {row[0]!r}" in message and ", ".join(good()["kinds"]) in message
        else:
            assert f"row 1 is {row!r}; needs a list" in message


def test_an_edge_that_a_kind_cannot_have_is_refused(written):
    for kind in PRIMITIVES:
        for edge in FALLOFFS:
            path = written({**good(), "edge": edge, "ids": [0], "rows": [[kind, *plain_row(kind)]]})
            if edge in edges_of(kind):
                assert load_scene(path).canvas.edge == edge
            else:
                assert edge in (message := refusal(path)) and kind in message


def test_files_and_lists_that_are_too_large_are_refused_before_they_are_read(written, monkeypatch):
    size = written(good()).stat().st_size
    for most, fits in ((size, True), (size - 1, False)):
        monkeypatch.setattr(scene_file, "BYTES_MAX", most)
        path = written(good())
        assert loads(path) == fits and (fits or f"larger than {most} bytes" in refusal(path))
    monkeypatch.undo()
    monkeypatch.setattr(scene_file, "ROWS_MAX", 10)
    for key, others in (("ids", {"ids": list(range(11)), "rows": []}), ("rows", {"rows": [[]] * 11})):
        assert f"{key} has 11 items; needs at most 10" in refusal(written({**good(), **others}))
    for kind in PRIMITIVES:  # the largest file has room for the most rows
        longest = json.dumps([kind, *[-1.1754944e-38] * len(NAMES[kind])]) + ",\n" + json.dumps([ID_MAX])
        assert len(longest) * ROWS_MAX < BYTES_MAX


@pytest.mark.parametrize("text", ["[" * 5000 + "]" * 5000, '{"a":' * 5000 + "1" + "}" * 5000, "[" * 400 + "]" * 400])
def test_json_that_is_nested_deep_loads_or_is_refused_in_one_line(written, text):
    for key in ("note", "rows", "ids", "version", "edge", "kinds", "order", "format"):
        path = written(json.dumps({**good(), key: "HERE"}).replace('"HERE"', text))
        if key == "note" and len(text) < 5000:
            assert load_scene(path).same_as(good_scene())
        else:
            refusal(path)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(list('[]{},:"0159-.eEN \\u'))), max_size=3))
def test_json_with_broken_characters_loads_or_is_refused(tmp_path_factory, changes):
    text = list(json.dumps({**good(), "note": None}))
    for place, character in changes:
        text[place % len(text)] = character
    loads(written_in(tmp_path_factory.getbasetemp(), "".join(text)))
