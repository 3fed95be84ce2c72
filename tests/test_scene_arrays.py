"""Scenes as .npz files: numpy alone reads and writes them, and no such file does harm."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scene_files import NAMES, good_scene, loads, refusal, scene_of

from artpipe import load_scene, save_scene
from artpipe.renderers.canvas import SIDE_MAX
from artpipe.renderers.primitives.table import PRIMITIVES
from artpipe.stages.formats.scene_arrays import ROWS_MAX, WIDEST

SCENE = good_scene()
COUNT = SCENE.count


def good():
    """The arrays of `SCENE`, from numpy alone."""
    kinds = [*reversed(PRIMITIVES), *PRIMITIVES]
    return {
        "format": np.array("artpipe-scene"),
        "version": np.array(2),
        "width": np.array(8),
        "height": np.array(6),
        "background": np.array([0.25, 0.5, 1.0], np.float32),
        "edge": np.array("linear"),
        "order": np.array("back to front"),
        "next_id": np.array(SCENE.next_id),
        "ids": SCENE.ids.copy(),
        "kinds": np.array(list(PRIMITIVES)),
        "columns": np.array([" ".join(NAMES[kind]) for kind in PRIMITIVES]),
        "row_kinds": np.array([list(PRIMITIVES).index(kind) for kind in kinds], np.uint8),
        "rows": SCENE.rows.copy(),
    }


def written(tmp_path, arrays, save=np.savez_compressed):
    path = tmp_path / "scene.npz"
    save(path, **arrays)
    return path


def npy(array):
    """The bytes of an array's .npy file."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array))
    return file.getvalue()


def zipped(tmp_path, members, compression=zipfile.ZIP_DEFLATED):
    """An .npz of these bytes in place of the good ones."""
    path = tmp_path / "scene.npz"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in {**{name: npy(array) for name, array in good().items()}, **members}.items():
            archive.writestr(f"{name}.npy", content)
    return path


# --- what is written ---


def test_numpy_alone_reads_what_is_written(tmp_path):
    save_scene(SCENE, tmp_path / "scene.npz")
    with np.load(tmp_path / "scene.npz", allow_pickle=False) as file:
        assert file.files == list(good())
        for name, array in good().items():
            np.testing.assert_array_equal(file[name], array, strict=True)
    clear = replace(SCENE, canvas=replace(SCENE.canvas, transparent=True))
    save_scene(clear, tmp_path / "scene.npz")
    assert np.load(tmp_path / "scene.npz")["transparent"] == 1 and load_scene(tmp_path / "scene.npz").same_as(clear)


def test_what_numpy_alone_writes_loads(tmp_path):
    without_order = {name: array for name, array in good().items() if name != "order"}
    fortran = {**good(), "rows": np.asfortranarray(good()["rows"])}
    for arrays in (good(), without_order, fortran, {**good(), "note": np.arange(9.0)}):
        for save in (np.savez_compressed, np.savez):
            assert load_scene(written(tmp_path, arrays, save)).same_as(SCENE)
    header = f"{{'shape':({COUNT},{WIDEST}),'descr':'<f4','fortran_order':False}}"  # in another order
    assert load_scene(zipped(tmp_path, {"rows": with_header(header)})).same_as(SCENE)


def test_columns_and_kinds_are_read_by_their_names(tmp_path, rng):
    arrays, names = good(), list(reversed(PRIMITIVES))
    rows = np.full((COUNT, WIDEST + 2), np.nan, np.float32)  # what is past the columns of a kind is never looked at
    orders = {kind: rng.permutation(len(NAMES[kind])) for kind in names}
    for k, place in enumerate(arrays["row_kinds"]):
        order = orders[list(PRIMITIVES)[place]]
        rows[k, : len(order)] = arrays["rows"][k, order]
    arrays |= {
        "rows": rows[:, :WIDEST],
        "row_kinds": (len(names) - 1 - arrays["row_kinds"]).astype(np.uint8),
        "kinds": np.array(names),
        "columns": np.array([" ".join(NAMES[kind][k] for k in orders[kind]) for kind in names]),
    }
    assert load_scene(written(tmp_path, arrays)).same_as(SCENE)


