"""Sharing: `artpipe export`, `render`, `run --export`, `artpipe.export`, and the run folders that they read."""

import gzip
import json
import re
import shutil
import xml.etree.ElementTree as ElementTree
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from command_line import refusal, run_cli, succeeded
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import artpipe
from artpipe import Canvas, InputError, Result, Scene, load_scene, save_scene
from artpipe.pipeline.folders.rundir import load_result, save_snapshots
from artpipe.stages.events import Snapshot
from artpipe.stages.exporters.fidelity import rasterisers
from artpipe.stages.exporters.options import ExportOptions
from artpipe.stages.exporters.table import EXPORTERS
from artpipe.stages.metrics import Metrics
from artpipe.stages.pictures.picture import save_png

WIDTH, HEIGHT = 36, 24
MOST = 14
OPTIONS = ["--max", MOST, "--growth", 5, "--steps", 40, "--pool", 1.5, "--relocate-every", 6, "--seed", 3]
KEPT = {"painting.png", "target.png", "comparison.png", "scene.json", "metrics.json", "run.json", "snapshots.npz"}
DEFAULT_EXPORTS = {"painting.svg", "timelapse.gif", "viewer.html"}
# Starting FFmpeg forks; JAX warns of that.
pytestmark = pytest.mark.filterwarnings(r"ignore:os\.fork\(\):RuntimeWarning")
needs_ffmpeg = pytest.mark.skipif(find_spec("imageio_ffmpeg") is None, reason="imageio-ffmpeg is not installed")
needs_resvg = pytest.mark.skipif(find_spec("resvg") is None, reason="resvg is not installed")
ENDINGS = [pytest.param(ending, marks=needs_ffmpeg) if ending == ".mp4" else ending for ending in EXPORTERS]


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """A small painting as a file."""
    across, down = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    image = np.stack([across, down, 0.5 + 0.4 * np.sin(9 * across * down)], axis=2)
    image[(across - 0.3) ** 2 + (down - 0.6) ** 2 < 0.03] = (0.9, 0.2, 0.1)
    path = tmp_path_factory.mktemp("pictures") / "tiny.png"
    save_png(image, path)
    return path


