"""Files of snapshots: they load back bit for bit; invalid ones are refused."""

import numpy as np
import pytest
from scene_files import NAMES, scene_of

from artpipe import Canvas, InputError, Scene
from artpipe.renderers.primitives.table import PRIMITIVES
from artpipe.stages.events import Snapshot
from artpipe.stages.formats.snapshots import ARRAYS, load_snapshots, save_snapshots

CANVAS = Canvas(40, 30, (0.25, 0.5, 0.75))


def snapshots_of(rng):
    """Scenes of nothing, of each kind alone, and of all."""
    kinds = [[], *([kind] for kind in PRIMITIVES), list(PRIMITIVES)]
    scenes = [scene_of(rng, names, 3, CANVAS) if names else Scene.empty(CANVAS) for names in kinds]
    return [Snapshot(7 * k, scene) for k, scene in enumerate(scenes)]


def is_same(loaded, snapshots):
    """Whether these are the same scenes at the same steps; the next id of a snapshot is not kept."""
    return len(loaded) == len(snapshots) and all(
        one.step == other.step
        and one.scene.canvas == other.scene.canvas
        and one.scene.ids.tobytes() == other.scene.ids.tobytes()
        and one.scene.kinds.tobytes() == other.scene.kinds.tobytes()
        and one.scene.rows.shape == other.scene.rows.shape
        and one.scene.rows.tobytes() == other.scene.rows.tobytes()
        for one, other in zip(loaded, snapshots, strict=True)
    )


def test_scenes_of_every_kind_load_back_bit_for_bit(tmp_path, rng):
    snapshots = snapshots_of(rng)
    save_snapshots(snapshots, tmp_path / "snapshots.npz")
    assert is_same(load_snapshots(tmp_path / "snapshots.npz", CANVAS), snapshots)
    for snapshot in snapshots:
        save_snapshots([snapshot], tmp_path / "snapshots.npz")
        assert is_same(load_snapshots(tmp_path / "snapshots.npz", CANVAS), [snapshot])


def test_columns_and_kinds_are_told_by_name(tmp_path, rng):
    save_snapshots(snapshots_of(rng), tmp_path / "snapshots.npz")
    with np.load(tmp_path / "snapshots.npz") as file:
        assert dict(zip(file["kinds"].tolist(), map(str.split, file["columns"].tolist()), strict=True)) == NAMES
        assert set(file.files) == set(ARRAYS) and len(file["row_kinds"]) == len(file["rows"]) == file["counts"].sum()


def changed(folder, rng, **others):
    """Good snapshots with other arrays, or without those that are None."""
    save_snapshots(snapshots_of(rng), folder / "good.npz")
    with np.load(folder / "good.npz") as file:
        arrays = {name: file[name] for name in file.files} | others
    np.savez(folder / "snapshots.npz", **{name: array for name, array in arrays.items() if array is not None})
    return folder / "snapshots.npz"


def refusal(path):
    with pytest.raises(InputError) as caught:
        load_snapshots(path, CANVAS)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600 and path.name in message
    return message


def test_missing_arrays_and_other_versions_are_refused_by_name(tmp_path, rng):
    for name in sorted(set(ARRAYS) - {"background"}):
        assert f"lacks '{name}'" in refusal(changed(tmp_path, rng, **{name: None}))
    for version in (3, 0, -1):
        assert f"version {version}" in refusal(changed(tmp_path, rng, version=np.array(version)))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("canvas", [30, 40], "30 x 40; needs 40 x 30"),
        ("kinds", ["square"] * len(PRIMITIVES), "each kind once"),
        ("columns", [""] * len(PRIMITIVES), "columns of circle"),
        ("counts", [1] * (len(PRIMITIVES) + 2), "add up"),
        ("steps", np.arange(len(PRIMITIVES) + 2)[::-1], "order"),
    ],
)
def test_what_makes_no_scenes_is_refused(tmp_path, rng, name, value, words):
    assert words in refusal(changed(tmp_path, rng, **{name: np.array(value)}))


# Arrays and changes that make them invalid.
INVALID = (
    ("canvas", lambda canvas: canvas[:1]), ("counts", lambda counts: counts[1:]),
    ("counts", lambda counts: np.array([*counts[:-2], -counts[-2], counts[-1] + 2 * counts[-2]])),
    ("counts", lambda counts: counts + 0.5), ("counts", lambda counts: counts[:, None]),
    ("steps", lambda steps: np.array(["many"] * len(steps))), ("steps", lambda steps: steps + np.nan),
    ("steps", lambda steps: steps + np.inf), ("steps", lambda steps: steps[0]), ("rows", lambda rows: rows[1:]),
    ("rows", lambda rows: rows * np.nan), ("rows", lambda rows: rows.astype(str).astype("U2")),
    ("rows", lambda rows: rows[:, 1:]), ("rows", lambda rows: rows + 2), ("ids", lambda ids: ids * 0),
    ("ids", lambda ids: ids + 0.5), ("ids", lambda ids: np.concatenate([ids, ids])),
)  # fmt: skip


def test_arrays_of_the_wrong_type_shape_or_range_are_refused(tmp_path, rng):
    arrays = dict(np.load(changed(tmp_path, rng)))
    for name, change in INVALID:
        refusal(changed(tmp_path, rng, **{name: change(arrays[name])}))


def test_a_row_that_cannot_be_drawn_is_refused_by_its_place_and_column(tmp_path, rng):
    rows = np.load(changed(tmp_path, rng))["rows"]
    rows[4, NAMES["circle"].index("opacity")] = 1.5
    assert "row 4 has opacity 1.5; needs 0 to 1" in refusal(changed(tmp_path, rng, rows=rows))