def test_a_file_is_small_and_the_same_for_the_same_scene(tmp_path, rng):
    for kinds in ([kind] for kind in PRIMITIVES):
        scene = scene_of(rng, kinds, 512)
        for name in ("a.npz", "scene.json"):
            save_scene(scene, tmp_path / name)
        with np.load(tmp_path / "a.npz") as file:
            assert file["rows"].shape == (512, len(NAMES[kinds[0]])) and file["kinds"].tolist() == kinds
        save_scene(load_scene(tmp_path / "a.npz"), tmp_path / "b.npz")
        data = (tmp_path / "a.npz").read_bytes()
        assert (tmp_path / "b.npz").read_bytes() == data and 2 * len(data) < (tmp_path / "scene.json").stat().st_size


# --- refusals ---


def test_an_npz_of_something_else_is_refused(tmp_path):
    for arrays in ({"steps": np.arange(3)}, {**good(), "format": np.array("artpipe-run")}):
        assert "not a scene" in refusal(written(tmp_path, arrays))
    for version in (3, 0, -1):
        other = {"format": good()["format"], "version": np.array(version), "rows": np.zeros((2, 9), np.float16)}
        message = refusal(written(tmp_path, other))
        assert f"version {version}" in message and "newer" in message


@pytest.mark.parametrize("name", good())
def test_an_array_that_is_missing_or_of_another_type_or_shape_is_refused_by_name(tmp_path, name):
    array, arrays = good()[name], good()
    del arrays[name]
    if name not in ("format", "version", "order"):
        assert f"lacks '{name}'" in refusal(written(tmp_path, arrays))
    for dtype in ("<f8", ">f4", "<i4", ">i8", "?", "<c8", "S20", ">U20", "<M8[s]", "V4", [("x", "<f4")]):
        assert f"{name} has type" in refusal(written(tmp_path, arrays | {name: np.zeros(array.shape, dtype)}, np.savez))
    for other in [array[None], np.stack([array] * 2, axis=-1)]:
        assert f"{name} has shape" in refusal(written(tmp_path, arrays | {name: other}, np.savez))
    if array.ndim:  # the first of those that go together is the one that the others are held against
        for other in [array[:-1], np.concatenate([array, array])]:
            assert " has shape" in refusal(written(tmp_path, arrays | {name: other}, np.savez))


def test_rows_that_do_not_fit_their_kinds_are_refused(tmp_path):
    def refused(**others):
        return refusal(written(tmp_path, {**good(), **{name: np.array(value) for name, value in others.items()}}))

    message = refused(rows=good()["rows"][:, :-1])
    assert f"rows have {WIDEST - 1} columns" in message and f"needs {WIDEST}: red, green" in message
    for place in (len(PRIMITIVES), 255):
        kinds = np.where(np.arange(COUNT) == 3, place, good()["row_kinds"]).astype(np.uint8)
        needs = f"needs an index into the {len(PRIMITIVES)} kinds"
        assert f"row 3 has kind {place}; {needs}" in refused(row_kinds=kinds)
    for kind in PRIMITIVES:
        for other in ("square", "", kind.upper()):
            message = refused(kinds=[other if name == kind else name for name in PRIMITIVES])
            assert f"unknown kind {other!r}" in message and ", ".join(PRIMITIVES) in message and "newer" in message
        for name in set(PRIMITIVES) - {kind}:
            assert "each kind once" in refused(kinds=[name if other == kind else other for other in PRIMITIVES])
        words = NAMES[kind]
        for other in ([*words, "sheen"], words[:-1], [*words[:-1], words[0]], [], ["sheen", *words[1:]]):
            message = refused(columns=[" ".join(other if name == kind else NAMES[name]) for name in PRIMITIVES])
            assert f"columns of {kind} are" in message and ", ".join(words) in message


def test_a_value_that_makes_no_scene_is_refused(tmp_path):
    for name, value in (
        ("width", 0), ("width", -8), ("height", SIDE_MAX + 1), ("height", 2**62), ("next_id", 7), ("next_id", -1),
        ("ids", np.zeros(COUNT, int)), ("ids", np.arange(COUNT) - 1), ("edge", "soft"), ("edge", "w" * 60),
        ("order", "front to back"), ("kinds", []), ("kinds", ["circle"]), ("columns", []), ("columns", ["x"]),
        ("background", np.float32([0, 2, 0])), ("background", np.float32([0, np.nan, 0])), ("transparent", 2),
    ):  # fmt: skip
        refusal(written(tmp_path, {**good(), name: np.array(value)}))
    for value in (np.nan, -np.inf, -3e38):
        for kind in PRIMITIVES:
            row = good()["row_kinds"].tolist().index(list(PRIMITIVES).index(kind))
            for k, name in enumerate(NAMES[kind]):
                arrays = good()
                arrays["rows"][row, k] = value
                message = refusal(written(tmp_path, arrays, np.savez))
                assert f"row {row} has {name} {np.float32(value):.9g}; needs" in message


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_an_array_of_objects_is_refused_and_never_run(tmp_path):
    trap = tmp_path / "trap"
    for name, array in good().items():
        path = written(tmp_path, {**good(), name: np.full(array.shape, Hostile(trap), dtype=object)})
        assert "type '|O'" in refusal(path)
        assert not trap.exists()
    with np.load(path, allow_pickle=True) as file:  # the trap works, for those who allow it
        file[name].ravel()[0].close()
    assert trap.exists()