@pytest.fixture(scope="module")
def finished(picture, tmp_path_factory):
    """The folder of a finished run, not to be written to."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    succeeded("run", picture, "-o", folder, *OPTIONS, "-q")
    return folder


@pytest.fixture
def copied(finished, tmp_path):
    """The same folder, to be broken."""
    return shutil.copytree(finished, tmp_path / "copied")


@pytest.fixture
def sources(finished, tmp_path):
    """The same scene as a run folder and as scene files."""
    scene = load_scene(finished / "scene.json")
    save_scene(scene, tmp_path / "mine.json")
    save_scene(scene, tmp_path / "mine.npz")
    return {"folder": finished, "json": tmp_path / "mine.json", "npz": tmp_path / "mine.npz"}


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


# --- every kind of file, from every kind of source ---


def picture_of(scene):
    return np.round(np.clip(artpipe.render(scene), 0, 1) * 255)


def last_frame(path):
    with Image.open(path) as image:
        assert image.n_frames > 3
        image.seek(image.n_frames - 1)
        return np.asarray(image.convert("RGB"), np.float64)


def is_near(image, scene, decibels):
    return np.mean((image - picture_of(scene)) ** 2) < 255**2 / 10 ** (decibels / 10)


def svg_text(path):
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".svgz" else data).decode()


def is_svg(path, scene):
    root = ElementTree.fromstring(svg_text(path))
    circles = [element for element in root.iter() if element.tag.endswith("}circle")]
    return root.tag == "{http://www.w3.org/2000/svg}svg" and len(circles) == scene.count


def is_png(path, scene):
    with Image.open(path) as image:
        return image.format == "PNG" and np.array_equal(np.asarray(image), picture_of(scene))


def is_mp4(path, scene):
    import imageio.v3 as iio

    frames = iio.imread(path, plugin="FFMPEG")
    return len(frames) > 3 and is_near(frames[-1], scene, 22)


# What tells that a file is of its kind, and shows the scene. Of colours, WebP and MP4 keep every second pixel, which
# counts in a picture this small.
SHOWS = {
    ".png": is_png,
    ".svg": is_svg,
    ".svgz": is_svg,
    ".gif": lambda path, scene: path.read_bytes()[:6] == b"GIF89a" and is_near(last_frame(path), scene, 30),
    ".webp": lambda path, scene: path.read_bytes()[8:12] == b"WEBP" and is_near(last_frame(path), scene, 22),
    ".apng": lambda path, scene: b"acTL" in path.read_bytes() and is_near(last_frame(path), scene, 90),
    ".mp4": is_mp4,
    ".html": lambda path, scene: path.read_text(encoding="utf-8").lower().startswith("<!doctype html>"),
    ".json": lambda path, scene: load_scene(path).same_as(scene) and json.loads(path.read_text()) is not None,
    ".npz": lambda path, scene: load_scene(path).same_as(scene) and path.read_bytes()[:2] == b"PK",
}


def test_the_table_above_holds_every_ending():
    assert set(SHOWS) == set(EXPORTERS)


def short(ending):
    """The words for a short film, where the file is one."""
    return ("--seconds", 0.5) if "seconds" in EXPORTERS[ending].options else ()


@pytest.mark.parametrize("source", ["folder", "json", "npz"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_kind_of_file_is_written_from_every_kind_of_source(sources, out, source, ending):
    path = out / f"a{ending}"
    result = succeeded("export", sources[source], path, *short(ending))
    assert result.stdout == f"{path}\n"
    assert SHOWS[ending](path, load_scene(sources["json"]))
    assert list(out.iterdir()) == [path]


def test_endings_are_known_in_capitals_too(sources, out):
    succeeded("export", sources["json"], out / "a.PNG", out / "b.Svg", out / "c.JSON")
    scene = load_scene(sources["json"])
    assert is_png(out / "a.PNG", scene) and is_svg(out / "b.Svg", scene) and load_scene(out / "c.JSON").same_as(scene)


def test_paths_are_printed_in_their_order_and_quiet_prints_nothing(sources, out):
    files = [out / "c.png", out / "a.svg", out / "b.json"]
    assert succeeded("export", sources["folder"], *files).stdout.splitlines() == [str(path) for path in files]
    result = succeeded("export", sources["folder"], *files, "-q")
    assert result.stdout == "" and result.stderr == ""


def test_an_old_file_is_replaced(sources, out):
    (out / "a.png").write_text("old")
    succeeded("export", sources["json"], out / "a.png")
    assert is_png(out / "a.png", load_scene(sources["json"]))


def test_a_run_folder_gives_the_film_and_the_svg_that_the_run_wrote(finished, out):
    """So all that exporters draw from is in the folder: the growth, the title."""
    succeeded("export", finished, out / "again.gif", out / "again.svg")
    assert (out / "again.gif").read_bytes() == (finished / "timelapse.gif").read_bytes()
    assert (out / "again.svg").read_text() == (finished / "painting.svg").read_text()


def test_a_result_from_a_run_folder_holds_what_the_run_kept(finished, picture):
    result = load_result(finished)
    metrics = json.loads((finished / "metrics.json").read_text())
    assert result.scene.same_as(load_scene(finished / "scene.json"))
    assert result.title == picture.stem
    assert result.metrics == Metrics.from_json(metrics) and result.reason == "finished"
    assert [point.to_json() for point in result.history.curve] == metrics["history"]
    np.testing.assert_allclose(result.target * 255, np.asarray(Image.open(finished / "target.png")), atol=0.01)
    with np.load(finished / "snapshots.npz") as snapshots:
        assert [snapshot.step for snapshot in result.history.snapshots] == snapshots["steps"].tolist()
        assert [snapshot.scene.count for snapshot in result.history.snapshots] == snapshots["counts"].tolist()
        assert (
            np.concatenate([snapshot.scene.ids for snapshot in result.history.snapshots]).tolist()
            == snapshots["ids"].tolist()
        )
        rows = np.concatenate([snapshot.scene.rows for snapshot in result.history.snapshots])
        assert rows.tobytes() == snapshots["rows"].tobytes()


@pytest.mark.parametrize("missing", sorted(KEPT - {"scene.json"}))
def test_a_run_folder_that_lacks_a_file_can_still_be_exported(copied, out, missing):
    (copied / missing).unlink()
    succeeded("export", copied, out / "a.webp", out / "a.svg", out / "a.html", "--seconds", 1)
    assert SHOWS[".webp"](out / "a.webp", load_scene(copied / "scene.json"))


def test_a_folder_with_a_scene_alone_is_enough(finished, out, tmp_path):
    (tmp_path / "bare").mkdir()
    shutil.copy(finished / "scene.json", tmp_path / "bare")
    assert load_result(tmp_path / "bare").title == "bare"
    succeeded("export", tmp_path / "bare", *(out / f"a{ending}" for ending in (".webp", ".html", ".svg", ".png")))


# --- options ---


@pytest.mark.parametrize("width", [1, 100])
def test_files_are_as_wide_as_asked(sources, out, width):
    files = {ending: out / f"a{ending}" for ending in (".png", ".gif", ".webp", ".apng", ".json", ".npz", ".svg")}
    succeeded("export", sources["folder"], *files.values(), "--width", width, "--seconds", 0.5)
    size = (width, max(1, round(HEIGHT * width / WIDTH)))
    for ending in (".png", ".gif", ".webp", ".apng"):
        with Image.open(files[ending]) as image:
            assert image.size == size
    for ending in (".json", ".npz"):
        assert load_scene(files[ending]).same_as(load_scene(sources["json"]).scaled(width))
    root = ElementTree.fromstring(svg_text(files[".svg"]))
    assert (float(root.get("width")), float(root.get("height"))) == size


def test_timing_reaches_the_film(sources, out):
    succeeded("export", sources["folder"], out / "a.webp", "--fps", 5, "--seconds", 2, "--hold", 1.5, "--loop", 3)
    with Image.open(out / "a.webp") as image:
        assert image.n_frames == 10 and image.info["loop"] == 3
        stands = []
        for k in range(10):
            image.seek(k)
            image.load()
            stands.append(image.info["duration"])
    assert stands == [200] * 9 + [1700]


def test_the_title_is_the_pictures_or_the_one_asked_for(finished, sources, out):
    succeeded("export", finished, out / "a.svg", out / "a.html")
    assert "<title>Tiny</title>" in svg_text(out / "a.svg")
    assert "<title>Tiny" in (out / "a.html").read_text(encoding="utf-8")
    succeeded("export", finished, out / "b.svg", "--title", 'Night & "<day>"')
    titles = [each.text for each in ElementTree.fromstring(svg_text(out / "b.svg")).iter() if "title" in each.tag]
    assert titles == ['Night & "<day>"']
    succeeded("export", sources["npz"], out / "c.svg")
    assert "<title>Mine</title>" in svg_text(out / "c.svg")


@pytest.mark.parametrize("kind", [["--flat"], ["--layers", 3], ["--animated"]])
def test_kinds_of_svg_differ_from_the_plain_one(sources, out, kind):
    succeeded("export", sources["folder"], out / "plain.svg")
    succeeded("export", sources["folder"], out / "other.svg", *kind)
    assert ElementTree.fromstring(svg_text(out / "other.svg")) is not None
    assert svg_text(out / "plain.svg") != svg_text(out / "other.svg")


# A value of each option that is not its default.
OTHER = {
    "width": 20, "title": "Other", "fps": 5.0, "seconds": 1.0, "hold": 0.5, "loop": 3, "animated": True, "flat": True,
    "layers": 2, "matte": "#204080", "alpha_threshold": 0.9,
}  # fmt: skip
IF_TRANSPARENT = ("matte", "alpha_threshold")


def test_the_table_above_holds_every_option():
    assert {name: value for name, value in OTHER.items() if value != getattr(ExportOptions(), name)} == OTHER
    assert set(OTHER) == {field.name for field in fields(ExportOptions)}


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_option_changes_a_file_or_is_refused_in_one_line_that_tells_the_endings_it_is_for(finished, out, ending):
    glass = Scene.circles(
        Canvas(16, 12, transparent=True), x=[8], y=[6], radius=[5], colour=[[1, 0, 0]], opacity=[0.6], softness=[2]
    )
    usual = {"seconds": 0.5} if "seconds" in EXPORTERS[ending].options else {}
    for name, value in OTHER.items():
        if name in EXPORTERS[ending].options:
            source = glass if name in IF_TRANSPARENT else finished
            (before,) = artpipe.export(source, out / f"before{ending}", **usual)
            (changed,) = artpipe.export(source, out / f"changed{ending}", **{**usual, name: value})
            assert changed.read_bytes() != before.read_bytes(), name
            continue
        with pytest.raises(InputError, match=f"^{name} applies only to ") as error:
            artpipe.export(finished, out / f"refused{ending}", **usual, **{name: value})
        told = str(error.value).split("(")[0].split(";")[0].removeprefix(f"{name} applies only to ").strip()
        assert told.split(", ") == [other for other, exporter in EXPORTERS.items() if name in exporter.options]
    assert not (out / f"refused{ending}").exists()


def test_an_option_is_taken_where_one_of_the_files_has_it(finished, sources, out):
    succeeded("export", finished, out / "a.png", out / "b.svg", "--layers", 3)
    assert "inkscape" in svg_text(out / "b.svg")
    succeeded("export", finished, out / "c.svg", "--animated", "--seconds", 3, "--hold", 1, "--loop", 2)
    assert "animation:4s linear 2" in svg_text(out / "c.svg")
    assert "animated" in refusal("export", finished, out / "d.svg", "--seconds", 3)
    assert "layers" in refusal("export", sources["json"], out / "d.png", out / "d.gif", "--layers", 3)
    assert not list(out.glob("d.*"))


def test_a_chain_with_an_option_that_no_file_has_does_no_work(picture, out):
    assert "flat" in refusal("load", picture, "seed", "--count", 2, "export", out / "a.json", "--flat")
    assert list(out.iterdir()) == []


@needs_resvg
def test_check_tells_sizes_and_how_true_an_svg_is(sources, out):
    files = [out / "a.svg", out / "b.svgz", out / "c.png"]
    for quiet in ([], ["-q"]):
        lines = succeeded("export", sources["folder"], *files, "--check", *quiet).stdout.splitlines()
        assert len(lines) == 3
        for line, path in zip(lines, files, strict=True):
            assert line.startswith(str(path))
            assert int(re.search(r"  (\d+) kB", line)[1]) == round(path.stat().st_size / 1000)
        fidelity = [float(re.search(r", ([\d.]+) dB of the scene", line)[1]) for line in lines[:2]]
        assert min(fidelity) > 38 and " dB" not in lines[2]
        assert all(f"(drawn by {name})" in line for line in lines[:2] for name in rasterisers())
    flat = succeeded("export", sources["folder"], out / "d.svg", "--flat", "--check").stdout
    assert float(re.search(r", ([\d.]+) dB", flat)[1]) < min(fidelity)  # discs without rims are a simpler picture


@pytest.mark.parametrize(
    "words",
    [
        ["--width", 0], ["--width", 65537], ["--width", 3.5], ["--fps", 0], ["--fps", 51], ["--seconds", 0],
        ["--seconds", 601], ["--hold", -1], ["--hold", 601], ["--loop", -1], ["--loop", 65536], ["--layers", 0],
        ["--layers", 25], ["--fps", "fast"], ["--nope"],
    ],
    ids=str,
)  # fmt: skip
def test_options_out_of_range_are_usage_errors_and_write_nothing(sources, out, words):
    result = run_cli("export", sources["folder"], out / "a.svg", *words)
    assert result.exit_code == 2 and result.stdout == ""
    assert "Error: " in result.stderr and "--help" in result.stderr
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("words", [["--fps", "nan"], ["--seconds", "inf"], ["--layers", 3, "--animated"]], ids=str)
def test_options_that_make_no_sense_are_refused_and_write_nothing(sources, out, words):
    result = run_cli("export", sources["folder"], out / "a.svg", *words)
    assert result.exit_code in (1, 2) and result.stdout == "" and "Error: " in result.stderr
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("words", [[], ["source.json"]], ids=["nothing", "no file"])
def test_an_export_without_files_is_a_usage_error(words):
    result = run_cli("export", *words)
    assert result.exit_code == 2 and result.stdout == ""


# --- what is refused ---


@pytest.mark.parametrize("bad", ["a.xyz", "a", ".png", "none/a.png", "folder.png", "a.svg.bak", "a.jpg"])
def test_one_path_that_is_wrong_refuses_all_before_any_is_written(sources, out, bad):
    (out / "folder.png").mkdir()
    message = refusal("export", sources["folder"], out / "good.svg", out / "good.png", out / bad)
    assert bad in message
    assert [path.name for path in out.iterdir()] == ["folder.png"]
    if "none" not in bad and bad != "folder.png":
        assert all(ending in message for ending in EXPORTERS)


@pytest.mark.parametrize("source", ["none", "none.json", "empty", "words.json", "words.npz", "other.json"])
def test_a_source_that_is_none_is_refused_in_one_line(tmp_path, out, source):
    (tmp_path / "empty").mkdir()
    (tmp_path / "words.json").write_text("words")
    (tmp_path / "words.npz").write_text("words")
    (tmp_path / "other.json").write_text("{}")
    assert source in refusal("export", tmp_path / source, out / "a.svg", out / "b.gif")
    assert list(out.iterdir()) == []


METRICS = Metrics(
    shapes=1, steps=2, mse=0.1, fit_seconds=0.5, total_seconds=1.0, renderer="jax", kernel="numba", device="cpu",
    reason="finished",
).to_json()  # fmt: skip
ROW = {"step": 1, "shapes": 1, "seconds": 1.0, "mse": 0.1}
WHOLE = json.dumps({**METRICS, "history": [ROW]})
BROKEN_METRICS = {
    "words": "words",
    "half": WHOLE[: len(WHOLE) // 2],
    "no table": "[]",
    "without steps": WHOLE.replace('"steps"', '"other"'),
    "a reason that is no text": WHOLE.replace('"finished"', "7"),
    "without a history": json.dumps(METRICS),
    "a history that is a number": WHOLE.replace(json.dumps([ROW]), "5"),
    "a row that is none": WHOLE.replace(json.dumps(ROW), "5"),
    "a row without seconds": WHOLE.replace('"seconds": 1.0, ', ""),
    "a word": WHOLE.replace('"mse": 0.1}', '"mse": "much"}'),
    "NaN": WHOLE.replace('"step": 1', '"step": NaN'),
    "infinite": WHOLE.replace('"seconds": 1.0', '"seconds": 1e999'),
    "a number too large": WHOLE.replace('"step": 1', '"step": ' + "9" * 400),
    "deep": "[" * 100_000,
    "no text": b"\xff\xfe\x00\x01",
}


def test_metrics_of_an_older_run_say_circles(copied):
    (copied / "metrics.json").write_text(WHOLE.replace('"shapes"', '"circles"'))
    result = load_result(copied)
    assert result.metrics.shapes == 1 and result.history.curve == [(1, 1, 1.0, 0.1)]


@pytest.mark.parametrize("ending", [".gif", ".html", ".svg"])
@pytest.mark.parametrize("name", BROKEN_METRICS)
def test_broken_metrics_are_refused_in_one_line(copied, out, name, ending):
    content = BROKEN_METRICS[name]
    (copied / "metrics.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert "metrics.json" in refusal("export", copied, out / f"a{ending}", *short(ending))
    assert list(out.iterdir()) == []


def test_a_target_of_another_size_or_none_at_all_is_refused_in_one_line(copied, out):
    (copied / "target.png").write_text("words")
    assert "target.png" in refusal("export", copied, out / "a.html")
    save_png(np.zeros((HEIGHT + 1, WIDTH, 3)), copied / "target.png")
    assert "target.png" in refusal("export", copied, out / "a.html")
    assert list(out.iterdir()) == []


class Hostile:
    """Once unpickled, it writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def parts_of(path):
    with np.load(path) as snapshots:
        return {name: snapshots[name] for name in snapshots.files}


