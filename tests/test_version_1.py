"""Files of version 1, circles with columns in a fixed order, still load."""

import numpy as np
import pytest
from scene_files import loads, refusal, written

from artpipe import Canvas, InputError, Scene, load_scene
from artpipe.stages.formats.snapshots import load_snapshots

COLUMNS = ["x", "y", "red", "green", "blue", "opacity", "softness", "radius"]
ROWS = [[4, 3, 1, 0.5, 0, 0.75, 0.5, 2], [1.5, 2.5, 0, 0, 1, 1, 1, 1.25]]
CANVAS = Canvas(8, 6, (0.25, 0.5, 1))
SCENE = Scene.circles(
    CANVAS, x=[4, 1.5], y=[3, 2.5], radius=[2, 1.25], colour=[[1, 0.5, 0], [0, 0, 1]], opacity=[0.75, 1],
    softness=[0.5, 1],
)  # fmt: skip
SCENE = Scene(SCENE.rows, CANVAS, ids=[3, 7], next_id=9)


def good():
    """What the JSON file of `SCENE` held."""
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
        "rows": [list(row) for row in ROWS],
    }


def arrays():
    """What its .npz file held."""
    arrays = {name: np.array(value) for name, value in good().items()}
    return arrays | {name: arrays[name].astype(np.float32) for name in ("background", "rows")}


def packed(folder, **others):
    path = folder / "scene.npz"
    np.savez(path, **{name: value for name, value in (arrays() | others).items() if value is not None})
    return path


@pytest.mark.parametrize("edge", ["linear", "logistic"])
def test_a_scene_of_version_1_loads(tmp_path, edge):
    for transparent in (False, True):
        canvas = Canvas(8, 6, (0.25, 0.5, 1), edge, transparent)
        for path in (
            written(tmp_path, {**good(), "version": 1.0, "edge": edge, "transparent": transparent}),
            packed(tmp_path, edge=np.array(edge), transparent=np.array(int(transparent))),
        ):
            assert load_scene(path).same_as(Scene(SCENE.rows, canvas, ids=[3, 7], next_id=9))
    empty = Scene(np.zeros((0, 1), np.float32), CANVAS, next_id=9)
    assert load_scene(packed(tmp_path, ids=np.zeros(0, int), rows=np.zeros((0, 8), np.float32))).same_as(empty)
    assert load_scene(written(tmp_path, {**good(), "ids": [], "rows": []})).same_as(empty)


def test_a_missing_key_is_refused_by_name(tmp_path):
    for key in set(good()) - {"format", "version", "order"}:
        content = {name: value for name, value in good().items() if name != key}
        assert f"lacks '{key}'" in refusal(written(tmp_path, content))
        assert f"lacks '{key}'" in refusal(packed(tmp_path, **{key: None}))


def test_a_value_that_cannot_be_drawn_is_refused_by_row_and_column(tmp_path):
    for k, name in enumerate(COLUMNS):
        rows = np.array(ROWS, np.float32)
        rows[1, k] = -3e38
        assert f"row 1 has {name} -3" in refusal(packed(tmp_path, rows=rows))
        assert f"row 1 has {name} -3" in refusal(written(tmp_path, {**good(), "rows": rows.tolist()}))


def test_what_was_not_a_scene_is_refused(tmp_path):
    for key, value in (
        ("columns", COLUMNS[:-1]), ("columns", [*COLUMNS, "angle"]), ("columns", COLUMNS[::-1]), ("columns", []),
        ("columns", "x"), ("kinds", []), ("kinds", ["ellipse"]), ("kinds", ["circle", "ellipse"]),
        ("kinds", {"circle": COLUMNS}), ("rows", 4), ("rows", {}), ("rows", [4, 3]), ("rows", [ROWS[0], ROWS[1][:-1]]),
        ("rows", [ROWS[0], [*ROWS[1], 1]]), ("rows", [["circle", *row] for row in ROWS]), ("rows", [[], []]),
        ("rows", [ROWS]), ("ids", [3]), ("next_id", 7), ("order", "front to back"), ("edge", "soft"),
    ):  # fmt: skip
        refusal(written(tmp_path, {**good(), key: value}))
    rows = arrays()["rows"]
    for other in (rows[:, :-1], np.pad(rows, ((0, 0), (0, 1))), rows[0], rows[:1], rows.T):
        assert " has shape" in refusal(packed(tmp_path, rows=other))
    assert not loads(packed(tmp_path, kinds=np.array(["circle", "circle"])))


# --- snapshots ---


def snapshots(folder, **others):
    """Scenes of no circle, of one, and of two."""
    rows = np.array(ROWS, np.float32)
    parts = {
        "steps": np.array([0, 5, 9]), "counts": np.array([0, 1, 2]), "rows": rows[[0, 0, 1]],
        "ids": np.array([3, 3, 7]), "canvas": np.array([8, 6]), "background": np.array(CANVAS.background, np.float32),
    }  # fmt: skip
    np.savez(folder / "snapshots.npz", **(parts | others))
    return folder / "snapshots.npz"


def test_snapshots_of_version_1_load(tmp_path):
    loaded = load_snapshots(snapshots(tmp_path), CANVAS)
    assert [snapshot.step for snapshot in loaded] == [0, 5, 9]
    assert [snapshot.scene.ids.tolist() for snapshot in loaded] == [[], [3], [3, 7]]
    for snapshot in loaded:
        count = snapshot.scene.count
        np.testing.assert_array_equal(snapshot.scene.rows, SCENE.rows[:count])
        assert [primitive.name for primitive in snapshot.scene.primitives] == ["circle"] * (count > 0)


def test_invalid_snapshots_of_version_1_are_refused(tmp_path):
    wide, unknown = np.zeros((3, 9), np.float32), np.full((3, 8), np.nan, np.float32)
    for others in ({"rows": wide}, {"rows": unknown}, {"counts": np.array([0, 1, 1])}):
        with pytest.raises(InputError, match=r"snapshots\.npz is broken"):
            load_snapshots(snapshots(tmp_path, **others), CANVAS)
