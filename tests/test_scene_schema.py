"""The JSON Schema of scene files matches the table, and agrees with the program on what is a scene."""

import importlib.resources
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from scene_files import NAMES, PAINT, edges_of, good, loads, plain_row, scenes, within, written

from artpipe import load_scene, save_scene
from artpipe.renderers.primitives.base import SOFTNESS_MIN
from artpipe.renderers.primitives.falloff import FALLOFFS
from artpipe.renderers.primitives.table import PRIMITIVES
from artpipe.renderers.row_layout import columns_of
from artpipe.stages.formats.scene_file import ID_MAX
from artpipe.stages.formats.schema import scene_schema, schema_text


@pytest.fixture(scope="module")
def fits():
    """`content -> bool`: whether the schema accepts it."""
    return pytest.importorskip("jsonschema").Draft202012Validator(scene_schema()).is_valid


def test_the_file_of_the_schema_is_that_of_the_table():
    file = importlib.resources.files("artpipe.stages.formats") / "scene.schema.json"
    if os.environ.get("UPDATE"):
        Path(str(file)).resolve().write_text(schema_text(), encoding="utf-8")
    assert file.read_text("utf-8") == schema_text(), "UPDATE=1 writes it anew"


def test_the_schema_is_valid_and_has_every_key_and_every_column():
    schema = scene_schema()
    pytest.importorskip("jsonschema").Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["properties"]) == {*good(), "transparent"} == {*schema["required"], "order", "transparent"}
    for name in PRIMITIVES:
        kind, *columns = schema["$defs"][name]["prefixItems"]
        assert kind == {"const": name} and [column["title"] for column in columns] == NAMES[name]


def test_the_examples_of_the_schema_and_the_readme_fit_it_and_load(tmp_path, fits):
    examples, readme = scene_schema()["examples"], Path(__file__).parents[1] / "README.md"
    if readme.exists():
        text = readme.read_text(encoding="utf-8")
        examples += json.JSONDecoder().raw_decode(text, text.index('{"format": "artpipe-scene"'))[:1]
    for content in examples:
        assert fits(content)
        assert load_scene(written(tmp_path, content)).count == len(content["rows"])


@settings(max_examples=20)
@given(scenes())
def test_the_schema_accepts_what_is_written(tmp_path_factory, fits, scene):
    path = tmp_path_factory.getbasetemp() / "scene.json"
    save_scene(scene, path)
    assert fits(json.loads(path.read_text()))


def of_one_row(kind):
    """What the file of a scene of one such row holds."""
    return {**good(), "kinds": {kind: list(NAMES[kind])}, "ids": [0], "rows": [[kind, *plain_row(kind)]]}


def agree(folder, fits, content):
    """Fails unless both accept the content, or both refuse it."""
    assert loads(written(folder, content)) == (fits(content) and not only_the_program_sees(content)), content


def only_the_program_sees(content):
    """Whether a file that fits the schema breaks one of the rules that a schema cannot say."""
    return (
        len(content["ids"]) != len(content["rows"])
        or content["next_id"] <= max(content["ids"], default=-1)
        or not {row[0] for row in content["rows"]} <= set(content["kinds"])
    )


@pytest.mark.parametrize("kind", PRIMITIVES)
def test_the_schema_and_the_program_agree_at_the_limits_of_every_column(tmp_path, fits, kind):
    def content(k, value):
        content = of_one_row(kind)
        content["rows"][0][1 + k] = value
        return content

    for k, column in enumerate(columns_of(PRIMITIVES[kind])):
        for low_or_high in within(column.low, column.high):
            edge = content(k, float(str(low_or_high)))
            assert fits(edge) and loads(written(tmp_path, edge))
        for outside in (column.low - 1e-9, column.high + 1e-9, 1e300):
            assert not fits(content(k, outside))
            agree(tmp_path, fits, content(k, outside))


def test_the_schema_and_the_program_agree_on_the_edges_of_every_kind(tmp_path, fits):
    for kind in PRIMITIVES:
        for edge in FALLOFFS:
            content = {**of_one_row(kind), "edge": edge}
            assert fits(content) == (edge in edges_of(kind))
            agree(tmp_path, fits, content)


CIRCLE = ["circle", *plain_row("circle")]
ODD_VALUES = [
    None, True, False, -1, 0, 1, 1.0, 2, 9, 8.5, 9.99998e-4, 1e6 + 0.01, 65536, 65537,
    SOFTNESS_MIN, ID_MAX, ID_MAX + 1, 1e300, -1e-60, 1 + 1e-12, 10**400, "", "circle", "linear",
    "logistic", "back to front", [], [1], [3, 7], [0, 0.5, 1], {}, {"x": 1}, [[]], CIRCLE, CIRCLE[1:], CIRCLE[:-1],
    [CIRCLE], NAMES["circle"], ["circle"], ["circle", "circle"], {"circle": NAMES["circle"]}, {"circle": []},
    {"circle": {}}, {"square": NAMES["circle"]}, ["square", *PAINT], ["circle", *PAINT],
]  # fmt: skip


@pytest.mark.parametrize("key", [*good(), "transparent", "note"])
def test_the_schema_and_the_program_agree_on_every_odd_value_of_a_key(tmp_path, fits, key):
    for value in ODD_VALUES:
        agree(tmp_path, fits, {**of_one_row("stroke"), key: value})


@pytest.mark.parametrize("key", ["background", "ids", "rows"])
def test_the_schema_and_the_program_agree_on_every_odd_value_in_a_list(tmp_path, fits, key):
    for value in ODD_VALUES:
        content = good() if key != "rows" else of_one_row("circle")
        content[key][-1] = value
        agree(tmp_path, fits, content)


@pytest.mark.parametrize("kind", PRIMITIVES)
def test_the_schema_and_the_program_agree_on_every_odd_value_in_a_row(tmp_path, fits, kind):
    for value in ODD_VALUES:
        for k in (0, -1):
            content = of_one_row(kind)
            content["rows"][0][k] = value
            agree(tmp_path, fits, content)
        content = of_one_row(kind)
        content["kinds"][kind][-1] = value
        agree(tmp_path, fits, content)