def test_a_pickle_in_the_snapshots_is_not_run(copied, out, tmp_path):
    parts = parts_of(copied / "snapshots.npz")
    trap = np.empty(len(parts["steps"]), object)
    trap[:] = [Hostile(tmp_path / "trap")] * len(trap)
    for name in parts:
        np.savez(copied / "snapshots.npz", **{**parts, name: trap})
        refused_or_unused = run_cli("export", copied, out / "a.gif", "--seconds", 0.5)
        assert not (tmp_path / "trap").exists()
        if name != "background":  # which is the scene's own
            assert refused_or_unused.exit_code == 1 and "snapshots.npz" in refused_or_unused.stderr
            assert list(out.iterdir()) == []
    with np.load(copied / "snapshots.npz", allow_pickle=True) as snapshots:  # the trap is a good one
        snapshots[name]
    assert (tmp_path / "trap").exists()


# A change to an array of the snapshots that makes them wrong.
WRONG = {
    "of another canvas": ("canvas", lambda canvas: canvas[::-1]),
    "no canvas": ("canvas", lambda canvas: canvas[:1]),
    "too few counts": ("counts", lambda counts: counts[1:]),
    "negative counts": ("counts", lambda counts: np.array([-counts[0], 2 * counts[0] + counts[1], *counts[2:]])),
    "counts in halves": ("counts", lambda counts: counts + 0.5),
    "counts as a table": ("counts", lambda counts: counts[:, None]),
    "steps as words": ("steps", lambda steps: np.array(["many"] * len(steps))),
    "a step that is no number": ("steps", lambda steps: steps + np.nan),
    "a step that never comes": ("steps", lambda steps: steps + np.inf),
    "steps as one number": ("steps", lambda steps: steps[0]),
    "too few rows": ("rows", lambda rows: rows[1:]),
    "rows that are no numbers": ("rows", lambda rows: rows * np.nan),
    "rows of words": ("rows", lambda rows: rows.astype(str).astype("U2") + "x"),
    "narrow rows": ("rows", lambda rows: rows[:, 1:]),
    "colours out of range": ("rows", lambda rows: rows + 2),
    "ids that repeat": ("ids", lambda ids: ids * 0),
    "ids in halves": ("ids", lambda ids: ids + 0.5),
    "too many ids": ("ids", lambda ids: np.concatenate([ids, ids])),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_snapshots_are_refused_in_one_line_that_names_the_file(copied, out, name):
    parts = parts_of(copied / "snapshots.npz")
    array, change = WRONG[name]
    np.savez(copied / "snapshots.npz", **{**parts, array: change(parts[array])})
    assert "snapshots.npz" in refusal("export", copied, out / "a.gif", "--seconds", 0.5)
    assert list(out.iterdir()) == []


def test_snapshots_that_lack_an_array_are_refused_in_one_line(copied, out):
    parts = parts_of(copied / "snapshots.npz")
    for name in ("steps", "counts", "rows", "ids", "canvas"):
        np.savez(copied / "snapshots.npz", **{other: parts[other] for other in parts if other != name})
        assert "snapshots.npz" in refusal("export", copied, out / "a.gif")
    assert list(out.iterdir()) == []


@pytest.fixture(scope="module")
def small_run(tmp_path_factory):
    """The least that is a run folder with snapshots, and the bytes of these."""
    folder = tmp_path_factory.mktemp("small") / "run"
    folder.mkdir()
    rng = np.random.default_rng(1)
    rows = rng.uniform(0.1, 1, (20, 8))
    scene = Scene(rows, Canvas(8, 6))
    save_scene(scene, folder / "scene.json")
    save_snapshots([Snapshot(k, scene) for k in range(3)], folder / "snapshots.npz")
    return folder, (folder / "snapshots.npz").read_bytes()


@given(
    cut=st.floats(0, 1), changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4)
)
def test_damaged_snapshots_are_refused_or_still_whole(small_run, cut, changes):
    """Whatever becomes of the bytes: a broken download, a full disk, a bad sector."""
    folder, good = small_run
    damaged = bytearray(good if changes else good[: int(cut * len(good))])
    for place, value in changes:
        damaged[int(place * len(damaged))] = value
    (folder / "snapshots.npz").write_bytes(damaged)
    try:
        result = load_result(folder)
    except InputError as error:
        assert "snapshots.npz" in str(error) and "\n" not in str(error)
    else:
        assert all(snapshot.scene.canvas == result.scene.canvas for snapshot in result.history.snapshots)


