"""Exports of well-formed but hostile scenes and run folders do no harm."""

import html.parser
import io
import json
import os
import xml.etree.ElementTree as ElementTree

import pytest
from command_line import refusal, succeeded
from PIL import Image

from artpipe import Canvas, Scene, save_scene
from artpipe.renderers.canvas import SIDE_MAX
from artpipe.stages.exporters.table import EXPORTERS

MARKUP = '</title></desc></script><script>alert(1)</script><img src=x onerror="alert(2)">&amp;{{about}}]]>'


def scene_of(width, height):
    return Scene.circles(
        Canvas(width, height, (0.25, 0.5, 1)), x=[20, 5], y=[15, 8], radius=[9, 4], colour=[(1, 0.5, 0), (0, 0.5, 1)],
        opacity=[0.75, 1], softness=1.0,
    )  # fmt: skip


@pytest.fixture
def run_folder(tmp_path):
    """`picture -> folder`: a minimal run folder, of a picture of that name."""

    def made(picture):
        folder = tmp_path / "run"
        folder.mkdir(exist_ok=True)
        save_scene(scene_of(40, 30), folder / "scene.json")
        (folder / "run.json").write_text(json.dumps({"picture": picture}))
        return folder

    return made


class _Tags(html.parser.HTMLParser):
    """All tags and their attribute names, as a browser reads them."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, *(name for name, _ in attributes)))


def tags_of(text):
    tags = _Tags()
    tags.feed(text)
    return tags.found


def test_markup_in_the_name_of_a_run_s_picture_stays_text(run_folder, tmp_path):
    trees, tags = [], []
    for picture in (f"a/{MARKUP}.jpg", f"a/{MARKUP.replace('/', '∕')}.jpg", "a/plain.jpg"):
        succeeded("export", run_folder(picture), tmp_path / "a.svg", tmp_path / "a.html")
        trees.append(ElementTree.fromstring((tmp_path / "a.svg").read_text()))
        tags.append((tags_of((tmp_path / "a.html").read_text()), [element.tag for element in trees[-1].iter()]))
    assert tags[0] == tags[1] == tags[2]
    assert "<script>alert(1)<∕script>" in trees[1].find("{*}title").text.lower()


def test_a_run_s_picture_of_any_type_gives_a_name_or_none(run_folder, tmp_path):
    for picture in (None, 7, [], {}, "", "\ud800", "\0", "..", "/", "a/../../x", "x" * 100_000):
        succeeded("export", run_folder(picture), tmp_path / "a.svg", tmp_path / "a.html")
        ElementTree.fromstring((tmp_path / "a.svg").read_text())
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "a.svg", "run"]


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
@pytest.mark.parametrize("ending", EXPORTERS)
def test_a_link_in_a_run_folder_is_replaced_and_not_written_through(run_folder, tmp_path, ending):
    if ending == ".mp4":
        pytest.importorskip("imageio_ffmpeg")
    folder, other = run_folder("a.jpg"), tmp_path / "precious"
    other.write_text("as it was")
    (folder / f"a{ending}").symlink_to(other)
    succeeded(
        "export", folder, folder / f"a{ending}", *(("--seconds", 0.5) if "seconds" in EXPORTERS[ending].options else ())
    )
    assert other.read_text() == "as it was"
    assert not (folder / f"a{ending}").is_symlink() and (folder / f"a{ending}").stat().st_size > 0


@pytest.mark.parametrize("canvas", [40, SIDE_MAX])
@pytest.mark.parametrize("side", [8000, SIDE_MAX])
def test_a_huge_target_is_refused_before_it_is_unpacked(run_folder, tmp_path, side, canvas):
    folder = run_folder("a.jpg")
    save_scene(scene_of(canvas, canvas), folder / "scene.json")
    picture = io.BytesIO()
    Image.new("RGB", (side, 1)).save(picture, "PNG")
    data = bytearray(picture.getvalue())
    data[20:24] = side.to_bytes(4, "big")  # the height; the file has no more data for it
    (folder / "target.png").write_bytes(data)
    assert "target.png" in refusal("export", folder, tmp_path / "a.html")


@pytest.mark.parametrize("ending", [".gif", ".webp", ".apng", ".mp4"])
def test_films_too_large_for_memory_or_the_format_are_refused_with_their_size(tmp_path, ending):
    if ending == ".mp4":
        pytest.importorskip("imageio_ffmpeg")
    for sides in ((SIDE_MAX, SIDE_MAX), *([] if ending == ".apng" else [(SIDE_MAX, 1), (1, SIDE_MAX)])):
        save_scene(scene_of(*sides), tmp_path / "a.json")
        message = refusal("export", tmp_path / "a.json", tmp_path / f"a{ending}", "--seconds", 0.2, "--width", sides[0])
        assert f"{sides[0]} x {sides[1]}" in message and not (tmp_path / f"a{ending}").exists()


def test_vectors_of_a_huge_canvas_are_written_and_their_check_is_refused(tmp_path):
    save_scene(scene_of(SIDE_MAX, SIDE_MAX), tmp_path / "a.json")
    for options in ([], ["--flat"], ["--animated"]):
        succeeded("export", tmp_path / "a.json", tmp_path / "a.svg", *options)
        assert ElementTree.fromstring((tmp_path / "a.svg").read_text()).get("width") == str(SIDE_MAX)
        assert (tmp_path / "a.svg").stat().st_size < 10_000
    pytest.importorskip("resvg")
    assert f"{SIDE_MAX} x {SIDE_MAX}" in refusal("export", tmp_path / "a.json", tmp_path / "a.svg", "--check")


@pytest.mark.slow
def test_layers_of_a_huge_canvas_hold_its_circles_as_they_are(tmp_path):
    """The shapes are judged on a smaller picture."""
    scene = scene_of(SIDE_MAX, SIDE_MAX // 2)
    wide = {name: scene.column(name) * scale for name, scale in (("x", 1500), ("y", 2000), ("radius", 2000))}
    save_scene(scene.with_columns(softness=500.0, **wide), tmp_path / "a.json")
    succeeded("export", tmp_path / "a.json", tmp_path / "a.svg", "--layers", 2)
    circles = ElementTree.fromstring((tmp_path / "a.svg").read_text()).findall(".//{*}circle")
    assert sorted((float(circle.get("cx")), float(circle.get("cy"))) for circle in circles) == [
        (7500, 16000),
        (30000, 30000),
    ]
