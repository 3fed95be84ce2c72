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
from PIL import Image

import artpipe
from artpipe import Canvas, InputError, Scene, load_scene, save_scene
from artpipe.pipeline.folders.rundir import load_result
from artpipe.stages.exporters.fidelity import rasterisers
from artpipe.stages.exporters.options import ExportOptions
from artpipe.stages.exporters.table import EXPORTERS, FRAMES
from artpipe.stages.metrics import Metrics
from artpipe.stages.pictures.picture import as_bytes, save_png

WIDTH, HEIGHT = 36, 24
OPTIONS = ["--max", 14, "--growth", 5, "--steps", 40, "--pool", 1.5, "--relocate-every", 6, "--seed", 3]
KEPT = {"painting.png", "target.png", "comparison.png", "scene.json", "metrics.json", "run.json", "snapshots.npz"}
DEFAULT_EXPORTS = {"painting.svg", "timelapse.gif", "viewer.html"}
# Starting FFmpeg forks; JAX warns of that.
pytestmark = pytest.mark.filterwarnings(r"ignore:os\.fork\(\):RuntimeWarning")
needs_ffmpeg = pytest.mark.skipif(find_spec("imageio_ffmpeg") is None, reason="imageio-ffmpeg is not installed")
needs_resvg = pytest.mark.skipif(find_spec("resvg") is None, reason="resvg is not installed")
ENDINGS = [pytest.param(ending, marks=needs_ffmpeg) if ending == ".mp4" else ending for ending in EXPORTERS]
# Two circles that are not opaque, on nothing.
GLASS = Scene.circles(
    Canvas(16, 12, transparent=True), x=[8, 3], y=[6, 4], radius=[5, 2], colour=[[1, 0, 0], [0, 0, 1]],
    opacity=0.6, softness=2.0,
)  # fmt: skip


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
    """The folder of a finished run, read only."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    succeeded("run", picture, "-o", folder, *OPTIONS, "-q")
    return folder


@pytest.fixture
def copied(finished, tmp_path):
    """The same folder, to be broken."""
    return shutil.copytree(finished, tmp_path / "copied")


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


# --- every kind of file ---


def svg_text(path):
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".svgz" else data).decode()


def is_svg(path, scene):
    root = ElementTree.fromstring(svg_text(path))
    circles = [element for element in root.iter() if element.tag.endswith("}circle")]
    return root.tag == "{http://www.w3.org/2000/svg}svg" and len(circles) == scene.count


def is_png(path, scene):
    with Image.open(path) as image:
        return image.format == "PNG" and np.array_equal(np.asarray(image), as_bytes(artpipe.render(scene)))


def is_jpg(path, scene):
    with Image.open(path) as image:
        error = np.asarray(image, np.float64) / 255 - np.clip(artpipe.render(scene), 0, 1)
        return image.format == "JPEG" and "icc_profile" in image.info and artpipe.psnr(float(np.mean(error**2))) > 35


def is_film(path, kind):
    with Image.open(path) as image:
        return image.format == kind and image.n_frames > 3


# Whether a file is of its kind and shows the scene.
SHOWS = {
    ".png": is_png,
    ".jpg": is_jpg,
    ".jpeg": is_jpg,
    ".svg": is_svg,
    ".svgz": is_svg,
    ".pdf": lambda path, scene: path.read_bytes().startswith(b"%PDF-") and b"%%EOF" in path.read_bytes()[-9:],
    ".gif": lambda path, scene: is_film(path, "GIF"),
    ".webp": lambda path, scene: is_film(path, "WEBP"),
    ".apng": lambda path, scene: is_film(path, "PNG"),
    ".mp4": lambda path, scene: path.read_bytes()[4:8] == b"ftyp",
    ".html": lambda path, scene: path.read_text(encoding="utf-8").lower().startswith("<!doctype html>"),
    ".js": lambda path, scene: path.read_text().count("\n  ['circle', ") == scene.count,
    ".lqip.html": lambda path, scene: path.read_text().count("%3Cuse ") == scene.count,
    ".lottie.json": lambda path, scene: json.loads(path.read_text())["w"] == scene.canvas.width,
    ".json": lambda path, scene: load_scene(path).same_as(scene) and json.loads(path.read_text()) is not None,
    ".npz": lambda path, scene: load_scene(path).same_as(scene) and path.read_bytes()[:2] == b"PK",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_kind_of_file_is_written_from_a_run_folder(finished, out, ending):
    path = out / f"a{ending}"
    short = ("--seconds", 0.5) if "seconds" in EXPORTERS[ending].options else ()
    assert succeeded("export", finished, path, *short).stdout == f"{path}\n"
    assert SHOWS[ending](path, load_scene(finished / "scene.json"))
    assert list(out.iterdir()) == [path]


def test_scene_files_are_sources_and_endings_may_be_capitals_and_old_files_are_replaced(finished, out):
    scene = load_scene(finished / "scene.json")
    save_scene(scene, out / "mine.npz")
    (out / "a.PNG").write_text("old")
    for source in (finished / "scene.json", out / "mine.npz"):
        files = [out / "a.PNG", out / "b.Svg", out / "c.JSON"]
        assert succeeded("export", source, *files).stdout.splitlines() == [str(path) for path in files]
        assert is_png(files[0], scene) and is_svg(files[1], scene) and load_scene(files[2]).same_as(scene)
        quiet = succeeded("export", source, *files, "-q")
        assert quiet.stdout == "" and quiet.stderr == ""


def test_a_run_folder_holds_all_that_its_exports_were_made_from(finished, picture, out):
    succeeded("export", finished, out / "again.gif", out / "again.svg")
    assert (out / "again.gif").read_bytes() == (finished / "timelapse.gif").read_bytes()
    assert (out / "again.svg").read_text() == (finished / "painting.svg").read_text()
    result, metrics = load_result(finished), json.loads((finished / "metrics.json").read_text())
    assert result.scene.same_as(load_scene(finished / "scene.json"))
    assert result.title == picture.stem
    assert result.metrics == Metrics.from_json(metrics) and result.reason == "finished"
    assert [point.to_json() for point in result.history.curve] == metrics["history"]
    np.testing.assert_allclose(result.target * 255, np.asarray(Image.open(finished / "target.png")), atol=0.01)


def test_a_run_folder_that_lacks_files_can_still_be_exported(copied, out):
    for missing in (*sorted(KEPT - {"scene.json"}), "the rest"):
        if missing == "the rest":
            for path in [path for path in copied.iterdir() if path.name != "scene.json"]:
                path.unlink()
            assert load_result(copied).title == "copied"
        else:
            (copied / missing).rename(out / missing)
        succeeded("export", copied, out / "a.webp", out / "a.svg", out / "a.html", "--seconds", 0.5)
        assert SHOWS[".webp"](out / "a.webp", load_scene(copied / "scene.json"))
        if missing != "the rest":
            (out / missing).rename(copied / missing)


# --- options ---


@pytest.mark.parametrize("width", [1, 50])
def test_pictures_and_scene_files_are_as_wide_as_asked(finished, out, width):
    files = [out / name for name in ("a.png", "a.svg", "a.json", "a.npz")]
    scene = load_scene(finished / "scene.json").scaled(width)
    succeeded("export", finished, *files, "--width", width)
    assert is_png(files[0], scene) and load_scene(files[2]).same_as(scene) and load_scene(files[3]).same_as(scene)
    root = ElementTree.fromstring(svg_text(files[1]))
    assert (float(root.get("width")), float(root.get("height"))) == (width, scene.canvas.height)


def test_the_title_is_the_pictures_or_the_one_asked_for(finished, out):
    succeeded("export", finished, out / "a.svg", out / "a.html")
    assert "<title>Tiny</title>" in svg_text(out / "a.svg")
    assert "<title>Tiny" in (out / "a.html").read_text(encoding="utf-8")
    succeeded("export", finished, out / "b.svg", "--title", 'Night & "<day>"')
    titles = [each.text for each in ElementTree.fromstring(svg_text(out / "b.svg")).iter() if "title" in each.tag]
    assert titles == ['Night & "<day>"']
    save_scene(GLASS, out / "mine.npz")
    succeeded("export", out / "mine.npz", out / "c.svg")
    assert "<title>Mine</title>" in svg_text(out / "c.svg")


# A value of each option that is not its default.
OTHER = {
    "width": 20, "title": "Other", "fps": 5.0, "seconds": 1.0, "hold": 0.5, "loop": 3, "animated": True, "flat": True,
    "layers": 2, "matte": "#204080", "alpha_threshold": 0.9, "paper": "a6", "dpi": 150.0, "bleed": "3mm",
    "outline": True, "units": "mm", "made_for": "x",
}  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_option_changes_a_file_or_is_refused_in_one_line_that_names_its_endings(out, ending):
    assert set(OTHER) == {field.name for field in fields(ExportOptions)}
    usual = {"seconds": 0.5} if "seconds" in EXPORTERS[ending].options else {}
    before = artpipe.export(GLASS, out / f"before{ending}", **usual)[0].read_bytes()
    for name, value in OTHER.items():
        if name in EXPORTERS[ending].options:
            (changed,) = artpipe.export(GLASS, out / f"changed{ending}", **{**usual, name: value})
            assert changed.read_bytes() != before, name
            continue
        with pytest.raises(InputError, match=f"^{name} applies only to ") as error:
            artpipe.export(GLASS, out / f"refused{ending}", **usual, **{name: value})
        named = re.split(r" \(|;", str(error.value).removeprefix(f"{name} applies only to "))[0]
        users = [other for other, exporter in EXPORTERS.items() if name in exporter.options]
        if users:
            assert [other for other in named.split(", ") if other != FRAMES] == users
        else:  # it needs another option
            assert "(with " in str(error.value)
    assert not (out / f"refused{ending}").exists()


def test_an_option_is_taken_where_one_of_the_files_has_it(finished, out):
    succeeded("export", finished, out / "a.png", out / "b.svg", "--layers", 3)
    assert "inkscape" in svg_text(out / "b.svg")
    succeeded("export", finished, out / "c.svg", "--animated", "--seconds", 3, "--hold", 1, "--loop", 2)
    assert "animation:4s linear 2" in svg_text(out / "c.svg")
    assert "animated" in refusal("export", finished, out / "d.svg", "--seconds", 3)
    assert "layers" in refusal("export", finished / "scene.json", out / "d.png", out / "d.gif", "--layers", 3)
    assert not list(out.glob("d.*"))


@needs_resvg
def test_check_prints_sizes_and_the_fidelity_of_an_svg(finished, out):
    files = [out / "a.svg", out / "b.svgz", out / "c.png"]
    for quiet in ([], ["-q"]):
        lines = succeeded("export", finished, *files, "--check", *quiet).stdout.splitlines()
        for line, path in zip(lines, files, strict=True):
            assert line.startswith(str(path))
            assert int(re.search(r"  (\d+) kB", line)[1]) == round(path.stat().st_size / 1000)
        fidelity = [float(re.search(r", ([\d.]+) dB of the scene", line)[1]) for line in lines[:2]]
        assert min(fidelity) > 38 and " dB" not in lines[2]
        assert all(f"(drawn by {name})" in line for line in lines[:2] for name in rasterisers())
    flat = succeeded("export", finished, out / "d.svg", "--flat", "--check").stdout
    assert float(re.search(r", ([\d.]+) dB", flat)[1]) < min(fidelity)  # hard discs are a simpler picture


# --- what is refused ---


@pytest.mark.parametrize(
    "words",
    [
        ["--width", 65537], ["--width", 3.5], ["--fps", "nan"], ["--seconds", "inf"], ["--layers", 3, "--animated"],
        ["--nope"],
    ],
    ids=str,
)  # fmt: skip
def test_options_out_of_range_are_refused_and_write_nothing(finished, picture, out, words):
    chain = ("load", picture, "seed", "--count", 2, "export", out / "a.json", "export", out / "a.svg", *words)
    for result in (run_cli("export", finished, out / "a.svg", *words), run_cli(*chain)):
        assert result.exit_code in (1, 2) and result.stdout == "" and "Error: " in result.stderr
        assert list(out.iterdir()) == []


def test_an_export_without_files_is_a_usage_error():
    for words in ([], ["source.json"]):
        result = run_cli("export", *words)
        assert result.exit_code == 2 and result.stdout == ""


def test_a_single_wrong_path_or_option_refuses_all_before_any_work(finished, picture, tmp_path, out):
    (out / "folder.png").mkdir()
    for bad in ("a.xyz", "a", ".png", "none/a.png", "folder.png", "a.svg.bak", "a.bmp", "100%.bmp"):
        message = refusal("export", finished, out / "good.svg", out / "good.png", out / bad)
        assert bad in message
        if bad not in ("none/a.png", "folder.png"):
            assert all(ending in message for ending in EXPORTERS)
    run = ("run", picture, "-o", tmp_path / "run", "--export", out / "a.svg")
    for bad in ("a.xyz", "none/a.png", "folder.png"):
        assert bad in refusal(*run, "--export", out / bad)
    assert "flat" in refusal("load", picture, "seed", "--count", 2, "export", out / "a.json", "--flat")
    assert [path.name for path in out.iterdir()] == ["folder.png"] and not (tmp_path / "run").exists()


def test_an_invalid_source_is_refused_in_one_line(tmp_path, out):
    (tmp_path / "empty").mkdir()
    for name, text in (("words.json", "words"), ("words.npz", "words"), ("other.json", "{}")):
        (tmp_path / name).write_text(text)
    for source in ("none", "none.json", "empty", "words.json", "words.npz", "other.json"):
        assert source in refusal("export", tmp_path / source, out / "a.svg", out / "b.gif")
    assert list(out.iterdir()) == []


METRICS = Metrics(
    shapes=1, steps=2, mse=0.1, fit_seconds=0.5, total_seconds=1.0, renderer="jax", kernel="numba", device="cpu",
    reason="finished",
).to_json()  # fmt: skip
ROW = {"step": 1, "shapes": 1, "seconds": 1.0, "mse": 0.1}
WHOLE = json.dumps({**METRICS, "history": [ROW]})
INVALID_METRICS = (
    WHOLE[: len(WHOLE) // 2], "[]", WHOLE.replace('"steps"', '"other"'), WHOLE.replace('"finished"', "7"),
    json.dumps(METRICS), WHOLE.replace(json.dumps([ROW]), "5"), WHOLE.replace(json.dumps(ROW), "5"),
    WHOLE.replace('"seconds": 1.0, ', ""), WHOLE.replace('"mse": 0.1}', '"mse": "much"}'),
    WHOLE.replace('"step": 1', '"step": NaN'), WHOLE.replace('"seconds": 1.0', '"seconds": 1e999'),
    WHOLE.replace('"step": 1', '"step": ' + "9" * 400), "[" * 100_000,
)  # fmt: skip


def test_invalid_files_in_a_run_folder_are_refused_in_one_line_that_names_the_file(copied, out):
    cases = [("metrics.json", text.encode()) for text in INVALID_METRICS]
    cases += [(name, content) for name in ("metrics.json", "scene.json", "run.json", "snapshots.npz", "target.png")
              for content in (b"words", b"\xff\xfe\0\1", b"PK\x03\x04", b"\x89PNG\r\n\x1a\n")]  # fmt: skip
    for name, content in cases:
        good = (copied / name).read_bytes()
        (copied / name).write_bytes(content)
        assert name in refusal("export", copied, out / "a.html")
        (copied / name).write_bytes(good)
    save_png(np.zeros((HEIGHT + 1, WIDTH, 3)), copied / "target.png")
    assert "target.png" in refusal("export", copied, out / "a.html")
    assert list(out.iterdir()) == []


def test_metrics_of_an_older_run_say_circles(copied):
    (copied / "metrics.json").write_text(WHOLE.replace('"shapes"', '"circles"'))
    result = load_result(copied)
    assert result.metrics.shapes == 1 and result.history.curve == [(1, 1, 1.0, 0.1)]


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_in_the_snapshots_is_not_run(copied, out, tmp_path):
    with np.load(copied / "snapshots.npz") as snapshots:
        parts = {name: snapshots[name] for name in snapshots.files}
    trap = np.empty(len(parts["steps"]), object)
    trap[:] = [Hostile(tmp_path / "trap")] * len(trap)
    for name in parts:
        np.savez(copied / "snapshots.npz", **{**parts, name: trap})
        result = run_cli("export", copied, out / "a.gif", "--seconds", 0.5)
        assert not (tmp_path / "trap").exists()
        if name != "background":  # it is read from the scene
            assert result.exit_code == 1 and "snapshots.npz" in result.stderr and list(out.iterdir()) == []
    with np.load(copied / "snapshots.npz", allow_pickle=True) as snapshots:  # the trap works
        snapshots[name]
    assert (tmp_path / "trap").exists()


# --- numbered frames, and JPEG ---


def test_numbered_frames_show_the_growth_at_any_width(result, out):
    assert artpipe.export(result, out / "f%03d.png", fps=4, seconds=2, width=50) == [out / "f%03d.png"]
    assert sorted(path.name for path in out.iterdir()) == [f"f00{number}.png" for number in range(1, 9)]
    first, last = (np.asarray(Image.open(out / f"f00{number}.png")) for number in (1, 8))
    assert len(np.unique(first.reshape(-1, 3), axis=0)) == 1
    np.testing.assert_array_equal(last, as_bytes(artpipe.render(result.scene.scaled(50))))
    artpipe.export(GLASS, out / "%d.png", fps=4, seconds=0.5)
    with Image.open(out / "2.png") as image:
        assert image.mode == "RGBA" and image.size == (16, 12)


def test_numbered_frames_on_the_command_line(finished, out):
    done = succeeded("export", finished, out / "%04d.png", out / "100%.png", "--fps", 5, "--seconds", 1, "--check")
    assert done.stdout.splitlines()[0] == str(out / "%04d.png")
    assert sorted(path.name for path in out.iterdir()) == ["0001.png", "0002.png", "0003.png", "0004.png", "0005.png",
                                                           "100%.png"]  # fmt: skip


@pytest.mark.parametrize("name", ["%s.png", "%4d.png", "%-4d.png", "%d%d.png", "%04x.png", "%d.gif", "%0d.png"])
def test_a_wrong_pattern_is_refused_in_one_line(finished, out, name):
    assert name in refusal("export", finished, out / "good.png", out / name)
    assert list(out.iterdir()) == []


def test_a_jpeg_is_composited_over_the_matte_and_has_a_resolution(out):
    for matte, colour in (({}, 255), ({"matte": "black"}, 0)):
        artpipe.export(GLASS, out / "a.jpg", width=160, dpi=150, **matte)
        with Image.open(out / "a.jpg") as image:
            assert image.size == (160, 120) and image.mode == "RGB" and image.info["dpi"] == (150, 150)
            assert np.abs(np.asarray(image)[:10, -10:].astype(int) - colour).max() <= 2
    scene = GLASS.scaled(160).with_background((0.0, 0.0, 0.0))
    assert np.abs(np.asarray(Image.open(out / "a.jpg")) / 255 - artpipe.render(scene)).max() < 0.1
    with pytest.raises(InputError, match=r"JPEG takes at most 65500 a side\. Try a smaller --width, or \.png"):
        artpipe.export(GLASS, out / "b.jpg", width=65536)


# --- render, runs and chains ---


def test_render_and_export_write_the_same_png(finished, out):
    for source in (finished, finished / "scene.json"):
        for width in ([], ["--width", 77]):
            rendered = succeeded("render", source, "-o", out / "a.png", *width)
            assert rendered.stdout == f"{out / 'a.png'}\n"
            succeeded("export", source, out / "b.png", *width)
            assert (out / "a.png").read_bytes() == (out / "b.png").read_bytes()


def test_a_run_writes_its_usual_exports_those_asked_for_or_none(finished, picture, tmp_path, out):
    scene = load_scene(finished / "scene.json")
    assert {path.name for path in finished.iterdir()} == KEPT | DEFAULT_EXPORTS
    assert SHOWS[".svg"](finished / "painting.svg", scene) and SHOWS[".gif"](finished / "timelapse.gif", scene)
    succeeded(
        "run", picture, "-o", tmp_path / "run", "--max", 4, "--steps", 6, "-q", "--no-export",
        "--export", out / "x.png", "--export", out / "y.svg",
    )  # fmt: skip
    scene = load_scene(tmp_path / "run" / "scene.json")
    assert {path.name for path in (tmp_path / "run").iterdir()} == KEPT
    assert {path.name for path in out.iterdir()} == {"x.png", "y.svg"}
    assert SHOWS[".png"](out / "x.png", scene) and SHOWS[".svg"](out / "y.svg", scene)


def test_exports_in_a_chain_take_options_and_show_the_scene_of_that_moment(picture, out):
    succeeded(
        "load", picture, "grow", "--max", 6, "--growth", 3, "--steps", 6,
        "export", out / "a.webp", "--fps", 5, "--seconds", 1, "--hold", 0.5, "--loop", 3, "--width", 18,
        out / "early.json", "refine", "--steps", 10, "export", out / "b.svg", "--flat", out / "late.json",
    )  # fmt: skip
    early, late = load_scene(out / "early.json"), load_scene(out / "late.json")
    assert early.canvas.width == 18 and late.canvas.width == WIDTH  # options hold for one export
    with Image.open(out / "a.webp") as image:
        assert image.size == (18, 12) and image.n_frames == 5 and image.info["loop"] == 3
    assert is_svg(out / "b.svg", late) and "Gradient" not in svg_text(out / "b.svg")
    assert not np.array_equal(early.rows, late.scaled(18).rows)


# --- from Python ---


@pytest.fixture(scope="module")
def result(finished):
    return load_result(finished)


def test_all_kinds_of_sources_can_be_exported_from_python(result, finished, out):
    assert artpipe.export(result) == []
    for source in (result, result.scene, finished, str(finished), finished / "scene.json"):
        files = [out / "a.svg", str(out / "a.png")]
        assert artpipe.export(source, *files) == [Path(file) for file in files]
        assert SHOWS[".svg"](out / "a.svg", result.scene) and SHOWS[".png"](out / "a.png", result.scene)


def test_options_from_python_are_checked_in_one_line(out):
    with pytest.raises(InputError, match=r"'wide' \(did you mean width\?\); known are .*title") as unknown:
        artpipe.export(GLASS, out / "a.png", wide=3)
    assert "\n" not in str(unknown.value)
    for options, message in (
        ({"width": 3.5}, "width is 3.5; needs a whole number, 1 to 65536"), ({"fps": float("nan")}, "fps is nan"),
        ({"layers": 2, "animated": True}, "both animated and in layers"),
        ({"matte": "reddish"}, "matte is 'reddish'; did you mean red"), ({"matte": (1, 1, 1)}, "matte is (1, 1,"),
        ({"alpha_threshold": 128}, "alpha_threshold is 128; needs a number, 0 to 1"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=re.escape(message)):
            artpipe.export(GLASS, out / "a.png", **options)
    assert list(out.iterdir()) == []


def test_what_cannot_be_read_or_written_is_refused_from_python_too(out):
    for source, file, part in (
        (GLASS, "a.xyz", "a.xyz"), (GLASS, "none/a.png", "none"), (out / "none", "a.png", "none"),
        (str(out), "a.png", "scene.json"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=re.escape(part)):
            artpipe.export(source, out / "good.svg", out / file)
    assert list(out.iterdir()) == []