@pytest.mark.parametrize("name", ["scene.json", "run.json", "snapshots.npz", "target.png"])
@pytest.mark.parametrize("content", [b"", b"words", b"PK\x03\x04", b"\x89PNG\r\n\x1a\n"], ids=repr)
def test_a_file_of_a_run_that_is_another_is_refused_in_one_line(copied, out, name, content):
    (copied / name).write_bytes(content)
    assert name in refusal("export", copied, out / "a.html")
    assert list(out.iterdir()) == []


# --- render ---


def test_render_and_export_write_the_same_png(finished, out):
    for source in (finished, finished / "scene.json"):
        for width in ([], ["--width", 77]):
            rendered = succeeded("render", source, "-o", out / "a.png", *width)
            assert rendered.stdout == f"{out / 'a.png'}\n"
            succeeded("export", source, out / "b.png", *width)
            assert (out / "a.png").read_bytes() == (out / "b.png").read_bytes()


def test_render_reads_packed_scenes_and_keeps_the_old_file_where_it_cannot(sources, out):
    succeeded("render", sources["npz"], "-o", out / "a.png")
    old = contents(out)
    assert "none.npz" in refusal("render", out / "none.npz", "-o", out / "a.png")
    assert "a.gif" in refusal("render", sources["npz"], "-o", out / "a.gif")
    assert contents(out) == old