def test_an_array_that_is_not_asked_for_is_never_read(tmp_path):
    path = written(tmp_path, {**good(), "note": np.array(Hostile(tmp_path / "trap"), dtype=object)})
    assert load_scene(path).same_as(SCENE) and not (tmp_path / "trap").exists()


SHAPE = f"{COUNT}, {WIDEST}"
HEADER = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({SHAPE}), }}"


def with_header(header):
    """An .npy file of the good rows under another header."""
    text = header.encode("utf-8")
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + good()["rows"].tobytes()


def test_a_wrong_header_is_refused(tmp_path):
    for header in (
        "", "{}", "[", HEADER.replace("(", "(-"), HEADER.replace("(", "(1"), HEADER.replace("(", "(1, "),
        HEADER.replace("(", "(" + "9" * 300), HEADER.replace(SHAPE, f"{ROWS_MAX + 1}, {WIDEST}"), HEADER * 30,
        HEADER.replace(f"({SHAPE})", "__import__('os').getcwd()"), HEADER.replace("'<f4'", "[('a', '|O')]"),
    ):  # fmt: skip
        assert "broken: rows " in refusal(zipped(tmp_path, {"rows": with_header(header)}))


def test_a_member_that_is_not_an_array_is_refused(tmp_path):
    for content in (b"", b"\x93NUMPY", b"\x93NUMPY\x03\x00" + b"\0" * 99, b"PK" * 50, npy(1)[:-1]):
        for name in ("format", "width", "rows"):
            assert name in refusal(zipped(tmp_path, {name: content}))
    refusal(zipped(tmp_path, {"edge": npy("linear")[:-24] + b"\xff" * 24}))
    refusal(zipped(tmp_path, {"edge": npy("linear").replace(b"<U6", b"<U0")}))
    for compression in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        assert "deflate" in refusal(zipped(tmp_path, {}, compression))


def test_an_encrypted_file_is_refused(tmp_path):
    data = bytearray(zipped(tmp_path, {}).read_bytes())
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        data[at + 8] |= 1
        at = data.find(b"PK\x01\x02", at + 1)
    (tmp_path / "scene.npz").write_bytes(data)
    assert "encrypted" in refusal(tmp_path / "scene.npz")


# --- sizes ---


def test_the_most_rows_load_and_one_more_is_refused(tmp_path):
    def with_rows(count):
        rows, kinds = np.ones((count, WIDEST), np.float32), np.zeros(count, np.uint8)
        return {**good(), "ids": np.arange(count), "next_id": np.array(count), "rows": rows, "row_kinds": kinds}

    assert load_scene(written(tmp_path, with_rows(ROWS_MAX), np.savez)).count == ROWS_MAX
    more = with_rows(ROWS_MAX + 1)
    assert f"needs (N,) of at most {ROWS_MAX} items" in refusal(written(tmp_path, more, np.savez))
    del more["ids"], more["row_kinds"]
    assert f"rows has {WIDEST * (ROWS_MAX + 1)} items" in refusal(written(tmp_path, more, np.savez))


# --- whatever the file ---


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    path = zipped(tmp_path, {})
    data = path.read_bytes()
    for end in [*range(0, len(data), 181), len(data) - 1]:
        path.write_bytes(data[:end])
        refusal(path)


@settings(max_examples=25)
@given(st.text("{}[]()'\\ descrfotanh_pIOVU<>|=0123456789,:\n", max_size=60), st.integers(0, len(HEADER)))
def test_any_header_loads_or_is_refused(tmp_path_factory, text, at):
    folder = tmp_path_factory.getbasetemp()
    for header in (text, HEADER[:at] + text + HEADER[at:], HEADER[:at] + text):
        loads(zipped(folder, {"rows": with_header(header)}))