# --- exports of a run ---


def test_a_run_leaves_vector_film_and_viewer(finished):
    scene = load_scene(finished / "scene.json")
    assert {path.name for path in finished.iterdir()} == KEPT | DEFAULT_EXPORTS
    assert SHOWS[".svg"](finished / "painting.svg", scene)
    assert SHOWS[".gif"](finished / "timelapse.gif", scene)
    assert SHOWS[".html"](finished / "viewer.html", scene)


def test_a_run_writes_the_exports_asked_for_besides(picture, tmp_path, out):
    words = ("run", picture, "-o", tmp_path / "run", "--max", 5, "--steps", 8)
    succeeded(*words, "--export", out / "x.webp", "--export", out / "y.svg")
    scene = load_scene(tmp_path / "run" / "scene.json")
    assert {path.name for path in out.iterdir()} == {"x.webp", "y.svg"}
    assert SHOWS[".webp"](out / "x.webp", scene) and SHOWS[".svg"](out / "y.svg", scene)
    assert {path.name for path in (tmp_path / "run").iterdir()} == KEPT | DEFAULT_EXPORTS


def test_a_run_without_exports_leaves_what_it_keeps_and_what_is_asked_for(picture, tmp_path, out):
    words = ("run", picture, "--max", 4, "--steps", 6, "--no-export", "-q")
    succeeded(*words, "-o", tmp_path / "a")
    assert {path.name for path in (tmp_path / "a").iterdir()} == KEPT
    succeeded(*words, "-o", tmp_path / "b", "--export", out / "x.png")
    assert {path.name for path in (tmp_path / "b").iterdir()} == KEPT
    assert SHOWS[".png"](out / "x.png", load_scene(tmp_path / "b" / "scene.json"))


@pytest.mark.parametrize("bad", ["a.xyz", "none/a.png", "folder.png"])
def test_a_run_refuses_a_bad_export_before_any_work(picture, tmp_path, bad):
    (tmp_path / "folder.png").mkdir()
    message = refusal(
        "run", picture, "-o", tmp_path / "run", "--export", tmp_path / "a.svg", "--export", tmp_path / bad
    )
    assert bad in message
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


# --- exports in a chain ---


def test_exports_in_a_chain_take_options_and_show_what_stands_by_then(picture, out):
    succeeded(
        "load", picture, "grow", "--max", 6, "--growth", 3, "--steps", 6,
        "export", out / "a.gif", "--fps", 5, "--seconds", 1, "--width", 18, out / "early.json",
        "refine", "--steps", 10, "export", out / "b.svg", "--flat", out / "late.json",
    )  # fmt: skip
    early, late = load_scene(out / "early.json"), load_scene(out / "late.json")
    assert early.canvas.width == 18 and late.canvas.width == WIDTH  # options hold for one export
    with Image.open(out / "a.gif") as image:
        assert image.size == (18, 12) and image.n_frames == 5
    assert is_svg(out / "b.svg", late) and "Gradient" not in svg_text(out / "b.svg")
    assert not np.array_equal(early.rows, late.scaled(18).rows)


@pytest.mark.parametrize("words", [["--fps", 0], ["--layers", 99], ["--nope"]], ids=str)
def test_a_chain_with_a_bad_option_of_an_export_does_no_work(picture, out, words):
    result = run_cli("load", picture, "seed", "--count", 2, "export", out / "a.json", "export", out / "a.gif", *words)
    assert result.exit_code == 2 and "Error: " in result.stderr
    assert list(out.iterdir()) == []


# --- from Python ---


@pytest.fixture(scope="module")
def result(picture):
    return artpipe.fit(picture, count=5, growth=2, steps=12, size=WIDTH)


def test_all_kinds_of_sources_can_be_exported_from_python(result, finished, out):
    sources = {
        "result": result, "scene": result.scene,
        "folder": finished, "text": str(finished), "file": finished / "scene.json",
    }  # fmt: skip
    for name, source in sources.items():
        files = [out / f"{name}.svg", str(out / f"{name}.png")]
        assert artpipe.export(source, *files) == [Path(file) for file in files]
        scene = result.scene if name in ("result", "scene") else load_scene(finished / "scene.json")
        assert SHOWS[".svg"](out / f"{name}.svg", scene) and SHOWS[".png"](out / f"{name}.png", scene)


def test_a_result_shows_the_growth_and_the_title(result, out):
    artpipe.export(result, out / "a.gif", out / "a.svg", seconds=1)
    artpipe.export(Result(result.scene), out / "b.gif", seconds=1)
    assert (out / "a.gif").read_bytes() != (out / "b.gif").read_bytes()
    assert "<title>Tiny</title>" in svg_text(out / "a.svg")
    assert result.history.snapshots and result.history.curve


def test_no_files_are_no_work(result):
    assert artpipe.export(result) == []


def test_options_from_python_are_checked_in_one_line(result, out):
    with pytest.raises(InputError, match=r"'wide' \(did you mean width\?\); known are .*title") as unknown:
        artpipe.export(result, out / "a.png", wide=3)
    assert "\n" not in str(unknown.value)
    for options, message in (
        ({"width": 0}, "width is 0; needs a whole number, 1 to 65536"), ({"fps": 51}, "fps is 51"),
        ({"seconds": 0}, "seconds is 0"),
        ({"hold": -1}, "hold is -1"), ({"loop": 70_000}, "loop is 70000"), ({"layers": 25}, "layers is 25"),
        ({"fps": float("nan")}, "fps is nan"), ({"layers": 2, "animated": True}, "both animated and in layers"),
        ({"width": 3.5}, "width is 3.5; needs a whole number, 1 to 65536"),
        ({"width": "512"}, "width is '512'; needs a whole number"), ({"width": True}, "width is True"),
        ({"loop": 1.5}, "loop is 1.5"), ({"layers": [3]}, "layers is [3]"), ({"fps": "12"}, "fps is '12'; needs a"),
        ({"seconds": None}, "seconds is None; needs a number, 0.1 to 300"), ({"title": 5}, "title is 5; needs text"),
        ({"animated": "no"}, "animated is 'no'; needs True or False"), ({"flat": 1}, "flat is 1"),
        ({"matte": "red"}, "matte is 'red'; needs white, black or #rrggbb"), ({"matte": (1, 1, 1)}, "matte is (1, 1,"),
        ({"alpha_threshold": 128}, "alpha_threshold is 128; needs a number, 0 to 1"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=re.escape(message)):
            artpipe.export(result, out / "a.png", **options)
    assert list(out.iterdir()) == []


def test_options_may_be_numbers_of_numpy(result, out):
    artpipe.export(
        result, out / "a.gif", out / "a.svg", width=np.int64(32), fps=np.float32(4), seconds=np.float64(1),
        hold=np.uint8(1), loop=np.int16(2), layers=np.uint16(2), flat=np.True_, alpha_threshold=np.float32(0.5),
    )  # fmt: skip
    artpipe.export(
        result, out / "b.gif", out / "b.svg", width=32, fps=4, seconds=1, hold=1, loop=2, layers=2, flat=True
    )
    for ending in (".gif", ".svg"):
        assert (out / f"a{ending}").read_bytes() == (out / f"b{ending}").read_bytes()


def test_what_cannot_be_read_or_written_is_refused_from_python_too(result, out):
    for source, file, part in (
        (result, "a.xyz", "a.xyz"), (result, "none/a.png", "none"), (out / "none", "a.png", "none"),
        (str(out), "a.png", "scene.json"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=re.escape(part)):
            artpipe.export(source, out / "good.svg", out / file)
    assert list(out.iterdir()) == []
